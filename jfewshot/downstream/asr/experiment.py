"""Runs all folds and seeds of every kind of features. An interrupted experiment continues."""

import dataclasses
import itertools
import logging
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jfewshot.commandline.progress import Progress, tracked
from jfewshot.downstream.asr.batches import FrameSignals, Signals, WaveSignals
from jfewshot.downstream.asr.config import DECODING, FREE, AsrConfig
from jfewshot.downstream.asr.datasets import AsrData
from jfewshot.downstream.asr.language_model import read_language_model
from jfewshot.downstream.asr.planning import (
    cached_parts,
    chosen_sources,
    features_title,
    frames_by_header,
    identity,
    is_frozen,
    make_plan,
)
from jfewshot.downstream.asr.preparation import (
    Division,
    chosen_data,
    header_samples,
    make_divisions,
    note_too_short,
    without,
)
from jfewshot.downstream.asr.scores import count_errors, metrics_of
from jfewshot.downstream.asr.training import Fixed
from jfewshot.downstream.asr.trial import Recognised, Trial, recognise, train
from jfewshot.downstream.cache import FrameCache
from jfewshot.downstream.folds import Fold
from jfewshot.downstream.inputs import Inputs, make_inputs
from jfewshot.downstream.left_out import report_unusable
from jfewshot.downstream.records import RecordFolder, described_fold, made_here, refuse_other_features
from jfewshot.downstream.scaling import Scaling, scaling_of, scaling_of_frames
from jfewshot.downstream.sources import Source, fbank_frames
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file, writable_folder
from jfewshot.simclr.augmentation import Banks, make_banks
from jfewshot.simclr.features import Moments
from jfewshot.training.config import as_record, settle_record
from jfewshot.training.devices import make_mesh

log = logging.getLogger(__name__)

# Raise it when the same settings and audio would give other predictions.
NUMERICS_VERSION = 1
_RATE = 16_000
# Number of training utterances from which mean and standard deviation of frames are computed, if the encoder has none.
_STATISTICS = 500


def record_folder(config: AsrConfig) -> RecordFolder:
    """The folder of the experiment's records."""
    return RecordFolder(config.out / "records", "jfewshot-asr", NUMERICS_VERSION)


@dataclasses.dataclass(frozen=True, eq=False)
class _Setting:
    """The settings that all sources of features share."""

    config: AsrConfig
    data: AsrData
    divisions: list[Division]
    cache: FrameCache
    place: np.ndarray
    """Number of each utterance in the cache; -1 if the cache lacks it."""
    samples: np.ndarray
    records: RecordFolder
    mesh: Any


def run_experiment(config: AsrConfig) -> list[dict[str, Any]]:
    """Run the folds and seeds that have no record yet.

    Returns:
      All records of the folder, older ones too.

    Raises:
      UserError: unusable data or features, or a folder that holds another experiment.
    """
    data, sources = chosen_data(config), chosen_sources(config)
    folder = writable_folder(config.out, "the experiment")
    unusable: dict[str, str] = {}
    divisions = make_divisions(data, config, unusable)
    samples = header_samples(data.utterances, _RATE, unusable)
    # If waves are augmented, training decodes audio; all other frames are computed once.
    cached = {int(n) for each in divisions for part in cached_parts(each.fold, config) for n in part}
    numbers = sorted(n for n in cached if data.utterances[n].name not in unusable)
    cache = FrameCache(folder / "features", [(data.utterances[n].name, data.utterances[n].path) for n in numbers])
    heard = {source.fbank for each in sources for source in each if source.kind != "store"}
    other = sorted({settings.sample_rate for settings in heard} - {_RATE})
    if other:
        raise UserError(
            f"an encoder takes audio at {other[0]} Hz; recognition is built for {_RATE} Hz: give one of that rate"
        )
    with Progress("computing features"):
        silent = cache.unusable(heard)
    cache, unusable = cache.without(set(silent)) if silent else cache, unusable | silent
    place = _places(data, cache)
    for plan in {make_plan(config, each[0], 2, samples) for each in sources if each[0].kind != "store"}:
        note_too_short(data, divisions, frames_by_header(plan, samples), unusable, "the model")
    report_unusable(unusable, len(data.utterances), config.on_error)
    long = samples > config.longest_s * _RATE
    divisions = without(divisions, lambda n: data.utterances[n].name not in unusable, data.title)
    divisions = [dataclasses.replace(each, fold=_shortened(each.fold, long)) for each in divisions]
    settle_record(folder, config, {"utterances": len(data.utterances), "digest": data.digest}, _free(config))
    records = record_folder(config)
    refuse_other_features(config.out, records.read(), sources, lambda source: features_title(config, source), identity)
    setting = _Setting(config, data, divisions, cache, place, samples, records, make_mesh(config.devices, config.batch))
    log.info(
        "%s: %d utterances, %.2f h, %d folds; %d kinds of features, %d seeds", data.title, len(data.utterances),
        samples.sum() / _RATE / 3600, len(divisions), len(sources), config.seeds,
    )  # fmt: skip
    runs = list(itertools.product(range(config.seeds), sources, divisions))
    for seed, each, division in tracked(runs, "all runs", "runs"):
        _run(setting, each[seed], seed, division)
    return setting.records.read()


