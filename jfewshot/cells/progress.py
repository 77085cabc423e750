"""How far an evaluation is: a bar on a terminal, nothing elsewhere."""

import contextlib
from collections.abc import Callable, Iterator

import rich.console
import rich.progress


@contextlib.contextmanager
def episode_progress(total: int, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show episodes done, episodes per second and the time left while the block runs.

    Args:
      total: episodes to come.
      quiet: show nothing.

    Yields:
      A function to call with the number of episodes just done.
    """
    console = rich.console.Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda episodes: None
        return
    columns = (
        rich.progress.TextColumn("episodes"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        _Rate(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda episodes: progress.advance(task, episodes)


class _Rate(rich.progress.ProgressColumn):
    def render(self, task: rich.progress.Task) -> rich.progress.Text:
        return rich.progress.Text("" if task.speed is None else f"{task.speed:,.0f}/s")
