"""All steps of `jfewshot try` in order, and the same as a function of Python."""

import dataclasses
import html
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from extraction.datasets.base import Columns
from extraction.settings import ExtractionSettings
from extraction.trying.encoders import load_encoders, loaded_as, require_audio_packages
from extraction.trying.evaluating import Plan, evaluate_plan, keep_groups_apart, plan_for
from extraction.trying.finding import Found, find_clips
from extraction.trying.findings import Findings, find_findings, to_drop
from extraction.trying.options import TryOptions
from extraction.trying.recommended import write_recommended
from jfewshot.errors import UserError
from jfewshot.files import writable_folder
from jfewshot.printable import counted

log = logging.getLogger("jfewshot.try")

# Most of the width of an interval comes from the limited numbers of clips and classes: 5 to 10 points. 600 episodes add 0.8.
_EPISODES, _QUICK_EPISODES = 600, 300


@dataclasses.dataclass(frozen=True, eq=False)
class Try:
    """The results of `jfewshot try`.

    Attributes:
      page: the page, `index.html`.
      answer: sentences that say which encoder is best, how sure that is, and how many labels are enough.
      cautions: sentences about what limits the answer.
      clips: sentences about confused classes and about clips to listen to.
      next_steps: sentences with the commands to run next.
      findings: the state of the data.
      plan: the settings of the evaluation.
      table: accuracy of each encoder by number of labels.
      records: the results, one for each encoder, classifier and number of labels (docs/results.md).
      seconds: duration of the try.
    """

    page: Path
    answer: tuple[str, ...]
    cautions: tuple[str, ...]
    clips: tuple[str, ...]
    next_steps: tuple[str, ...]
    findings: Findings
    plan: Plan
    table: Any
    records: list[dict[str, Any]]
    seconds: float

    def _repr_html_(self) -> str:
        """Show the answer, the figure and the table in a notebook."""
        sentences = "".join(f"<li>{html.escape(text)}</li>" for text in self.answer)
        careful = "".join(f"<li>{html.escape(text)}</li>" for text in self.cautions)
        figure = self.page.parent / "figures" / "answer.svg"
        drawn = figure.read_text(encoding="utf-8") if figure.exists() else ""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in self.table.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell.text)}</td>" for cell in row) + "</tr>" for row in self.table.rows
        )
        warned = f"<p>Be careful:</p><ul>{careful}</ul>" if careful else ""
        return f"<ul>{sentences}</ul>{warned}{drawn[drawn.find('<svg') :]}<table><tr>{head}</tr>{rows}</table>"


def try_folder(
    folder: Path | str,
    *,
    also: Sequence[Path | str] = (),
    root: Path | str | None = None,
    upstreams: Sequence[str] = (),
    hub: bool = False,
    quick: bool = False,
    segment: str = "upstream",
    classifiers: Sequence[str] = ("ridge:alpha=auto",),
    group_from: str | int | None = None,
    group_aware: bool | None = None,
    min_clips: int | None = None,
    drop_copies: bool = False,
    out: Path | str | None = None,
    episodes: int | None = None,
    workers: int | None = None,
    columns: Columns | None = None,
) -> Try:
    """Find out which encoder suits some recordings, how sure that is, and how many labels are enough.

    Args:
      folder: a folder with one folder per class, or a CSV, TSV or Parquet table with the columns path and label.
      also: more folders of class folders, merged with `folder`.
      root: folder to which the paths of a table are relative; None: the table's own.
      upstreams: encoders to try; if empty, all installed encoders that need no download.
      hub: also try a few encoders of the Hugging Face hub, which are downloaded.
      quick: fewer episodes, only at 1, 5 and 10 labels.
      segment: length of the pieces into which clips are cut: `upstream`, `whole` or a number of seconds.
      classifiers: as in `jfewshot.evaluate`; the page shows all of them.
      group_from: makes groups from file names: the number of a part of the name, or a regular expression with one group.
      group_aware: keep groups apart; None: if there are any and the classes allow it.
      min_clips: leave out classes with fewer clips; None: 10, or fewer if 10 would leave fewer than 5 classes.
      drop_copies: leave out recordings that are identical to another one.
      out: folder for the page, the embeddings and the results; None: `try-NAME` in the current folder.
      episodes: number of episodes for each encoder and number of labels; None: 600, or 300 if `quick`.
      workers: processes that decode audio; None: one for each core but one.
      columns: names of the table's columns; None for the usual names.

    Returns:
      the answer, in words and numbers. A notebook shows it with its figure and table.

    Raises:
      UserError: if the caller can correct the cause; the message says how.
    """
    options = TryOptions(
        folder=Path(folder),
        also=tuple(map(Path, also)),
        root=None if root is None else Path(root),
        upstreams=tuple(upstreams),
        hub=hub,
        quick=quick,
        segment=segment,
        classifiers=tuple(classifiers),
        group_from=None if group_from is None else str(group_from),
        group_aware=group_aware,
        min_clips=min_clips,
        drop_copies=drop_copies,
        out=None if out is None else Path(out),
        episodes=episodes,
        workers=workers,
        columns=columns or Columns(),
    )
    return run_try(options)


