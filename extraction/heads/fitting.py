"""All steps of `jfewshot fit`, and the same as a function of Python."""

import dataclasses
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from extraction.datasets.base import Columns
from extraction.heads.encoder import why_not_applied
from extraction.heads.options import FitOptions
from extraction.heads.sources import find_source, name_of
from jfewshot.errors import UserError
from jfewshot.printable import counted

if TYPE_CHECKING:
    from jfewshot.heads import Head

log = logging.getLogger("jfewshot.fit")


@dataclasses.dataclass(frozen=True, eq=False)
class HeadFit:
    """The results of `jfewshot fit`.

    Attributes:
      path: the head's folder.
      head: the head.
      said: sentences about the head and the accuracy to expect.
      cautions: sentences about what limits the validity of these numbers.
      next_step: the command to run next; empty for a head that cannot be applied to recordings.
    """

    path: Path
    head: "Head"
    said: tuple[str, ...]
    cautions: tuple[str, ...]
    next_step: str


def fit_head(
    source: Path | str,
    *,
    from_try: Path | str | None = None,
    classifier: str | None = None,
    view: str | None = None,
    preprocessing: str = "l2",
    upstream: str | None = None,
    quick: bool = False,
    also: Sequence[Path | str] = (),
    root: Path | str | None = None,
    group_from: str | int | None = None,
    min_clips: int | None = None,
    keep: float = 0.9,
    new_clips: Sequence[int] = (20, 50, 100),
    out: Path | str | None = None,
    replace: bool = False,
    workers: int | None = None,
    columns: Columns | None = None,
) -> HeadFit:
    """Fit a classifier on all labelled clips, and estimate its accuracy on new clips.

    Args:
      source: a folder with one folder per class, a table with the columns path and label, or a store.
      from_try: folder of a finished try, which determines encoder, classifier and view. With None, a folder or table is tried
        first; for a store, its views are evaluated.
      classifier: classifier to fit instead of the recommended one.
      view: name of the store's array to fit on; None for the recommended one.
      preprocessing: `l2` or `none`.
      upstream: for a store, the name with which `load_upstream` loads its encoder.
      quick: make the try with fewer episodes.
      also: more folders of class folders, merged with `source`; if empty, the folders of the try are used.
      root: folder that the paths of a table are relative to; None: the table's own.
      group_from: makes groups from file names; None: as in the try.
      min_clips: leave out classes with fewer clips; None: a class with one clip is an error.
      keep: share of the labelled clips that keep their class under the threshold for unknown sounds.
      new_clips: numbers of new clips for which to state the expected accuracy.
      out: the head's folder; None: `head-NAME` in the current folder.
      replace: replace a head in the folder `out`.
      workers: processes that decode audio; None: one for each core but one.
      columns: names of the table's columns; None for the usual names.

    Returns:
      the head, and sentences about it.

    Raises:
      UserError: if the caller can correct the cause; the message says how.
    """
    if preprocessing not in ("l2", "none"):
        raise UserError(f"preprocessing is '{preprocessing}'; a head takes l2 or none")
    return run_fit(
        FitOptions(
            source=Path(source),
            from_try=None if from_try is None else Path(from_try),
            classifier=classifier,
            view=view,
            preprocessing=preprocessing,  # type: ignore[arg-type]
            upstream=upstream,
            quick=quick,
            also=tuple(map(Path, also)),
            root=None if root is None else Path(root),
            group_from=None if group_from is None else str(group_from),
            min_clips=min_clips,
            keep=keep,
            new_clips=tuple(new_clips),
            out=None if out is None else Path(out),
            replace=replace,
            workers=workers,
            columns=columns or Columns(),
        )
    )


def run_fit(options: FitOptions) -> HeadFit:
    """Run all steps of `jfewshot fit`.

    Args:
      options: the options of the command.

    Returns:
      the head, and sentences about it.

    Raises:
      UserError: if the user can correct the cause; the message says how.
    """
    from jfewshot.evaluator.compile_cache import use_compile_cache
    from jfewshot.evaluator.devices import use_all_cores
    from jfewshot.heads.fitting import fit_head, head_spec
    from jfewshot.heads.folder import check_head_place, write_head

    out = options.out or Path(f"head-{name_of(options)}")
    check_head_place(out, options.replace)
    few = [m for m in options.new_clips if m < 2]
    if few:
        raise UserError(f"--new-clips is {few[0]}; give 2 clips or more")
    if options.classifier is not None:
        head_spec(options.classifier)
    use_all_cores()
    use_compile_cache()
    source = find_source(options)
    fitted = fit_head(
        source.store,
        source.classifier,
        view=source.view,
        preprocessing=options.preprocessing,
        min_clips=options.min_clips,
        keep=options.keep,
    )
    facts = dict(fitted.head.facts)
    facts["encoder"] = {**facts["encoder"], "load": source.load}
    head = dataclasses.replace(fitted.head, facts=facts)
    write_head(out, head, options.replace)
    cautions = (*source.cautions, *fitted.cautions)
    return _described(out, head, source.why, cautions, source.load, source.store.manifest, options)


def _described(out, head, why, cautions, load, manifest, options: FitOptions) -> HeadFit:
    from extraction.heads.words import expected_words, head_words, unknown_words

    cautions = list(cautions)
    unread = [item for item in manifest.get("left_out", []) if "too small" not in item["reason"]]
    if unread:
        cautions.append(
            f"{counted(len(unread), 'clip')} could not be used, the first: {unread[0]['clip_id']}: {unread[0]['reason']}."
        )
    reason = why_not_applied(head.facts)
    if reason:
        cautions.append(f"This head only estimates the accuracy and cannot be applied to recordings: {reason}.")
    elif load is None:
        cautions.append(
            f"The store does not say how its encoder '{manifest['upstream']['name']}' is loaded: pass --upstream to this command "
            "or to `jfewshot apply`."
        )
    said = [
        f"Head: {head_words(head)}",
        *([why] if why else []),
        *expected_words(head, options.new_clips),
        unknown_words(head),
    ]
    step = "" if reason else f"jfewshot apply {shlex.quote(str(out))} RECORDINGS"
    return HeadFit(out, head, tuple(said), tuple(cautions), step)
