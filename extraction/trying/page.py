"""The sections of a page of `jfewshot try` that a report does not have: the data, clips to listen to, and the next
commands."""

import dataclasses
import logging
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

from extraction.datasets.base import Columns
from extraction.trying.evaluating import Plan
from extraction.trying.finding import Found
from extraction.trying.findings import Findings
from extraction.trying.options import TryOptions
from extraction.trying.suspects import Suspect, agreed, confused, find_suspects
from jfewshot.errors import UserError
from jfewshot.reporting.analysis import Analysis
from jfewshot.reporting.conditions import shots_words
from jfewshot.reporting.document import Block, Points, Section, TableBlock
from jfewshot.reporting.grid import Grid, TableEntry, grid
from jfewshot.reporting.series import Series, shots_of
from jfewshot.results import Results

log = logging.getLogger(__name__)


def suspects_of(results: Results, series: Series) -> list[Suspect]:
    """Find clips that look mislabelled to most encoders, at the largest number of labels.

    Args:
      results: the result folder.
      series: leaderboards over shots.

    Returns:
      the clips; an empty list if predictions cannot be read.
    """
    found = []
    for (_, column), record in sorted(series.boards[-1].cells.items()):
        if column == 0:
            try:
                protocol = record["identity"]["protocol"]
                found.append(find_suspects(results.predictions(record), results.draws(record), protocol))
            except UserError as error:
                log.warning("clips with wrong labels were not searched for: %s", error)
                return []
    return agreed(found)


def clips_points(analysis: Analysis, series: Series, suspects: Sequence[Suspect]) -> list[str]:
    """Describe confused classes and suspicious clips in sentences.

    Args:
      analysis: analysis of the series' main leaderboard.
      series: leaderboards over shots.
      suspects: from `suspects_of`.

    Returns:
      the sentences.
    """
    said = []
    best = analysis.board.upstreams[0]
    one = next((one for one in analysis.paired if one.confusion is not None), None)
    if one is not None and one.confusion is not None:
        pairs = confused(one.confusion, one.class_names)
        if pairs:
            labels = shots_words(shots_of(series.main))
            parts = [f"'{a}' is taken for '{b}' in {100 * share:.0f}%" for a, b, share in pairs]
            said.append(
                f"Most confused by {best} (labels per class: {labels}), of the clips in episodes with both classes: "
                f"{'; '.join(parts)}."
            )
    if suspects:
        shown = ", ".join(f"{one.clip_id} (like '{one.taken_for}')" for one in suspects[:3])
        more = f" and {len(suspects) - 3} more" if len(suspects) > 3 else ""
        said.append(f"Clips that look mislabelled or unlike their class, to listen to: {shown}{more}.")
    return said


def suspects_grid(suspects: Sequence[Suspect], found: Found, page: Path) -> Grid | None:
    """A table of suspicious clips, each with a link to its file.

    Args:
      suspects: from `suspects_of`.
      found: the clips, with their files.
      page: the folder of the page, to which links are relative.

    Returns:
      the table; None if there are no suspicious clips.
    """
    if not suspects:
        return None
    path = {one.clip_id: one.path for one in found.recordings}
    rows: list[list[str | TableEntry]] = []
    for one in suspects:
        clip = TableEntry(one.clip_id, link=_link(path[one.clip_id], page)) if one.clip_id in path else one.clip_id
        rows.append(
            [clip, one.label, one.taken_for, *(f"{100 * v:.0f}" for v in (one.taken, one.right, one.class_right))]
        )
    note = (
        "Most encoders hardly ever recognise these clips, nearly always take them for one other class, and recognise the rest of "
        "their class well: the clips are mislabelled, or unlike the rest. A click plays a clip if its file was not moved."
    )
    headings = ["Clip", "Class", "Taken for", "taken (%)", "right (%)", "right in the class (%)"]
    return grid("Clips to listen to", headings, rows, [note], n_labels=3)


def link_to_clips(found: Found, page: Path) -> Callable[[str], str]:
    """Make a function that gives the address of a clip.

    Args:
      found: the clips, with their files.
      page: the folder of the page, to which links are relative.

    Returns:
      a function from a clip's id to its address; empty for an unknown clip.
    """
    path = {one.clip_id: one.path for one in found.recordings}
    return lambda clip_id: _link(path[clip_id], page) if clip_id in path else ""


