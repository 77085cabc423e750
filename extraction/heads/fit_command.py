"""The command line of `jfewshot fit`."""

import logging

from jfewshot.commandline import run_cli

log = logging.getLogger("jfewshot.fit")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, fit a head, and print the accuracy to expect; returns the exit status."""
    from extraction.heads.options import FitOptions
    from jfewshot.commandline.parsing import start

    options = start(FitOptions, arguments, "fit")
    import rich.console
    import rich.text

    from extraction.heads.fitting import run_fit
    from jfewshot.printable import in_a_line

    done = run_fit(options)
    console = rich.console.Console()
    for number, sentence in enumerate(done.said):
        console.print(rich.text.Text(in_a_line(sentence), style="bold" if number == 0 else ""))
    for text in done.cautions:
        console.print(rich.text.Text.assemble(("Careful: ", "bold yellow"), in_a_line(text)))
    if done.next_step:
        console.print(rich.text.Text.assemble(("Next: ", "bold"), in_a_line(done.next_step)), soft_wrap=True)
    log.info("wrote %s", done.path)
    return 0


if __name__ == "__main__":
    run_cli(main)