def _free(config: AsrConfig) -> tuple[str, ...]:
    return (*FREE, *DECODING, *(f"beam.{field.name}" for field in dataclasses.fields(config.beam)))


def _places(data: AsrData, cache: FrameCache) -> np.ndarray:
    row = {name: number for number, (name, _) in enumerate(cache.utterances)}
    return np.array([row.get(each.name, -1) for each in data.utterances])


def _shortened(fold: Fold, long: np.ndarray) -> Fold:
    kept = fold.training[~long[fold.training]]
    if len(kept) < len(fold.training):
        log.info("%d training utterances are longer than --longest-s and left out", len(fold.training) - len(kept))
    return dataclasses.replace(fold, training=kept)


def _run(setting: _Setting, source: Source, seed: int, division: Division) -> None:
    """Run one fold with one seed, unless it has a record."""
    config, data = setting.config, setting.data
    settings = as_record(config)
    fold = _share(division.fold, config.train_share, seed)
    trained = {
        "settings": {name: value for name, value in settings.items() if name not in _free(config) and name != "beam"},
        "data": data.digest,
        "features": identity(source, seed),
        "seed": seed,
        "train_share": config.train_share,
        "units": division.units.record(),
        "fold": fold.digest(),
    }
    decoding: dict[str, Any] = {"decode": config.decode}
    if config.decode == "beam":
        decoding |= {"beam": settings["beam"], "lm": config.lm and sha256_of_file(config.lm)}
    key = setting.records.key({**trained, **decoding})
    if setting.records.has(key):
        return
    table = None if config.lm is None else read_language_model(config.lm, division.units)
    trial = _trial(setting, source, seed, division, fold, setting.records.key(trained))
    facts = train(trial, config.keep_checkpoints)
    found = recognise(trial, fold.test, config.beam if config.decode == "beam" else None, table)
    record = {
        "dataset": {"name": data.name, "title": data.title, "digest": data.digest},
        "features": features_title(config, source),
        "kind": source.kind,
        "model": config.model,
        "units": division.units.kind,
        "seed": seed,
        "train_share": config.train_share,
        "fold": described_fold(fold, division.number, division.of),
        "parameters": int(sum(np.size(value) for value in _sizes(trial))),
        **facts,
        "choose_by": config.choose_by,
        "decoding": decoding,
        "decoding_s": found.decoding_s,
        **_scores(trial, found),
        "test": _listed(data, fold, found),
        "made_with": made_here(),
        "identity": trained,
    }
    setting.records.write(key, record)
    log.info(
        "%s, seed %d, fold %d/%d (%s): %s, %d steps in %.1f s, decoded in %.1f s", record["features"], seed,
        division.number + 1, division.of, fold.name,
        ", ".join(f"{name} {100 * value:.1f}%" for name, value in record["rates"].items()),
        facts["steps"], facts["training_s"], found.decoding_s,
    )  # fmt: skip


