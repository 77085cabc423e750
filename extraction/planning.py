"""The plan of an extraction: made before any audio is read, and written to disk so that a later run continues it."""

import collections
import dataclasses
import itertools
from collections.abc import Collection, Sequence
from pathlib import Path

from extraction.alterations import AlteredDataset, noises_of
from extraction.datasets.background import add_background
from extraction.datasets.base import Dataset, Recording
from extraction.datasets.filters import leave_out_overlaps, leave_out_unread, with_windows
from extraction.datasets.splits import class_splits
from extraction.parts import Parts, parts_folder
from extraction.pooling import FRAMES, check_poolings
from extraction.progress import warn_once
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import Upstream, fixed_length, resolve_layers
from jfewshot._version import made_with
from jfewshot.audio import MIN_DURATION_S, PREPROCESSING
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_json
from jfewshot.printable import counted

# Increase this number if a change gives other rows for the same audio.
PIPELINE_VERSION = 2
_NAMED_IN_WARNINGS = 10


def find_recordings(
    dataset: Dataset, root: Path, said: set[str] | None = None, settings: ExtractionSettings | None = None
) -> tuple[list[Recording], list[dict[str, str]]]:
    """Find the clips to use, sorted by id, and those that the dataset itself leaves out, with reasons.

    Warns if the dataset should have more or other clips, and names missing ones.

    Args:
      dataset: the dataset.
      root: folder of the dataset.
      said: warnings that were given before and are not repeated; new warnings are added. None repeats all.
      settings: treatment of stretches of recordings; None for the defaults.

    Returns:
      the clips to use, and a record with `clip_id` and `reason` for each clip that the dataset leaves out.

    Raises:
      UserError: if no clip is left, or an id occurs twice.
    """
    said = set() if said is None else said
    settings = settings or ExtractionSettings()
    with Progress(f"listing the clips of {dataset.info.title}"):
        everything = leave_out_unread(dataset.recordings(root))
        # Overlaps are computed from the annotations, not from the windows around them.
        if settings.overlaps != "keep":
            everything = leave_out_overlaps(everything)
        annotated = everything
        everything = with_windows(everything, settings.pad_s, settings.fixed_s)
        if settings.background:
            everything = add_background(annotated, everything, root, settings.background)
    used = sorted((recording for recording in everything if not recording.left_out), key=lambda r: r.clip_id)
    left_out = [
        {"clip_id": recording.clip_id, "reason": recording.left_out}
        for recording in sorted(everything, key=lambda r: r.clip_id)
        if recording.left_out
    ]
    if not used:
        why = (
            f" ({len(left_out)} left out, the first: {left_out[0]['clip_id']}: {left_out[0]['reason']})"
            if left_out
            else ""
        )
        raise UserError(
            f"no clips of {dataset.info.title} below {root}{why}; docs/datasets shows how the folder must look"
        )
    for first, second in itertools.pairwise(used):
        if first.clip_id == second.clip_id:
            raise UserError(
                f"{dataset.info.title}: clip id '{first.clip_id}' is there twice; each clip needs its own id"
            )
    _compare_with_expected(dataset, used, left_out, said)
    lost = lost_classes(everything, {recording.label for recording in used}, left_out)
    if lost:
        warn_once(f"{dataset.info.title}: {lost}", said)
    if len({recording.label for recording in used}) == 1:
        warn_once(
            f"{dataset.info.title}: all {len(used)} clips are of one class, '{used[0].label}', and an episode needs several; "
            f"check that {root} is the right folder",
            said,
        )
    return used, left_out


