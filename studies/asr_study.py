"""Does pretraining help recognition at the size that two CPU cores afford? Small recognisers on real speech, one command.

    python -m studies.asr_speech digits --source fsdd/recordings --out DIGITS
    python -m studies.asr_speech prompts --source ROOT/usr --out PROMPTS
    python -m studies.asr_study --encoders ENCODERS --digits DIGITS --prompts PROMPTS --out STUDY

ENCODERS holds exported encoders random-0, tera-0, speech_simclr-0, speech_simclr_recon-0 (and no_speed-0 ... for the
ablation) with a number for every pretraining seed; run S of everything starts from number S. Three studies, each a
`python -m jfewshot.downstream.asr` with the settings below, all of them resumable:

- frozen: digits, leave one speaker out (two of the six tested), recurrent CTC on frozen frames; raw FBANK beside;
- digits: one speaker left out, attention-CTC that starts from the encoder;
- prompts: telephone prompts in characters, likewise.

Reports are in STUDY/<study>/report; --json keeps their tables.
"""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import rich.console
import tyro

from benchmarks.tools.measuring import machine, write_json
from jfewshot.commandline import run_cli
from jfewshot.downstream.asr.config import AsrConfig
from jfewshot.downstream.asr.experiment import run_experiment
from jfewshot.downstream.asr.report import build_report
from jfewshot.downstream.asr.settings import DecoderConfig, RecurrentConfig
from jfewshot.downstream.asr.summary import summarise
from jfewshot.errors import UserError
from jfewshot.reporting.grid import to_rich
from jfewshot.simclr.augmentation import AugmentationConfig
from jfewshot.training.config import OptimiserConfig

INITS = ("random", "tera", "speech_simclr", "speech_simclr_recon")
ABLATION = ("no_speed", "no_pitch", "no_reverb", "no_noise", "no_time_mask", "no_frequency_mask")
# Masks alone: augmented waveforms would cost as much as the small models themselves.
MASKS = AugmentationConfig(speed=False, pitch=False, reverb=False, noise=False, widest_time_mask=20)


@dataclass(frozen=True)
class AsrStudy:
    """What is run."""

    encoders: Path
    """Folder of exported encoders, <name>-<seed>."""
    digits: Path
    """From `studies.asr_speech digits`."""
    prompts: Path
    """From `studies.asr_speech prompts`."""
    out: Path
    """Folder of the study."""
    studies: tuple[Literal["frozen", "digits", "prompts"], ...] = ("frozen", "digits", "prompts")
    """Which of the three."""
    seeds: int = 3
    """Pretraining and training seeds."""
    ablation: bool = False
    """Also encoders that were pretrained without one augmentation each, in the study of frozen frames."""
    json: Path | None = None
    """Write the tables here."""


def config_of(study: str, settings: AsrStudy) -> AsrConfig:
    """One study."""
    inits = (*INITS, *(ABLATION if settings.ablation and study == "frozen" else ()))
    there = [name for name in inits if _has_all(settings, name)]
    if not there:
        raise UserError(f"{settings.encoders} holds no <name>-0 ... <name>-{settings.seeds - 1} of {', '.join(inits)}")
    features = tuple(f"simclr:{settings.encoders / name}-{{seed}}" for name in there)
    folder = settings.prompts if study == "prompts" else settings.digits
    adam = OptimiserConfig("cosine", 1e-3, 50, weight_decay=0.0)
    common = AsrConfig(
        root=folder, dataset=f"table:{folder / ('prompts.csv' if study == 'prompts' else 'strings.csv')}",
        out=settings.out / study, features=features, controls=False, seeds=settings.seeds, augmentation=MASKS, n_masks=1,
        units="characters" if study == "prompts" else "words", optimiser=adam, average_best=1, buckets=2, threads=0,
    )  # fmt: skip
    if study == "frozen":
        return dataclasses.replace(
            common, features=("fbank", *features), model="recurrent", recurrent=RecurrentConfig("gru", 1, 128),
            only_folds=(0, 3), batch=16, epochs=20, evaluate_every=5,
        )  # fmt: skip
    decoder = DecoderConfig(n_layers=1, d_model=128, d_ff=256, n_heads=4)
    folds = (0,) if study == "digits" else ()
    return dataclasses.replace(
        common, decoder=decoder, only_folds=folds, ctc_weight=0.5, batch=8, epochs=10, evaluate_every=2
    )


def _has_all(settings: AsrStudy, name: str) -> bool:
    missing = [n for n in range(settings.seeds) if not (settings.encoders / f"{name}-{n}" / "encoder.json").exists()]
    if missing:
        logging.getLogger(__name__).warning("left out: %s (no number %d)", name, missing[0])
    return not missing


def main() -> None:
    """Run what is missing, report."""
    settings = tyro.cli(AsrStudy, description=__doc__)
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    for noisy in ("absl", "jax", "matplotlib", "fontTools", "jfewshot.training"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    console, found = rich.console.Console(width=160), {}
    for study in settings.studies:
        config = config_of(study, settings)
        records = run_experiment(config)
        tables = build_report(records, config.out / "report", ("svg", "png"))
        for table in tables:
            console.print(to_rich(table, console.width))
        found[study] = {
            "tables": {table.title: [[cell.text for cell in row] for row in table.rows] for table in tables},
            "learning_curves": {each.row.name: each.curve.round(4).tolist() for each in _summaries(records)},
            "training_s": round(sum(record["training_s"] for record in records), 1),
            "runs": len(records),
        }
    if settings.json:
        write_json(settings.json, {"machine": machine(), "seeds": settings.seeds, "studies": found})


def _summaries(records: Sequence[dict]) -> list:
    return summarise(records)[0]


if __name__ == "__main__":
    run_cli(main)
