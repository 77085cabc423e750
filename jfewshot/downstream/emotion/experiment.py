"""Runs all folds and seeds of every kind of features and of the controls. An interrupted experiment continues."""

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from jfewshot.commandline.progress import tracked
from jfewshot.downstream.cache import FrameCache
from jfewshot.downstream.confusions import accuracy, confusion, uar
from jfewshot.downstream.emotion.config import FREE, EmotionConfig
from jfewshot.downstream.emotion.datasets import EmotionData, read_dataset
from jfewshot.downstream.emotion.folds import make_folds
from jfewshot.downstream.emotion.training import Plan
from jfewshot.downstream.emotion.trial import Trial, run_trial
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.inputs import make_inputs
from jfewshot.downstream.left_out import leave_out_named, leave_out_unusable
from jfewshot.downstream.records import (
    RecordFolder,
    described_choice,
    described_fold,
    made_here,
    refuse_other_features,
)
from jfewshot.downstream.sources import Source, sources_with_controls
from jfewshot.errors import UserError
from jfewshot.files import writable_folder
from jfewshot.training.config import as_record, settle_record
from jfewshot.training.devices import make_mesh

log = logging.getLogger(__name__)

# Raise it when the same settings and audio would give other predictions.
NUMERICS_VERSION = 2


def record_folder(config: EmotionConfig) -> RecordFolder:
    """The folder of the experiment's records."""
    return RecordFolder(config.out / "records", "jfewshot-emotion", NUMERICS_VERSION)


def run_experiment(config: EmotionConfig) -> list[dict[str, Any]]:
    """Run the folds and seeds that have no record yet.

    Returns:
      All records of the folder, older ones too.

    Raises:
      UserError: unusable data or features, or a folder that holds another experiment.
    """
    data = chosen_data(config)
    sources = sources_with_controls(config.features, config.seeds, config.controls)
    folder = writable_folder(config.out, "the experiment")
    records = record_folder(config)
    cache = FrameCache(folder / "features", [(each.name, each.path) for each in data.utterances])
    data, cache = leave_out_unusable(data, cache, sources, config.on_error)
    folds = make_folds(data, config.n_folds, config.folds, config.development)
    facts = {"utterances": len(data.utterances), "classes": data.classes, "digest": data.digest}
    settle_record(folder, config, facts, FREE)
    refuse_other_features(config.out, records.read(), sources, lambda source: source.title(config.finetune))
    mesh = make_mesh(config.devices, config.recipe.batch)
    log.info(
        "%s: %d utterances, %d classes, %d %ss, %d folds; %d kinds of features, %d seeds",
        data.title, len(data.utterances), len(data.classes), len({each.group for each in data.utterances}),
        data.groups_are, len(folds), len(sources), config.seeds,
    )  # fmt: skip
    runs = [(seed, source) for of_seeds in sources for seed, source in enumerate(of_seeds)]
    for seed, source in tracked(runs, "all folds", "features x seeds"):
        _run_seed(config, data, folds, source, seed, cache, records, mesh)
    return records.read()


def chosen_data(config: EmotionConfig) -> EmotionData:
    """Read the dataset, without the utterances that the user leaves out.

    Raises:
      UserError: an unknown utterance in --leave-out, or fewer than two classes.
    """
    data = leave_out_named(read_dataset(config.dataset, config.root), config.leave_out)
    if len(data.classes) < 2:
        raise UserError(f"{data.title} has the classes {data.classes}; at least two are needed")
    return data


def _run_seed(
    config: EmotionConfig,
    data: EmotionData,
    folds: Sequence[Fold],
    source: Source,
    seed: int,
    cache: FrameCache,
    records: RecordFolder,
    mesh,
) -> None:
    """Run all folds of one kind of features with one seed."""
    settings = as_record(config)
    common = {
        "settings": {name: value for name, value in settings.items() if name not in FREE},
        "data": data.digest,
        "features": source.identity(seed),
        "audio": "" if source.kind == "store" else cache.digest,
        "seed": seed,
    }
    keys = [records.key({**common, "fold": fold.digest()}) for fold in folds]
    missing = [number for number, key in enumerate(keys) if not records.has(key)]
    if not missing:
        return
    inputs = make_inputs(cache, source, seed, config.finetune)
    labels = np.array([data.classes.index(each.label) for each in data.utterances])
    plan = Plan(
        dim=inputs.frames.dim,
        n_classes=len(data.classes),
        head=config.width if config.head == "light" else config.transformer,
        optimiser=config.recipe.optimiser,
        encoder=inputs.encoder,
        layer=inputs.layer,
    )
    for number in missing:
        fold, key, began = folds[number], keys[number], time.perf_counter()
        trial = Trial(
            config.out / "runs" / key, [each.name for each in data.utterances], inputs.frames, labels, fold, seed, plan,
            config.recipe, config.choose_by, config.longest, config.buckets, inputs.scaling, inputs.weights, mesh,
        )  # fmt: skip
        outcome = run_trial(trial, config.keep_checkpoints)
        true = labels[fold.test]
        counts = confusion(true, outcome.predicted, len(data.classes))
        record = {
            "dataset": {"name": data.name, "title": data.title, "digest": data.digest},
            "classes": data.classes,
            "features": source.title(config.finetune),
            "kind": source.recorded_kind,
            "head": config.head,
            "finetune": inputs.encoder is not None,
            "seed": seed,
            "fold": described_fold(fold, number, len(folds)),
            "development": config.development,
            "chosen": described_choice(outcome.steps, outcome.development, config.choose_by),
            "steps": outcome.n_steps,
            "curve": outcome.curve,
            "uar": uar(counts),
            "accuracy": accuracy(counts),
            "test": {
                "utterances": [data.utterances[each].name for each in fold.test],
                "speakers": [data.utterances[each].speaker for each in fold.test],
                "true": true.tolist(),
                "predicted": outcome.predicted.tolist(),
            },
            "wall_s": round(time.perf_counter() - began, 2),
            "made_with": made_here(),
            "identity": common,
        }
        records.write(key, record)
        log.info(
            "%s, seed %d, fold %d/%d (%s): UAR %.1f%%, accuracy %.1f%%, %d steps in %.1f s",
            record["features"], seed, number + 1, len(folds), fold.name, 100 * uar(counts), 100 * accuracy(counts),
            outcome.n_steps, record["wall_s"],
        )  # fmt: skip
