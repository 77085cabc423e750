"""Runs all folds, seeds and probes of every kind of features and of the controls. An interrupted experiment continues."""

import dataclasses
import logging
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jfewshot.commandline.progress import tracked
from jfewshot.downstream.cache import FrameCache
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.inputs import make_inputs
from jfewshot.downstream.left_out import leave_out_named, leave_out_unusable
from jfewshot.downstream.phones.batches import LabelledFrames
from jfewshot.downstream.phones.config import FREE, PhonesConfig
from jfewshot.downstream.phones.datasets import PhoneData, read_dataset
from jfewshot.downstream.phones.datasets.dirha import dirha_part, read_dirha
from jfewshot.downstream.phones.phone_sets import NO_PHONE
from jfewshot.downstream.phones.segments import UNLABELLED, FrameTimes, check_rate
from jfewshot.downstream.phones.times import frame_times
from jfewshot.downstream.phones.training import Plan
from jfewshot.downstream.phones.trial import Outcome, Trial, frame_accuracy, run_trial
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
NUMERICS_VERSION = 1


def record_folder(config: PhonesConfig) -> RecordFolder:
    """The folder of the experiment's records."""
    return RecordFolder(config.out / "records", "jfewshot-phones", NUMERICS_VERSION)


@dataclasses.dataclass(frozen=True, eq=False)
class _Setting:
    """Everything that the runs of all kinds of features share."""

    config: PhonesConfig
    data: PhoneData
    folds: list[Fold]
    cache: FrameCache
    records: RecordFolder
    mesh: jax.sharding.Mesh | None


def run_experiment(config: PhonesConfig) -> list[dict[str, Any]]:
    """Run the folds, seeds and probes that have no record yet.

    Returns:
      All records of the folder, older ones too.

    Raises:
      UserError: unusable data or features, or a folder that holds another experiment.
    """
    data = chosen_data(config)
    sources = sources_with_controls(config.features, config.seeds, config.controls)
    # This comes first, so that an upstream whose frame times are unknown is refused before anything is computed.
    for of in sources:
        frame_times(of[0], config.frame_first_ms, config.frame_hop_ms)
    folder = writable_folder(config.out, "the experiment")
    cache = FrameCache(folder / "features", [(each.name, each.audio) for each in data.utterances])
    data, cache = leave_out_unusable(data, cache, sources, config.on_error)
    folds = data.folds(config.n_folds, config.folds)
    facts = {"utterances": len(data.utterances), "phones": list(data.phones.trained), "digest": data.digest}
    settle_record(folder, config, facts, FREE)
    records = record_folder(config)
    refuse_other_features(config.out, records.read(), sources, lambda source: source.title(config.finetune))
    setting = _Setting(config, data, folds, cache, records, make_mesh(config.devices, config.batch))
    log.info(
        "%s: %d utterances (%s), %d phones, %d scored; %d kinds of features, %d probes, %d seeds",
        data.title, len(data.utterances), ", ".join(f"{n} {part}" for part, n in folds[0].sizes().items()),
        len(data.phones.trained), len(data.phones.scored), len(sources), len(config.probes), config.seeds,
    )  # fmt: skip
    runs = [(seed, source) for of_seeds in sources for seed, source in enumerate(of_seeds)]
    for seed, source in tracked(runs, "all folds and probes", "features x seeds"):
        _run_seed(setting, source, seed)
    return records.read()


def chosen_data(config: PhonesConfig) -> PhoneData:
    """Read the dataset, and DIRHA's sentences with --dirha, without the utterances that the user leaves out.

    Raises:
      UserError: an unknown utterance in --leave-out, fewer than two phones, or DIRHA together with undivided data.
    """
    data = read_dataset(config.dataset, config.root)
    if config.dirha is not None:
        if not data.parts.training:
            raise UserError("--dirha needs training data with a given division: add the column split to the table")
        kind = config.dirha_kind
        sentences = read_dirha(config.dirha, config.dirha_labels, config.dirha_microphone, kind, data.phones)
        data = data.with_test(sentences, dirha_part(kind, config.dirha_microphone))
    data = leave_out_named(data, config.leave_out)
    if len(data.phones.scored) < 2:
        raise UserError(f"{data.title} has the phones {', '.join(data.phones.scored)}; at least two are needed")
    return data


