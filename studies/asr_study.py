"""Does pretraining help speech recognition at a size that two CPU cores can train? One command trains small recognisers.

    python -m studies.asr_speech digits --source fsdd/recordings --out DIGITS
    python -m studies.asr_speech prompts --source ROOT/usr --out PROMPTS
    python -m studies.asr_study --encoders ENCODERS --digits DIGITS --prompts PROMPTS --out STUDY

ENCODERS holds the exported encoders random-0, tera-0, speech_simclr-0 and speech_simclr_recon-0 (and no_speed-0 ... for the
ablation), where the number is the pretraining seed. A training with seed S starts from the encoders with number S. There are
three studies. Each is a `python -m jfewshot.downstream.asr` with the settings below, and each continues after it was stopped:

- frozen: recurrent CTC on frozen features of strings of digits, also on FBANK. It leaves out one speaker at a time, for two of
  the six speakers.
- digits: attention-CTC on strings of digits, which starts from the encoder. It leaves out one speaker.
- prompts: attention-CTC on telephone prompts in characters, which starts from the encoder.

The reports are in STUDY/<study>/report. --json writes their tables to a file.
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
# Only masks are used: augmenting waveforms would take as long as training the small models.
MASKS = AugmentationConfig(speed=False, pitch=False, reverb=False, noise=False, widest_time_mask=20)


@dataclass(frozen=True)
class AsrStudy:
    """Which studies to run, and where."""

    encoders: Path
    """Folder of exported encoders, named <name>-<seed>."""
    digits: Path
    """Folder that `studies.asr_speech digits` wrote."""
    prompts: Path
    """Folder that `studies.asr_speech prompts` wrote."""
    out: Path
    """Folder for runs and reports."""
    studies: tuple[Literal["frozen", "digits", "prompts"], ...] = ("frozen", "digits", "prompts")
    """Which of the three studies to run."""
    seeds: int = 3
    """Number of seeds of pretraining and training."""
    ablation: bool = False
    """Also run the study `frozen` with encoders that were each pretrained without one augmentation."""
    json: Path | None = None
    """File for the tables."""


def config_of(study: str, settings: AsrStudy) -> AsrConfig:
    """The settings of one study."""
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
        logging.getLogger(__name__).warning(
            "%s is left out, because there is no encoder with number %d", name, missing[0]
        )
    return not missing


def main() -> None:
    """Run the missing trainings, and write the reports."""
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
