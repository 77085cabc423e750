"""All steps of `jfewshot apply`, and the same as a function of Python."""

import collections
import dataclasses
import json
import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from extraction.heads.options import ApplyOptions
from extraction.options import LoadingOptions
from extraction.planning import PIPELINE_VERSION
from extraction.settings import ExtractionSettings
from extraction.trying.encoders import require_audio_packages
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.files import atomic_write, sha256_of_json, writable_folder
from jfewshot.files.places import manifest_of

if TYPE_CHECKING:
    from extraction.heads.labels import Label
    from jfewshot.heads import Head

log = logging.getLogger("jfewshot.apply")

_MANIFEST, _FORMAT = "labels.json", "jfewshot-labels"


@dataclasses.dataclass(frozen=True, eq=False)
class Applied:
    """The results of `jfewshot apply`.

    Attributes:
      out: the folder of the labels.
      labels: by the name of a recording, its labelled stretches in the order of time.
      left_out: names of the recordings of which a part or all could not be labelled, with reasons.
      head: the head.
    """

    out: Path
    labels: "dict[str, list[Label]]"
    left_out: tuple[tuple[str, str], ...]
    head: "Head"

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of labelled stretches by class, the most frequent class first."""
        return dict(collections.Counter(one.label for own in self.labels.values() for one in own).most_common())


def apply_head(
    head: Path | str,
    recordings: Path | str | Sequence[Path | str],
    *,
    per: Literal["window", "clip"] = "window",
    window_s: float | None = None,
    hop_s: float | None = None,
    threshold: str | float | None = "head",
    merge: bool = False,
    all_scores: bool = False,
    formats: Sequence[Literal["csv", "raven", "audacity"]] = ("csv",),
    on_error: Literal["stop", "skip"] = "stop",
    out: Path | str | None = None,
    replace: bool = False,
    workers: int | None = None,
    upstream: str | None = None,
    device: str = "auto",
) -> Applied:
    """Label recordings with a head.

    Args:
      head: folder that `fit_head` wrote.
      recordings: audio files, and folders that contain audio files.
      per: `window`, or `clip` for one label per file.
      window_s: length of a window; None for the segment that the head was fitted on.
      hop_s: time from the beginning of one window to that of the next, in seconds; None for the length of a window.
      threshold: `head`, a number, or None: then no window is unknown.
      merge: join neighbouring windows of one class.
      all_scores: write the score of every class.
      formats: formats to write: `csv`, `raven` and `audacity`.
      on_error: `stop` at a file that cannot be read, or `skip` it.
      out: the folder for the labels; None: `labels-HEAD` in the current folder.
      replace: replace labels that were made with another head, other recordings or other arguments.
      workers: processes that decode audio; None: one for each core but one.
      upstream: name with which `load_upstream` loads the encoder; None: the name that was used when the head was fitted.
      device: device on which the encoder runs.

    Returns:
      the labels.

    Raises:
      UserError: if the caller can correct the cause; the message says how.
    """
    given = [recordings] if isinstance(recordings, Path | str) else list(recordings)
    return run_apply(
        ApplyOptions(
            head=Path(head),
            recordings=tuple(Path(path) for path in given),
            per=per,
            window_s=window_s,
            hop_s=hop_s,
            threshold="none" if threshold is None else str(threshold),
            merge=merge,
            all_scores=all_scores,
            formats=tuple(formats),
            on_error=on_error,
            out=None if out is None else Path(out),
            replace=replace,
            workers=workers,
            upstream=upstream,
            options=LoadingOptions(device=device),
        )
    )


def run_apply(options: ApplyOptions) -> Applied:
    """Run all steps of `jfewshot apply`.

    Args:
      options: the options of the command.

    Returns:
      the labels.

    Raises:
      UserError: if the user can correct the cause; the message says how.
    """
    from extraction.allocator import keep_freed_memory
    from extraction.heads.encoder import load_encoder, why_not_applied
    from extraction.heads.labels import label_windows
    from extraction.heads.labels import merge as merged
    from extraction.heads.recordings import find_sources
    from extraction.heads.scoring import SCORES, Scorer
    from extraction.heads.writing import write_labels
    from jfewshot.heads.folder import read_head

    head = read_head(options.head)
    reason = why_not_applied(head.facts)
    if reason:
        raise UserError(f"{options.head} cannot be applied to recordings: {reason}")
    windows = windows_of(options, head)
    threshold = threshold_of(options.threshold, head)
    out = (options.out or Path(f"labels-{options.head.resolve().name}")).absolute()
    _check_place(out, SCORES)
    load = options.upstream or head.facts["encoder"].get("load")
    require_audio_packages((str(load),))
    sources, unread = find_sources(options.recordings, options.on_error)
    scoring = {
        "head": head.facts["scoring_sha256"],
        "encoder": [head.facts["encoder"]["name"], head.facts["encoder"].get("revision")],
        "pipeline_version": PIPELINE_VERSION,
        "recordings": sha256_of_json([[one.name, one.duration_s, *_stamp(one.path)] for one in sources]),
        "windows": [windows.window_s, windows.hop_s],
    }
    asked = {
        "threshold": threshold,
        "merge": options.merge,
        "formats": sorted(options.formats),
        "all": options.all_scores,
    }
    plan = sha256_of_json({**scoring, **asked, "unread": unread})
    there = manifest_of(out / _MANIFEST, _FORMAT)
    is_same = there is not None and there.get("plan") == plan
    if there is not None and not is_same and not options.replace:
        raise UserError(
            f"{out} holds labels that were made with another head, other recordings or other options; name another --out, or "
            "replace them with --replace"
        )
    if there is not None and is_same:
        missing = [name for name in there["files"] if not (out / name).is_file()]
        if missing:
            log.info("%s lacks %s, which is written again", out, ", ".join(missing[:3]))
        else:
            log.info("%s holds these labels already", out)
    keep_freed_memory()

    def loaded():
        names = [load] if load else []
        encoder = load_encoder(
            head, str(options.head), options.upstream, options.options.for_upstreams(names).of(load or "")
        )
        writable_folder(out, "labels")
        return encoder

    scorer = Scorer(head, loaded, sources, windows, out / SCORES, scoring)
    scored = scorer.run(ExtractionSettings(workers=options.workers).n_workers, options.on_error, options.replace)
    labels = {}
    for one in scored:
        own = label_windows(head, one, windows, threshold)
        labels[one.source.name] = merged(own, windows, one.source.duration_s) if options.merge else own
    left_out = [*unread, *((one.source.name, one.reason) for one in scored if one.reason)]
    if not any(labels.values()):
        name, reason = left_out[0]
        raise UserError(
            f"not one of {len(labels) + len(unread)} recordings could be labelled; the first: {name}: {reason}"
        )
    with Progress("writing the labels"):
        columns = head.classes if options.all_scores else ()
        rate = int(head.facts["audio"]["sample_rate"])
        files = write_labels(out, options.formats, list(labels.items()), rate, columns)
        for name in set(there["files"] if there else ()) - set(files):
            (out / name).unlink(missing_ok=True)
        _write_manifest(out, plan, files, head, options, windows, threshold, left_out)
    return Applied(out, labels, tuple(left_out), head)


def windows_of(options: ApplyOptions, head: "Head") -> Any:
    """The windows into which the options cut recordings.

    Raises:
      UserError: if the window or the hop is impossible.
    """
    from extraction.heads.recordings import Windows

    if options.per == "clip":
        if options.window_s is not None or options.hop_s is not None or options.merge:
            raise UserError("--per clip gives each file one label: leave out --window-s, --hop-s and --merge")
        return Windows(None, None)
    segment = head.facts["audio"]["segment_samples"]
    window_s = options.window_s
    if window_s is None:
        if segment is None:
            raise UserError(
                "this head was fitted on whole clips, so it has no segment length: give --window-s, or --per clip"
            )
        window_s = segment / head.facts["audio"]["sample_rate"]
    hop_s = window_s if options.hop_s is None else options.hop_s
    for name, value in (("window-s", window_s), ("hop-s", hop_s)):
        if not 0.025 <= value < math.inf:
            raise UserError(f"--{name} is {value:g}; it must be 0.025 seconds or more")
    if hop_s > window_s:
        raise UserError(
            f"--hop-s is {hop_s:g} and a window {window_s:g} s, so sound between windows would be lost; lower --hop-s"
        )
    return Windows(window_s, hop_s)


def threshold_of(text: str, head: "Head") -> float | None:
    """The margin below which a window is unknown; None if no window shall be unknown.

    Raises:
      UserError: if the text is not `head`, `none` or a number.
    """
    if text == "head":
        return float(head.facts["unknown"]["threshold"])
    if text == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"--threshold is '{text}'; it is head, none or a number")
    return value


def _stamp(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _check_place(out: Path, scores: str) -> None:
    """Refuse a folder that holds files which `apply` did not write."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"cannot write labels to {out}: this is a file; name a new folder")
    manifest = manifest_of(out / _MANIFEST, _FORMAT) or {}
    own = {_MANIFEST, scores, *(name.split("/")[0] for name in manifest.get("files", ()))}
    begun = {"labels.csv", "raven", "audacity"} if (out / scores).is_dir() else set()
    foreign = sorted(
        path.name for path in out.iterdir() if path.name not in own | begun and not path.name.startswith(".")
    )
    if foreign:
        raise UserError(
            f"cannot write labels to {out}: it holds {', '.join(map(repr, foreign[:3]))}, which `jfewshot apply` did not write. "
            "Name a new folder; nothing was changed"
        )


def _write_manifest(out, plan, files, head, options, windows, threshold, left_out) -> None:
    facts = {
        "format": _FORMAT,
        "plan": plan,
        "head": str(options.head),
        "head_sha256": head.facts["weights_sha256"],
        "encoder": head.facts["encoder"],
        "window_s": windows.window_s,
        "hop_s": windows.hop_s,
        "threshold": threshold,
        "merge": options.merge,
        "left_out": [{"recording": name, "reason": reason} for name, reason in left_out],
        "files": files,
    }
    with atomic_write(out / _MANIFEST, "w") as file:
        json.dump(facts, file, indent=2, ensure_ascii=False)
        file.write("\n")
