"""The command line of `jfewshot try`."""

import logging
from typing import TYPE_CHECKING

from jfewshot.commandline import run_cli

if TYPE_CHECKING:
    import rich.console

    from extraction.trying.findings import Findings
    from extraction.trying.trying import Try

log = logging.getLogger("jfewshot.try")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, try the encoders, and show the answer; returns the exit status."""
    from extraction.trying.options import TryOptions
    from jfewshot.commandline.parsing import start

    options = start(TryOptions, arguments, "try")
    import rich.console

    from extraction.trying.trying import run_try

    console = rich.console.Console()
    found = run_try(options, lambda findings: _show_data(console, findings))
    _show(console, found)
    return 0


def _show_data(console: "rich.console.Console", findings: "Findings") -> None:
    import rich.text

    from jfewshot.printable import in_a_line

    console.print(rich.text.Text.assemble(("The data: ", "bold"), in_a_line(findings.summary)))
    for warning in findings.warnings:
        console.print(rich.text.Text.assemble(("Careful: ", "bold yellow"), in_a_line(warning)))
    console.print()


def _show(console: "rich.console.Console", found: "Try") -> None:
    import rich.text

    from jfewshot.printable import in_a_line
    from jfewshot.reporting.grid import to_rich

    for number, sentence in enumerate(found.answer):
        console.print(rich.text.Text(in_a_line(sentence), style="bold" if number == 0 else ""))
    # `_show_data` printed the findings about the data before the encoders ran.
    for text in found.cautions:
        if text not in found.findings.warnings:
            console.print(rich.text.Text.assemble(("Careful: ", "bold yellow"), in_a_line(text)))
    console.print()
    console.print(to_rich(found.table, console.width))
    console.print()
    for text in found.clips:
        console.print(rich.text.Text(in_a_line(text)))
    console.print(rich.text.Text("Next:", style="bold"))
    for step in found.next_steps:
        console.print(rich.text.Text(f"- {in_a_line(step)}"), soft_wrap=True)
    log.info("wrote %s in %.0f s; next: open it in a browser", found.page, found.seconds)


if __name__ == "__main__":
    run_cli(main)