def lost_classes(recordings: Sequence[Recording], kept: Collection[str], left_out: Sequence[dict[str, str]]) -> str:
    """A sentence that names the classes without a single usable clip.

    Args:
      recordings: all recordings.
      kept: the classes with usable clips.
      left_out: ids and reasons of clips that are left out.

    Returns:
      the sentence, or an empty text.
    """
    reasons = {item["clip_id"]: item["reason"] for item in left_out}
    lost = [recording.label for recording in recordings if recording.label and recording.label not in kept]
    counts = collections.Counter(lost)
    firsts = {recording.label: reasons.get(recording.clip_id, "") for recording in reversed(recordings)}
    items = [
        f"{label} ({counted(count, 'clip')}, the first: {firsts[label]})" for label, count in sorted(counts.items())
    ]
    have = counted(len(counts), "class has", "classes have")
    return f"{have} no clip that can be used: {_some(items, '; ')}" if counts else ""


def make_plan(
    dataset: Dataset,
    recordings: list[Recording],
    left_out: list[dict[str, str]],
    upstream: Upstream,
    settings: ExtractionSettings,
    store: Path,
) -> Parts:
    """Make the plan of one store: everything that determines its contents.

    Args:
      dataset: the dataset.
      recordings: the clips to use, sorted by id.
      left_out: a record with `clip_id` and `reason` for each clip that the dataset leaves out.
      upstream: the encoder.
      settings: settings of the extraction.
      store: folder of the store.

    Returns:
      the plan, with the folder for finished parts.

    Raises:
      UserError: if a layer or pooling does not exist, if frames of clips are requested that are cut into segments, or if segments
        are longer than the encoder takes.
    """
    layers, poolings, default_view = _views(upstream, settings)
    segment_samples = settings.segment_samples(upstream.segment_samples, upstream.sample_rate)
    only = fixed_length(upstream)
    if only is not None and segment_samples != only:
        raise UserError(
            f"{upstream.name} takes segments of {only} samples ({only / upstream.sample_rate:g} s) only: leave out --segment "
            f"{settings.segment}"
        )
    most = getattr(upstream, "max_samples", None)
    if most is not None and segment_samples is not None and segment_samples > most:
        raise UserError(
            f"{upstream.name} takes at most {most / upstream.sample_rate:g} s at once, segments are "
            f"{segment_samples / upstream.sample_rate:g} s; pass --segment {most / upstream.sample_rate:g} or less"
        )
    if FRAMES in poolings and segment_samples is not None:
        raise UserError("pooling 'frames' keeps the frames of whole clips: pass --segment whole")
    table = [
        [r.clip_id, r.label, r.group, r.split, *_stretch(r), *([dict(r.further)] if r.further else [])]
        for r in recordings
    ]
    noises = noises_of(dataset)
    plan = {
        "pipeline_version": PIPELINE_VERSION,
        "dataset": {
            key: value
            for key, value in dataclasses.asdict(dataset.info).items()
            if key in ("name", "title", "licence", "source", "citation", "altered") and value
        },
        **({"alteration": dataset.alteration.text} if isinstance(dataset, AlteredDataset) else {}),
        **({} if noises is None else {"noise": noises.identity}),
        "clips": len(recordings),
        "clips_sha256": sha256_of_json(table),
        "left_out": left_out,
        "upstream": {
            key: getattr(upstream, key)
            for key in ("name", "title", "revision", "licence", "source", "n_parameters")
            if getattr(upstream, key) not in ("", None)
        }
        | ({"fixed_segment_samples": only} if only is not None else {})
        | _frame_times(upstream),
        "packages": sorted(getattr(upstream, "packages", ())),
        "layers": list(layers),
        "pooling": list(poolings),
        **({} if default_view is None else {"default_view": default_view}),
        "dtype": settings.dtype,
        "sample_rate": upstream.sample_rate,
        "segment_samples": segment_samples,
        "preprocessing": preprocessing_words(segment_samples, upstream.sample_rate),
        "block_clips": settings.block_clips,
    }
    return Parts(parts_folder(store), plan, tuple(recordings))


