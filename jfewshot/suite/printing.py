"""What a run prints: tables of all contributions in its folder, and where the run's encoders stand."""

import logging
import sys
from pathlib import Path

from jfewshot.errors import UserError
from jfewshot.printable import counted
from jfewshot.reporting.grid import grid, to_rich, to_terminal
from jfewshot.suite.board import percent, run_grids, track_names
from jfewshot.suite.contribution import Contribution, read_contribution
from jfewshot.suite.definition import Suite
from jfewshot.suite.filling import known_digests
from jfewshot.suite.places import contribution_files
from jfewshot.suite.references import reference_contributions
from jfewshot.suite.running import SuiteRun
from jfewshot.suite.scores import SCORE_DECIMALS
from jfewshot.suite.validating import validate

log = logging.getLogger("jfewshot.suite")


def print_run(suite: Suite, found: SuiteRun, out: Path) -> None:
    """Print where the encoders stand among all contributions that are known.

    Args:
      suite: what was evaluated.
      found: the run.
      out: its folder.
    """
    import rich.console

    console = rich.console.Console()
    for name, lacking in found.incomplete.items():
        tasks = found.accuracy[name]
        rows = [(task, percent(one.accuracy, one.ci95)) for task, one in tasks.items()]
        table = grid(f"{name}: {counted(len(tasks), 'task')} so far", ("Task", "Accuracy"), rows)
        sys.stdout.write(to_terminal(table, 120) + "\n")
        log.info(
            "%s lacks %s, first %s; it has a score when all datasets are evaluated with --out %s",
            name,
            counted(len(lacking), "task"),
            lacking[0],
            out,
        )
    if not found.contributions:
        return
    known = known_contributions(suite, found.contributions, out)
    for table in run_grids(suite, known):
        if console.is_terminal:
            console.print(to_rich(table, console.width))
            console.print()
        else:
            sys.stdout.write(to_terminal(table, 160) + "\n")
    track = track_names(suite)[0]
    for contribution in found.contributions:
        total = contribution.scores[track].score
        above = sum(other.scores[track].score > total for other in known)
        sys.stdout.write(
            f"{contribution.encoder.name} scores {total:.{SCORE_DECIMALS}f} on {suite.name} version {suite.version}: "
            f"place {above + 1} of {len(known)}.\n"
        )
    sys.stdout.flush()


def known_contributions(suite: Suite, ours: list[Contribution], out: Path) -> list[Contribution]:
    """Contributions of this run, of its folder, and those that come with the package; an encoder's own run counts first.

    Args:
      suite: what they are to.
      ours: of this run.
      out: folder of the run.

    Returns:
      one contribution for each encoder.
    """
    found = {one.encoder.name: one for one in ours}
    for path in contribution_files(out):
        try:
            one = read_contribution(path)
        except UserError as error:
            log.warning("left out of the tables: %s", error)
            continue
        errors = validate(one, suite, known_digests(suite, ())).errors
        if errors:
            log.warning("left out of the tables: %s: %s", path, errors[0])
        else:
            found.setdefault(one.encoder.name, one)
    for one in reference_contributions(suite):
        found.setdefault(one.encoder.name, one)
    return list(found.values())