def _run_seed(setting: _Setting, source: Source, seed: int) -> None:
    """Run all folds and probes of one kind of features with one seed."""
    config, data = setting.config, setting.data
    learns = config.finetune and source.encoder is not None
    times = frame_times(source, config.frame_first_ms, config.frame_hop_ms)
    settings = {name: value for name, value in as_record(config).items() if name not in FREE}
    common = {
        "settings": settings,
        "data": data.digest,
        "features": source.identity(seed),
        "audio": "" if source.kind == "store" else setting.cache.digest,
        "seed": seed,
        "finetune": learns,
        "times": list(times),
    }
    missing = []
    for probe in config.probes:
        for number, fold in enumerate(setting.folds):
            key = setting.records.key({**common, "probe": probe, "fold": fold.digest()})
            if not setting.records.has(key):
                missing.append((probe, number, key))
    if not missing:
        return
    inputs = make_inputs(setting.cache, source, seed, config.finetune)
    frames, shape = inputs.frames, inputs.encoder
    if shape is None:
        check_rate(source.name, times, frames, np.array([each.segments.end[-1] for each in data.utterances]))
    n_out = [int(n) if shape is None else shape.n_frames(int(n)) for n in frames.n_frames]
    labels = [
        each.segments.labels_at(times.middles(n), data.phones.numbers)
        for each, n in zip(data.utterances, n_out, strict=True)
    ]
    labelled = LabelledFrames(frames, labels, shape)
    for probe, number, key in missing:
        plan = Plan(
            dim=frames.dim,
            n_classes=len(data.phones.trained),
            hidden=config.hidden if probe == "hidden" else 0,
            context=config.context,
            encoder=shape,
            layer=inputs.layer,
        )
        trial = Trial(
            config.out / "runs" / key, [each.name for each in data.utterances],
            [each.segments for each in data.utterances], data.phones, labelled, times, setting.folds[number], seed, plan,
            config, inputs.scaling, inputs.weights, setting.mesh,
        )  # fmt: skip
        began = time.perf_counter()
        outcome = run_trial(trial, config.keep_checkpoints)
        facts = {
            "features": source.title(config.finetune),
            "kind": source.recorded_kind,
            "probe": probe,
            "finetune": learns,
            "seed": seed,
            "wall_s": round(time.perf_counter() - began, 2),
        }
        record = _record(setting, number, times, outcome, facts, common)
        setting.records.write(key, record)
        log.info(
            "%s, %s, seed %d, fold %d/%d (%s): frame accuracy %s, %d steps in %.1f s",
            record["features"], probe, seed, number + 1, len(setting.folds), setting.folds[number].name,
            ", ".join(f"{part} {100 * value:.1f}%" for part, value in record["accuracy"].items()), outcome.n_steps,
            record["wall_s"],
        )  # fmt: skip


def _record(
    setting: _Setting, number: int, times: FrameTimes, outcome: Outcome, facts: dict[str, Any], common: dict[str, Any]
) -> dict[str, Any]:
    data, fold = setting.data, setting.folds[number]
    tested = [data.utterances[each] for each in fold.test]
    parts = [each.part or "test" for each in tested]
    accuracy = {}
    for part in dict.fromkeys(parts):
        chosen = [place for place, each in enumerate(parts) if each == part]
        true, predicted = (np.concatenate([of[each] for each in chosen]) for of in (outcome.true, outcome.predicted))
        accuracy[part] = frame_accuracy(true, predicted, data.phones.folded)
    return {
        "dataset": {"name": data.name, "title": data.title, "digest": data.digest},
        "phones": {"trained": data.phones.trained, "scored": data.phones.scored, "folded": data.phones.folded.tolist()},
        **facts,
        "fold": described_fold(fold, number, len(setting.folds)),
        "frames": {"first_ms": times.first / 16, "hop_ms": times.hop / 16},
        "chosen": described_choice(outcome.steps, outcome.development, setting.config.choose_by),
        "steps": outcome.n_steps,
        "curve": outcome.curve,
        "accuracy": accuracy,
        "test": {
            "utterances": [each.name for each in tested],
            "speakers": [each.speaker for each in tested],
            "parts": parts,
            # One word for each scored instant, every 10 ms. JSON numbers on lines of their own would make files of megabytes.
            "true": [_as_text(each, data.phones.trained) for each in outcome.true],
            "predicted": [_as_text(each, data.phones.trained) for each in outcome.predicted],
        },
        "made_with": made_here(),
        "identity": common,
    }


def _as_text(classes: np.ndarray, names: Sequence[str]) -> str:
    return " ".join(NO_PHONE if each == UNLABELLED else names[each] for each in classes)