def _views(upstream: Upstream, settings: ExtractionSettings) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """Layers, poolings and the default view: the requested one, or else the encoder's own. It is added to the views."""
    check_poolings(settings.pooling)
    layers, poolings, asked = resolve_layers(upstream, settings.layers), settings.pooling, settings.default_view
    if asked is not None:
        layer, _, pooling = asked.rpartition(".")
        if layer not in layers or pooling not in poolings or pooling == FRAMES:
            views = ", ".join(f"{layer}.{pooling}" for layer in layers for pooling in poolings if pooling != FRAMES)
            raise UserError(
                f"--default-view {asked} is not among the views that are extracted ({views or 'frames alone'}); name one of them"
            )
        return layers, poolings, asked
    own = getattr(upstream, "default_view", None)
    if own is None or FRAMES in poolings:
        return layers, poolings, None
    layer, _, pooling = own.rpartition(".")
    check_poolings((pooling,))
    resolve_layers(upstream, (layer,))
    return tuple(dict.fromkeys((*layers, layer))), tuple(dict.fromkeys((*poolings, pooling))), own


def versions_of(parts: Parts) -> dict[str, str]:
    """Versions of the packages that turn audio into rows, for the manifest, and the digest of the plan.

    With the field `plan` a later run recognises that a finished store is the requested one.
    """
    return made_with("numpy", "soundfile", "soxr", *parts.plan["packages"]) | {"plan": parts.digest}


def preprocessing_words(segment_samples: int | None, sample_rate: int) -> str:
    """A sentence for a manifest about the preparation of the audio.

    Args:
      segment_samples: length of a segment; None for whole clips.
      sample_rate: sample rate of the encoder in Hz.
    """
    if segment_samples is None:
        return f"{PREPROCESSING}; whole clips"
    return (
        f"{PREPROCESSING}; segments of {segment_samples / sample_rate:g} s, a short last one or a short clip repeated "
        f"circularly, a tail under {MIN_DURATION_S * 1000:.0f} ms behind a full segment dropped"
    )


def _compare_with_expected(
    dataset: Dataset, used: list[Recording], left_out: list[dict[str, str]], said: set[str]
) -> None:
    info = dataset.info
    counts = collections.Counter(recording.label for recording in used)
    missing = sorted(set(class_splits(info.class_list)) - set(counts)) if info.class_list else []
    if info.n_clips is not None and len(used) != info.n_clips:
        fewest = sorted(counts.items(), key=lambda item: (item[1], item[0]))[:_NAMED_IN_WARNINGS]
        shown = ", ".join(f"{label} {count}" for label, count in fewest)
        warn_once(
            f"{info.title}: found {len(used)} of {info.n_clips} clips; the classes with the fewest: {shown}", said
        )
    if missing or (info.n_classes is not None and len(counts) != info.n_classes):
        shown = f"; missing: {_some(missing)}" if missing else ""
        wanted = info.n_classes or len(counts) + len(missing)
        warn_once(f"{info.title}: found {len(counts)} of {wanted} classes{shown}", said)
    if left_out:
        items = [f"{item['clip_id']}: {item['reason']}" for item in left_out]
        warn_once(f"{info.title}: {counted(len(left_out), 'clip')} left out ({_some(items, '; ')})", said)


def _some(names: list[str], between: str = ", ") -> str:
    """The first names of a list, and the number of the others."""
    more = f"{between}and {len(names) - _NAMED_IN_WARNINGS} more" if len(names) > _NAMED_IN_WARNINGS else ""
    return between.join(names[:_NAMED_IN_WARNINGS]) + more


def _frame_times(upstream: Upstream) -> dict[str, dict[str, str | float]]:
    """Times of the frames of a layer, for encoders that define them."""
    times = getattr(upstream, "frame_times", None)
    if times is None:
        return {}
    layer, first_s, hop_s = times
    return {"frame_times": {"layer": layer, "first_s": first_s, "hop_s": hop_s}}


def _stretch(recording: Recording) -> list[float]:
    """The stretch of a recording for a plan; nothing for a whole file, so that plans of earlier versions stay
    valid."""
    return [] if recording.start_s is None or recording.end_s is None else [recording.start_s, recording.end_s]