def _share(fold: Fold, share: float, seed: int) -> Fold:
    if share == 1.0:
        return fold
    drawn = np.random.default_rng([seed, 9]).permutation(fold.training)
    return dataclasses.replace(fold, training=np.sort(drawn[: max(1, round(share * len(drawn)))]))


def _trial(setting: _Setting, source: Source, seed: int, division: Division, fold: Fold, key: str) -> Trial:
    config, data = setting.config, setting.data
    inputs = make_inputs(setting.cache, source, seed, not is_frozen(config))
    plan = make_plan(config, source, len(division.units), setting.samples, inputs.frames)
    signals = FrameSignals(inputs.frames, setting.place)
    training: Signals = signals
    banks = Banks(jnp.zeros((0, 0)), jnp.zeros((0, 0)))
    if plan.fbank is not None and plan.augmentation is not None:
        training = WaveSignals([each.path for each in data.utterances], setting.samples, plan.fbank.sample_rate)
        longest = training.round_up(setting.samples[fold.training].max())
        banks = make_banks(config.augmentation, longest, plan.fbank.sample_rate, 0)
    fixed = Fixed(inputs.scaling or _scaling(setting, source, fold, inputs), banks)
    return Trial(
        config.out / "runs" / key, config.out / "models" / f"{key}.npz",
        [each.name for each in data.utterances], [each.text for each in data.utterances], division.units,
        division.transcripts, training, signals, fold, seed, plan, fixed, inputs.weights, config.batch, config.epochs,
        config.evaluate_every, config.average_best, config.choose_by, config.buckets, config.threads, setting.mesh,
    )  # fmt: skip


def _scaling(setting: _Setting, source: Source, fold: Fold, inputs: Inputs) -> Scaling:
    """Mean and standard deviation of the frames of some training utterances."""
    chosen = np.random.default_rng(0).permutation(fold.training)[:_STATISTICS]
    if np.all(setting.place[chosen] >= 0):
        return scaling_of_frames(inputs.frames, setting.place[chosen])
    parts, _ = fbank_frames([setting.data.utterances[n].path for n in chosen], source.fbank)
    moments = Moments()
    for part in parts:
        moments.update(part)
    return scaling_of(moments.mean, moments.std)


def _sizes(trial: Trial) -> Sequence[Any]:
    with np.load(trial.model_path, allow_pickle=False) as archive:
        return [archive[name] for name in archive.files if name.startswith("params/")]


def _scores(trial: Trial, found: Recognised) -> dict[str, Any]:
    said = [trial.units.scored(trial.texts[number]) for number in trial.fold.test]
    ways = {"greedy": found.greedy} | ({"beam": found.beam} if found.beam is not None else {})
    errors: dict[str, Any] = {}
    rates: dict[str, float] = {}
    for way, texts in ways.items():
        for metric in metrics_of(trial.units):
            counts = count_errors(metric, said, [trial.units.scored(text) for text in texts])
            errors.setdefault(way, {})[metric] = {"errors": counts.errors.tolist(), "lengths": counts.lengths.tolist()}
            rates[f"{metric} ({way})"] = round(counts.rate, 6)
    return {"rates": rates, "errors": errors}


def _listed(data: AsrData, fold: Fold, found: Recognised) -> dict[str, Any]:
    tested = [data.utterances[number] for number in fold.test]
    return {
        "utterances": [each.name for each in tested],
        "parts": [each.part for each in tested],
        "speakers": [each.speaker for each in tested],
        "said": [each.text for each in tested],
        "greedy": found.greedy,
        **({"beam": found.beam, "scores": found.scores} if found.beam is not None else {}),
    }
