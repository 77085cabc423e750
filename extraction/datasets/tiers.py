"""Read tiers of annotations from Praat's TextGrids, with praatio, and from ELAN's files, with pympi-ling.

A tier is a sequence of intervals with a text each, for instance words or calls. One tier gives the classes: the only one, or the
one that `--column.tier` names. Each package is imported only when a file of its kind is read.
"""

import codecs
import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from extraction.datasets.annotation_files import Selection, last_name
from extraction.datasets.base import Columns
from extraction.datasets.elan_times import annotations_of
from extraction.datasets.layout import require_package
from extraction.datasets.own import seconds_of
from jfewshot.audio import AUDIO_SUFFIXES
from jfewshot.errors import UserError


def read_textgrid(path: Path, columns: Columns) -> Iterator[Selection]:
    """Read the labelled intervals of one tier of a TextGrid (Praat's manual, "TextGrid file formats").

    The intervals of a tier cover the whole recording. An interval without text means that nothing is annotated there, and makes
    no clip.

    Args:
      path: the TextGrid, text in the long or the short form.
      columns: `tier` names the tier.

    Returns:
      the intervals; `line` is the number of the interval.

    Raises:
      UserError: if praatio is missing or cannot read the file, or if the tier is missing or holds points.
    """
    textgrid = require_package("praatio.textgrid", "praatio", path, "annotations")
    try:
        read = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="silence")
    except Exception as error:  # praatio's parser raises ValueError, IndexError and errors of its own
        _refuse_without_tiers(path)
        raise _unreadable(path, "TextGrid in Praat's text format (Save as text file...)", "praatio", error) from error
    intervals = [name for name in read.tierNames if type(read.getTier(name)).__name__ == "IntervalTier"]
    name = _tier(path, columns.tier, intervals, [name for name in read.tierNames if name not in intervals])
    for number, (start_s, end_s, text) in enumerate(read.getTier(name).entries, 1):
        if text.strip():
            begin_s, stop_s = (seconds_of(str(time_s), f"{path}, interval {number}") for time_s in (start_s, end_s))
            yield Selection(number, begin_s, stop_s, text.strip())


def read_elan(path: Path, columns: Columns) -> Iterator[Selection]:
    """Read the annotations of one tier of an ELAN file (`.eaf`).

    The recording is the first linked medium with the ending of an audio file, or else the first linked medium. Without links, it
    is the recording with whose name the file's name begins. A linked medium's time origin is added to the times. Annotations
    without own times, which divide another annotation or are between two known times, are equally long, as in ELAN.

    Args:
      path: the file.
      columns: `tier` names the tier.

    Returns:
      the annotations; `line` is the number of the annotation in its tier.

    Raises:
      UserError: if pympi-ling is missing or cannot read the file, if the tier is missing, or if an annotation has no times.
    """
    elan = require_package("pympi.Elan", "pympi-ling", path, "annotations")
    try:
        # pympi prints messages about unusual files, and warns about unknown versions of the format.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = elan.Eaf(str(path))
            tiers = list(file.get_tier_names())
            name = _tier(path, columns.tier, [tier for tier in tiers if any(file.tiers[tier][:2])], tiers)
            listed = annotations_of(file, name) if name else []
            timed = [
                (start_ms, end_ms, text)
                for start_ms, end_ms, text in listed
                if start_ms is not None and end_ms is not None
            ]
            untimed = [one.text for one in listed if None in (one.start_ms, one.end_ms)]
            if untimed:
                raise UserError(
                    f"{path}: {len(untimed)} of {len(listed)} annotations of the tier {name} begin or end at a time slot without "
                    f"a time (the first: {untimed[0] or 'without text'}); align them in ELAN, or name another tier: --column.tier"
                )
            annotations = sorted(timed)
            linked = [medium for medium in file.get_linked_files() if medium.get("MEDIA_URL")]
            sound = [one for one in linked if one["MEDIA_URL"].lower().endswith(tuple(AUDIO_SUFFIXES))] or linked
            origin_ms = float(sound[0].get("TIME_ORIGIN") or 0) if sound else 0.0
    except UserError:
        raise
    except Exception as error:  # errors of the XML parser, or a KeyError for a missing element
        raise _unreadable(path, "ELAN file (.eaf)", "pympi-ling", error) from error
    recording = last_name(sound[0]["MEDIA_URL"]) if sound else ""
    for number, (start_ms, end_ms, text) in enumerate(annotations, 1):
        seconds = [(time_ms + origin_ms) / 1000 for time_ms in (start_ms, end_ms)]
        start_s, end_s = (seconds_of(str(time_s), f"{path}, annotation {number}") for time_s in seconds)
        yield Selection(number, start_s, end_s, text.strip(), recording)


def _tier(path: Path, asked: str | None, usable: Sequence[str], others: Sequence[str]) -> str:
    """The tier with the labels; empty if the user names no tier and no tier has annotations."""
    every = [*usable, *(name for name in others if name not in usable)]
    if asked is not None and asked not in every:
        raise UserError(f"{path} has no tier {asked}; it has {', '.join(every) or 'none'}")
    if asked is not None and asked not in usable and path.suffix.lower() == ".textgrid":
        raise UserError(
            f"{path}: tier {asked} holds points, which have no length; name a tier of intervals"
            + (f" ({', '.join(usable)})" if usable else "")
        )
    if asked is None and len(usable) > 1:
        raise UserError(
            f"{path} has {len(usable)} tiers ({', '.join(usable)}); name the tier of the classes: --column.tier"
        )
    if asked is None and not usable and path.suffix.lower() == ".textgrid" and others:
        raise UserError(
            f"{path} has tiers of points only ({', '.join(others)}), which have no length; it needs intervals"
        )
    return asked if asked is not None else "".join(usable)


def _refuse_without_tiers(path: Path) -> None:
    """Refuse a TextGrid that is empty or has no tiers, for which praatio only raises an IndexError."""
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    text = raw.decode(encoding, "replace").strip()
    fix = "save it again in Praat with a tier of intervals, or take it out of the folder"
    if not text:
        raise UserError(f"{path} is empty; {fix}")
    if re.search(r"<absent>\s*$|<exists>\s+(size\s*=\s*)?0\s*$", text):
        raise UserError(f"{path} has no tiers; {fix}")


def _unreadable(path: Path, kind: str, reader: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{path} is no {kind}: {reader} says {reason}")
