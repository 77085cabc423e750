"""Compares recipes of Speech SimCLR by their accuracy on development tasks, which share no recording with the sample tasks.

    python -m studies.simclr_development --speech SPEECH --emodb EMODB/wav --out DEVELOPMENT
    python -m studies.simclr_recipes --development DEVELOPMENT --out RECIPES --json benchmarks/measured/simclr_recipes.json

Each recipe is trained once for --steps steps (400 steps take about four minutes on one core), exported, and scored by
studies.simclr_readouts. A recipe that has a score is not trained again. --recipes selects recipes, so that several processes can
share the work. The recipe with the highest score is chosen. In the score, words count half, sounds a quarter and voices a
quarter. The score is the mean over one and five shots and over the readouts B and C.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro

from benchmarks.tools.measuring import write_json
from jfewshot.commandline import log_plainly
from jfewshot.commandline.parsing import parse
from jfewshot.errors import UserError
from jfewshot.files.atomic import atomic_write
from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.export import load_encoder
from jfewshot.simclr.export.run import ExportOptions, export
from jfewshot.simclr.training.loop import train
from studies.simclr_readouts import development_scores, read_clips

log = logging.getLogger(__name__)

UNTRAINED = "untrained"

SIZE = (
    "--data.crop-s 1.0 --data.buckets 1 --data.shortest-s 0.3 --data.statistics-utterances 500 --batch 64 "
    "--profile speech_simclr "
    "--encoder.d-model 128 --encoder.d-ff 512 --encoder.n-heads 4 --encoder.prenet conv1d --encoder.prenet-channels 128 "
    "--encoder.norm pre --encoder.layer-norm-eps 1e-6 --encoder.dropout 0 --projection-hidden 256 --projection-out 128 "
    "--optimiser.schedule cosine --optimiser.rate 2e-3 --optimiser.warmup-steps 60 --augmentation.no-pitch"
)
# Changes that are made one after another, starting from the recipe of the encoder `speech_simclr_small`.
NARROW = "--augmentation.no-frequency-mask"
SOFT = (
    f"{NARROW} --augmentation.noise-probability 0.25 --augmentation.lowest-snr-db 10 --augmentation.highest-snr-db 25"
)
EIGHT = "--data.speakers-per-batch 8"
FOUR = "--data.speakers-per-batch 4"
REPEAT = "--data.repeat-short"
BAND = "--augmentation.band-limit-probability 0.5"
QUIET = f"{NARROW} --augmentation.no-noise"
COLD = "--temperature 0.05"
POOLED = "--projection-pooling mean_std"
RECON = "--reconstruction-weight 1"
MILD = f"{SOFT} {EIGHT} {REPEAT} {BAND}"

RECIPES = {
    "shipped": f"{FOUR} --augmentation.widest-time-mask-share 1",
    "narrow": f"{FOUR} {NARROW}",
    "no_noise": f"{FOUR} {QUIET}",
    "soft_noise": f"{FOUR} {SOFT}",
    "eight": f"{EIGHT} {SOFT}",
    "repeated": f"{EIGHT} {SOFT} {REPEAT}",
    "mild": MILD,
    # Recipes that differ from "mild" by one change.
    "mild_pooling": f"{MILD} {POOLED}",
    "mild_different": f"{MILD} --data.crops different",
    "mild_offset": f"{MILD} --encoder.position-offset 94",
    "mild_recon": f"{MILD} {RECON}",
    "mild_cold": f"{MILD} {COLD}",
    "mild_warm": f"{MILD} --temperature 0.2",
    "mild_fast": f"{MILD} --optimiser.rate 4e-3",
    "mild_longer": f"{MILD} --data.crop-s 2.0",
    "mild_anyone": MILD.replace(EIGHT, ""),
    "mild_still": f"{MILD} --augmentation.no-speed",
    # Recipes that combine the changes that helped.
    "quiet": f"{EIGHT} {QUIET} {POOLED} {COLD}",
    "quiet_recon": f"{EIGHT} {QUIET} {POOLED} {COLD} {RECON}",
    # "quiet" with some noise. Added after the sample tasks had shown that noise teaches words and speakers.
    "soft": f"{EIGHT} {SOFT} {POOLED} {COLD}",
}


@dataclass(frozen=True)
class Comparison:
    """Which recipes to compare, and the folders."""

    development: Path
    """Folder that studies.simclr_development wrote."""
    out: Path
    """Folder for runs, encoders and scores."""
    recipes: tuple[str, ...] = (UNTRAINED, *RECIPES)
    """Names of the recipes to train and score."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the trainings."""
    steps: int = 400
    """Steps of each training."""
    json: Path | None = None
    """File for the scores of all recipes that were scored. Trainings that a file of this name has and that were not scored here
    are kept."""


