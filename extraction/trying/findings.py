"""Describe the state of the data in words and tables, before any encoder runs."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from extraction.trying.copies import Copies, find_copies
from extraction.trying.examining import Facts
from extraction.trying.finding import Found
from extraction.trying.groups import NamedGroups, groups_in_names
from jfewshot.printable import counted
from jfewshot.reporting.grid import Grid, grid

_SHOWN = 3
_MOST_ROWS = 60
_LOSSY = ("MP3", "MPEG", "VORBIS", "OPUS", "GSM", "ULAW", "ALAW", "ADPCM", "G721", "G723")


@dataclasses.dataclass(frozen=True)
class Findings:
    """The findings about the data.

    Attributes:
      summary: numbers of clips and classes, durations and formats, in a sentence.
      warnings: sentences about problems of the data, the most important first.
      classes: a table of the classes.
      left_out: a table of the files that are not used, with reasons; None if there are no such files.
      copies: recordings that exist twice.
      named_groups: probable groups in file names, if the clips have no groups; None if there are none.
    """

    summary: str
    warnings: tuple[str, ...]
    classes: Grid
    left_out: Grid | None
    copies: Copies
    named_groups: NamedGroups | None


def find_findings(found: Found, facts: Sequence[Facts], drop_copies: bool = False) -> Findings:
    """Collect the findings about the data.

    Args:
      found: the clips.
      facts: facts about the clips that were not left out.
      drop_copies: whether the user leaves out identical recordings, as `to_drop` chooses them.

    Returns:
      the findings.
    """
    label = {one.clip_id: one.label for one in found.recordings}
    group = {one.clip_id: one.group for one in found.recordings}
    good = [one for one in facts if not one.reason]
    copies = find_copies(good)
    named = None if any(group.values()) else _named_groups(good, label)
    warnings = [
        _unreadable(facts, found),
        _identical(copies, label, group, drop_copies),
        _alike(copies, label),
        _formats(good, label),
        _durations(good, label),
        _levels(good),
        _long(good),
        _groups(named),
        *found.not_taken,
    ]
    return Findings(
        _summary(good, label, group),
        tuple(text for text in warnings if text),
        _classes(found, facts, label),
        _left_out(found, facts),
        copies,
        named,
    )


def to_drop(copies: Copies, label: Mapping[str, str]) -> dict[str, str]:
    """Choose identical recordings to leave out, with reasons: all but the first, or all if their classes differ.

    Args:
      copies: copies from `find_copies`.
      label: class of each clip.
    """
    reasons = {}
    for ids in copies.identical:
        differ = len({label[clip] for clip in ids}) > 1
        for clip in ids if differ else ids[1:]:
            other = next(one for one in ids if one != clip)
            reasons[clip] = f"identical to {other}" + (f", which is of class '{label[other]}'" if differ else "")
    return reasons


def _summary(good: Sequence[Facts], label: Mapping[str, str], group: Mapping[str, str]) -> str:
    if not good:
        return "No clip can be read."
    durations = np.array([one.duration_s for one in good])
    rates = collections.Counter(one.rate for one in good)
    kinds = collections.Counter(one.kind for one in good)
    n_groups = len({group[one.clip_id] for one in good} - {""})
    n_classes = len({label[one.clip_id] for one in good})
    text = (
        f"{counted(len(good), 'clip')} of {counted(n_classes, 'class', 'classes')}, {_time(float(durations.sum()))} of sound; "
        f"{_lengths(durations)}; "
        f"{_counted(rates, lambda rate: f'{rate:,} Hz')}; {_counted(kinds, str)}"
    )
    return f"{text}; {counted(n_groups, 'group')}." if n_groups else f"{text}."


def _lengths(durations: np.ndarray) -> str:
    least, most, middle = (f"{value:.3g}" for value in (durations.min(), durations.max(), np.median(durations)))
    return f"clips of {least} s" if least == most else f"clips of {least} to {most} s, median {middle} s"


def _unreadable(facts: Sequence[Facts], found: Found) -> str:
    bad = [f"{one.clip_id} ({one.reason})" for one in facts if one.reason]
    bad += [f"{one.clip_id} ({one.left_out})" for one in found.recordings if one.left_out]
    return f"{counted(len(bad), 'file')} cannot be used: {_some(bad, '; ')}." if bad else ""


def _identical(copies: Copies, label: Mapping[str, str], group: Mapping[str, str], dropped: bool) -> str:
    if not copies.identical:
        return ""
    across = [ids for ids in copies.identical if len({label[clip] for clip in ids}) > 1]
    between = [ids for ids in copies.identical if len({group[clip] for clip in ids}) > 1]
    shown = _some([" = ".join(ids[:3]) for ids in copies.identical], "; ")
    n = sum(len(ids) - 1 for ids in copies.identical)
    text = f"{counted(n, 'recording is', 'recordings are')} identical to another one: {shown}."
    if len(across) == len(copies.identical):
        text += " The copies are in different classes."
    elif across:
        some = _some([" = ".join(ids[:3]) for ids in across], "; ")
        text += f" Copies are in different classes in {counted(len(across), 'case')}: {some}."
    if between:
        text += f" Copies are in different groups in {counted(len(between), 'case')}."
    if not dropped:
        return f"{text} Accuracy is too high if a clip is tested whose copy was trained on; --drop-copies leaves copies out."
    return f"{text} The copies were left out" + (
        ", and recordings whose copy is of another class as well." if across else "."
    )


def _alike(copies: Copies, label: Mapping[str, str]) -> str:
    if not copies.alike:
        return ""
    across = sum(label[a] != label[b] for a, b in copies.alike)
    named = _some([f"{a} ~ {b}" for a, b in copies.alike], "; ")
    classes = f", {across} of them in two classes" if across else ""
    pairs = counted(len(copies.alike), "pair of recordings is", "pairs of recordings are")
    return (
        f"{pairs} nearly identical{classes}: {named}. The two recordings of a pair may be one sound at different "
        "levels or in different formats; remove one of each pair."
    )


def _formats(good: Sequence[Facts], label: Mapping[str, str]) -> str:
    said = []
    for what, value in (("sample rate", _rate), ("coding", _coding)):
        by_class: dict[str, collections.Counter[str]] = {}
        for one in good:
            by_class.setdefault(label[one.clip_id], collections.Counter())[value(one)] += 1
        shares = {name: {key: n / counts.total() for key, n in counts.items()} for name, counts in by_class.items()}
        values = {key for own in shares.values() for key in own}
        for key in sorted(values):
            mostly = [name for name, own in shares.items() if own.get(key, 0.0) >= 0.8]
            hardly = [name for name, own in shares.items() if own.get(key, 0.0) <= 0.2]
            if mostly and hardly and len(mostly) <= len(hardly):
                said.append(f"{what} {key}: {_some(sorted(mostly))}")
    if not said:
        return ""
    return (
        f"Some classes were recorded in another way than the others ({'; '.join(said)}). An encoder may recognise these classes "
        "by the recording and not by their sound: convert all clips to the lowest rate and to one coding, and try again."
    )


def _rate(one: Facts) -> str:
    return f"{one.rate:,} Hz"


def _coding(one: Facts) -> str:
    """Name of a lossy coding, or one name for all lossless codings: only lossy codings change the sound."""
    return next((name for name in _LOSSY if name in one.kind.upper()), "without loss")


def _durations(good: Sequence[Facts], label: Mapping[str, str]) -> str:
    """Warn if most of the variance of the durations, on a logarithmic scale, lies between classes."""
    by_class: dict[str, list[float]] = {}
    for one in good:
        by_class.setdefault(label[one.clip_id], []).append(float(np.log(one.duration_s)))
    groups = [np.array(values) for values in by_class.values() if len(values) > 2]
    if len(groups) < 2:
        return ""
    every = np.concatenate(groups)
    between = sum(len(own) * (own.mean() - every.mean()) ** 2 for own in groups)
    share = between / max(float(((every - every.mean()) ** 2).sum()), 1e-12)
    if every.std() < 0.1 or share < 0.5:
        return ""
    medians = sorted((float(np.exp(np.median(values))), name) for name, values in by_class.items())
    (low, short), (high, long) = medians[0], medians[-1]
    return (
        f"The duration alone tells classes apart ({100 * share:.0f}% of its variance lies between classes: '{short}' "
        f"{low:.2g} s, '{long}' {high:.2g} s at the median). Check whether this will also hold for new recordings."
    )


def _levels(good: Sequence[Facts]) -> str:
    silent = [f"{one.clip_id} ({one.peak_db:.0f} dB)" for one in good if one.is_silent]
    clipped = [f"{one.clip_id} ({100 * one.clipped:.0f}%)" for one in good if one.clipped > 0.01]
    parts = []
    if silent:
        parts.append(f"{counted(len(silent), 'clip is', 'clips are')} nearly silent: {_some(silent)}.")
    if clipped:
        parts.append(
            f"{counted(len(clipped), 'clip is', 'clips are')} clipped in more than 1% of the samples: {_some(clipped)}."
        )
    return " ".join(parts)


def _long(good: Sequence[Facts]) -> str:
    long = [one.clip_id for one in good if one.duration_s > 60]
    if not long:
        return ""
    return (
        f"{counted(len(long), 'clip lasts', 'clips last')} more than a minute: {_some(long)}. A labelled clip is represented by "
        "one of its pieces, drawn at random: if the sound fills only a part of the recording, cut this part out first."
    )


def _groups(named: NamedGroups | None) -> str:
    if named is None:
        return ""
    return (
        f"Part {named.part} of the file names ({', '.join(named.examples)}, ...; {named.n_groups} values) looks like a speaker, "
        "site or recording: clips of one class that share it sound more alike than others in "
        f"{100 * named.area:.0f}% of comparisons (chance is 50%). If so, keep these groups apart: --group-from {named.part}"
    )


def _named_groups(good: Sequence[Facts], label: Mapping[str, str]) -> NamedGroups | None:
    heard = [one for one in good if not one.is_silent]
    if len(heard) < 10:
        return None
    prints = np.stack([one.fingerprint for one in heard if one.fingerprint is not None]).astype(np.float64)
    # The mean spectrum without its level: it depends on the voice, the room and the microphone of a recording.
    spectrum = prints.mean(axis=1)
    spectrum -= spectrum.mean(axis=1, keepdims=True)
    ids = [one.clip_id for one in heard]
    return groups_in_names(ids, [label[clip] for clip in ids], spectrum)


def _classes(found: Found, facts: Sequence[Facts], label: Mapping[str, str]) -> Grid:
    by_class: dict[str, list[Facts]] = {one.label: [] for one in found.recordings}
    for one in facts:
        by_class[label[one.clip_id]].append(one)
    left = collections.Counter(one.label for one in found.recordings if one.left_out)
    rows = []
    for name in sorted(by_class, key=lambda name: (-len(by_class[name]), name)):
        good = [one for one in by_class[name] if not one.reason]
        unused = len(by_class[name]) - len(good) + left[name]
        durations = [one.duration_s for one in good]
        rows.append(
            [
                name or "(no label)",
                _listed(_rate(one) for one in good),
                _listed(one.kind for one in good),
                str(len(good)),
                str(unused),
                f"{sum(durations):.0f}",
                f"{np.median(durations):.2f}" if durations else "–",
            ]
        )
    headings = ["Class", "Sample rates", "Formats", "Clips", "Not used", "Seconds", "Median (s)"]
    notes = (
        [f"{counted(len(rows) - _MOST_ROWS, 'more class is', 'more classes are')} in classes.csv."]
        if len(rows) > _MOST_ROWS
        else []
    )
    return grid("Classes", headings, rows, notes, n_labels=3)


def _left_out(found: Found, facts: Sequence[Facts]) -> Grid | None:
    rows = [[one.clip_id, one.label, one.left_out] for one in found.recordings if one.left_out]
    label = {one.clip_id: one.label for one in found.recordings}
    rows += [[one.clip_id, label[one.clip_id], one.reason] for one in facts if one.reason]
    return grid("Files that are not used", ["File", "Class", "Why"], sorted(rows), n_labels=3) if rows else None


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"{value} ({n})" if n else value for value, n in _with_counts(values))


def _with_counts(values: Iterable[str]) -> list[tuple[str, int]]:
    counts = collections.Counter(values).most_common(_SHOWN)
    return [(value, n if len(counts) > 1 else 0) for value, n in counts]


def _counted(counts: collections.Counter, word: Callable[..., str]) -> str:
    if len(counts) == 1:
        return f"all {word(next(iter(counts)))}"
    return ", ".join(f"{n} {word(value)}" for value, n in counts.most_common(_SHOWN)) + (
        ", ..." if len(counts) > _SHOWN else ""
    )


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _some(items: Sequence[str], between: str = ", ") -> str:
    more = f"{between}and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return between.join(items[:_SHOWN]) + more