def run_try(options: TryOptions, on_data: Any = lambda findings: None) -> Try:
    """Run all steps of `jfewshot try`.

    Args:
      options: the options of the command.
      on_data: called with the state of the data, before any encoder runs.

    Returns:
      what was found.

    Raises:
      UserError: if the user can correct the cause; the message says how.
    """
    started = time.monotonic()
    require_audio_packages(options.upstreams)
    if options.episodes is not None and options.episodes < 2:
        raise UserError(f"--episodes is {options.episodes}; give 2 or more, and 300 or more for a reliable answer")
    found = find_clips(options.folder, options.root, options.columns, options.group_from, options.also)
    out = writable_folder(options.out or Path(f"try-{found.name}"), "the try").absolute()
    found, findings, n_clips = _look(found, options)
    on_data(findings)
    groups = {one.group for one in found.used} - {""}
    wanted = bool(groups) if options.group_aware is None else options.group_aware
    if wanted and not groups:
        raise UserError("--group-aware needs groups: subfolders of the class folders, a column, or --group-from")
    plan = plan_for(n_clips, options.quick, options.min_clips, wanted)
    plan, fewer = keep_groups_apart(plan, [one.label for one in found.used], [one.group for one in found.used])
    # Steps that import JAX begin here, so that errors in the data are reported without waiting for the import.
    stores, without, loaded = _embed(found, options, out, plan)
    n_episodes = options.episodes or (_QUICK_EPISODES if options.quick else _EPISODES)
    plan, records, changed = evaluate_plan(stores, plan, options.classifiers, n_episodes, out / "results")
    return _report(
        options,
        out,
        found,
        findings,
        plan,
        records,
        [text for text in (fewer, changed) if text],
        without,
        loaded,
        started,
    )


def _look(found: Found, options: TryOptions) -> tuple[Found, Findings, dict[str, int]]:
    """Read every file, collect the findings about the data, and count the usable clips of each class."""
    from extraction.trying.examining import examine

    facts = examine(found.used)
    findings = find_findings(found, facts, options.drop_copies)
    reasons = {one.clip_id: one.reason for one in facts if one.reason}
    if options.drop_copies:
        reasons |= to_drop(findings.copies, {one.clip_id: one.label for one in found.recordings})
    found = found.without(reasons)
    sizes: dict[str, int] = {one.label: 0 for one in found.recordings if one.label}
    for one in found.used:
        sizes[one.label] += 1
    return found, findings, sizes


def _embed(found: Found, options: TryOptions, out: Path, plan: Plan) -> tuple[list[Path], list[str], dict[str, str]]:
    """Compute the embeddings that do not exist yet, for the classes that are large enough.

    Returns:
      the stores; a sentence for each encoder that is not installed; and, by the name of an encoder, the name that
      `load_upstream` takes.
    """
    from extraction.allocator import keep_freed_memory
    from extraction.pipeline import extract
    from jfewshot.evaluator.compile_cache import use_compile_cache
    from jfewshot.evaluator.devices import use_all_cores

    use_all_cores()
    use_compile_cache()
    keep_freed_memory()
    small = dict(plan.left_out)
    kept = found.without({one.clip_id: "its class is too small" for one in found.used if one.label in small})
    encoders, without = load_encoders(options.upstreams, options.hub)
    settings = ExtractionSettings(segment=options.segment, on_error="skip", workers=options.workers)
    extract(kept.dataset(), found.root, encoders, out / "stores", settings, replace=True)
    stores = [out / "stores" / found.name / encoder.name for encoder in encoders]
    return stores, without, loaded_as(options.upstreams, options.hub, encoders, without)


def _report(
    options: TryOptions,
    out: Path,
    found: Found,
    findings: Findings,
    plan: Plan,
    records: list[dict[str, Any]],
    changed: list[str],
    without: list[str],
    loaded: dict[str, str],
    started: float,
) -> Try:
    from extraction.trying.page import clips_points, link_to_clips, next_steps, sections, suspects_grid, suspects_of
    from jfewshot.commandline.progress import Progress
    from jfewshot.reporting.build import Beside, Choices, build_report
    from jfewshot.reporting.series import across_grid
    from jfewshot.results import Results

    results = Results(out / "results", tuple(records), ())
    steps = next_steps(found, options, out, plan, findings, without)
    cautions = [*changed, *_left_out(plan), *findings.warnings]
    clips: list[str] = []

    def beside(analysis, series):
        suspects = suspects_of(results, series[0])
        clips[:] = clips_points(analysis, series[0], suspects)
        return sections(findings, clips, suspects_grid(suspects, found, out), steps)

    # Writing PNG and PDF would take most of the time for a page; `jfewshot report` writes them.
    choices = Choices(formats=("svg",), published=False, figures_at_most=1)
    with Progress("building the page"):
        report = build_report(
            results,
            out,
            choices,
            f"Which encoder for {found.name}?",
            Beside(findings.summary, tuple(changed + _left_out(plan)), beside, link_to_clips(found, out)),
        )
    write_recommended(out, report.series[0].main, loaded, options, found, findings.warnings)
    return Try(
        page=out / "index.html",
        answer=report.answer.sentences,
        cautions=tuple(dict.fromkeys((*report.answer.cautions, *cautions))),
        clips=tuple(clips),
        next_steps=tuple(steps),
        findings=findings,
        plan=plan,
        table=across_grid(report.series),
        records=records,
        seconds=time.monotonic() - started,
    )


def _left_out(plan: Plan) -> list[str]:
    if not plan.left_out:
        return []
    shown = ", ".join(f"{name} ({size})" for name, size in plan.left_out[:5])
    more = f" and {len(plan.left_out) - 5} more" if len(plan.left_out) > 5 else ""
    left = counted(len(plan.left_out), "class was left out because it has", "classes were left out because they have")
    return [f"{left} fewer than {counted(plan.min_clips, 'clip')}: {shown}{more}."]