def sections(findings: Findings, clips: Sequence[str], table: Grid | None, steps: Sequence[str]) -> list[Section]:
    """Build the sections that follow the answer.

    Args:
      findings: the state of the data.
      clips: sentences on classes and clips.
      table: table of the clips to listen to.
      steps: sentences about what to do next.

    Returns:
      the sections on clips, data and next steps, and the table of the classes, which is folded.
    """
    made = []
    if clips or table is not None:
        blocks: list[Block] = [Points("", tuple(clips))] if clips else []
        blocks += [TableBlock(table, sortable=True)] if table is not None else []
        made.append(Section("clips", "Classes and clips", tuple(blocks)))
    data: list[Block] = [Points("", (findings.summary,))]
    if findings.warnings:
        data.append(Points("What was found", findings.warnings, warning=True))
    made.append(Section("state", "The data", tuple(data)))
    made.append(Section("next", "What to do next", (Points("", tuple(steps)),)))
    tables: list[Block] = [TableBlock(findings.classes, sortable=True)]
    if findings.left_out is not None:
        tables.append(TableBlock(findings.left_out, sortable=True))
    made.append(Section("classes", "Classes and files", tuple(tables), folded=True))
    return made


def next_steps(
    found: Found,
    options: TryOptions,
    out: Path,
    plan: Plan,
    findings: Findings,
    without: Sequence[str],
) -> list[str]:
    """List the commands to run next.

    Args:
      found: the clips.
      options: options of the try.
      out: folder of the try.
      plan: what was evaluated.
      findings: the state of the data.
      without: encoders that are not installed.

    Returns:
      sentences, each with a command.
    """
    here, there = shlex.quote(str(options.folder)), shlex.quote(str(out / "stores"))
    if options.also:
        here += f" --also {shlex.join(map(str, options.also))}"
    root = f" --root {shlex.quote(str(found.root))}" if options.folder.is_file() else ""
    # `fit` reads the table again; it takes the groups of file names from the try.
    columns = "".join(f" {text}" for text in map(shlex.quote, _column_words(options.columns)))
    steps = [
        f"Use the best encoder on new recordings: jfewshot fit {here} --from {shlex.quote(str(out))}{root}{columns} "
        f"--out head-{found.name}; then: jfewshot apply head-{found.name} RECORDINGS"
    ]
    if findings.named_groups is not None:
        part = str(findings.named_groups.part)
        steps.append(f"Keep groups apart: {_try_again(dataclasses.replace(options, group_from=part), out)}")
    if findings.copies.identical and not options.drop_copies:
        steps.append(f"Leave copies out: {_try_again(dataclasses.replace(options, drop_copies=True), out)}")
    if without:
        names = ", ".join(text.partition(": ")[0] for text in without)
        steps.append(
            f"Try encoders that are not installed ({names}): docs/samples.md says what to install. Then run the same command "
            "again."
        )
    if not options.hub:
        steps.append(
            "Add encoders of the Hugging Face hub (pip install 'jfewshot[huggingface]'; about 1 GB is downloaded): "
            f"{_try_again(dataclasses.replace(options, hub=True), out)}"
        )
    aware = " --group-aware" if plan.group_aware else ""
    shots = " ".join(map(str, plan.shots))
    by = " ".join(shlex.quote(text) for text in options.classifiers)
    steps.append(
        f"Evaluate all encoders again, with more episodes: jfewshot run --stores {there} --ways {plan.ways} --shots {shots} "
        f"--n-query {plan.n_query} --min-clips {plan.min_clips}{aware} --classifiers {by} "
        f"--out {shlex.quote(str(out / 'results'))}"
    )
    return steps


def _try_again(options: TryOptions, out: Path) -> str:
    """The command that tries again with these options; options with their default values are left out."""
    words = ["jfewshot", "try", str(options.folder)]
    own = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    defaults = {field.name: field.default for field in dataclasses.fields(options)}
    for name in ("folder", "columns"):
        del own[name]
    for name, value in {**own, "out": out}.items():
        if value is not None and value != () and value != defaults.get(name):
            words += _option_words(name, value)
    return shlex.join([*words, *_column_words(options.columns)])


def _column_words(columns: Columns) -> list[str]:
    named = {field.name: getattr(columns, field.name) for field in dataclasses.fields(Columns)}
    return [word for name, value in named.items() if value for word in _option_words(f"column.{name}", value)]


def _option_words(name: str, value: object) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    if isinstance(value, tuple):
        return [f"--{flag}", *map(str, value)]
    # `--name value` would not do: the parser takes a value that begins with a dash for an option.
    return [f"--{flag}={value}"] if str(value).startswith("-") else [f"--{flag}", str(value)]


def _link(path: Path, page: Path) -> str:
    """Address of a clip relative to the page, so that page and clips can be moved together."""
    try:
        relative = Path(os.path.relpath(path, page)).as_posix()
    except ValueError:  # on another drive
        return path.resolve().as_uri()
    return quote(relative)