def configuration(recipe: str, seed: int, steps: int, development: Path, out: Path) -> TrainConfig:
    """Settings of one training.

    Args:
      recipe: name of the recipe.
      seed: seed of the training.
      steps: number of steps of the training.
      development: folder with pretraining.jsonl.
      out: folder for runs.

    Raises:
      UserError: if no recipe has this name.
    """
    if recipe not in RECIPES:
        raise UserError(f"there is no recipe '{recipe}'; use one of {UNTRAINED}, {', '.join(RECIPES)}")
    run = out / "runs" / f"{recipe}-{seed}-{steps}"
    flags = f"{SIZE} {RECIPES[recipe]}".split()
    flags += ["--data.source", str(development / "pretraining.jsonl"), "--out", str(run), "--seed", str(seed)]
    flags += ["--steps", str(steps), "--monitor.every", "0", "--keep", "1"]
    return parse(TrainConfig, flags, "pretrain")


def scored(recipe: str, seed: int, options: Comparison) -> Path:
    """Train, export and score one recipe, unless it has scores; returns the file of its scores."""
    name = f"{recipe}-{seed}" if recipe == UNTRAINED else f"{recipe}-{seed}-{options.steps}"
    path = options.out / "scores" / f"{name}.json"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    config = configuration(
        "mild" if recipe == UNTRAINED else recipe, seed, options.steps, options.development, options.out
    )
    encoder = options.out / "encoders" / name
    if not (encoder / "encoder.json").exists():
        log.info("%s: %d steps", name, config.steps)
        train(config)
        step = 0 if recipe == UNTRAINED else config.steps
        export(ExportOptions(config.out, encoder, name=name, step=step, title=name))
    found = development_scores(load_encoder(encoder), read_clips(options.development))
    record = {"recipe": recipe, "seed": seed, "steps": 0 if recipe == UNTRAINED else config.steps, **found}
    with atomic_write(path, "w") as file:
        json.dump(record, file, indent=1)
    log.info("%s: score %.2f", name, found["score"])
    return path


def write_scores(path: Path, records: list[dict[str, Any]]) -> None:
    """Write scores, together with those that the file has of other trainings, best first.

    Args:
      path: JSON file, which may exist.
      records: scores of the trainings of this command.
    """

    def training(record: dict[str, Any]) -> tuple[str, int, int]:
        return record["recipe"], record["seed"], record["steps"]

    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"provenance": {}, "recipes": []}
    origin, here = before["provenance"], {training(record) for record in records}
    if "command" in origin:  # of a file that one command wrote
        origin = {"first comparison": origin}
    kept = [record for record in before["recipes"] if training(record) not in here]
    both = sorted([*kept, *records], key=lambda record: -record["score"])
    result = {"provenance": origin, "flags": {"all": SIZE, **RECIPES}, "recipes": both}
    write_json(
        path, result, a_line_each=True, parts=[f"{recipe}-{seed}-{steps}" for recipe, seed, steps in sorted(here)]
    )


def main() -> None:
    """Train and score the recipes, then write the scores of all scored recipes."""
    options = tyro.cli(Comparison, description=__doc__)
    log_plainly()
    jax.config.update("jax_compilation_cache_dir", str((options.out / "compiled").absolute()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    for seed in options.seeds:
        for recipe in options.recipes:
            scored(recipe, seed, options)
    if options.json is not None:
        paths = sorted((options.out / "scores").glob("*.json"))
        write_scores(options.json, [json.loads(path.read_text(encoding="utf-8")) for path in paths])


if __name__ == "__main__":
    main()
