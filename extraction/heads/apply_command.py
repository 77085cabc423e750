"""The command line of `jfewshot apply`."""

import logging

from jfewshot.commandline import run_cli

log = logging.getLogger("jfewshot.apply")

_SHOWN = 10


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, label recordings, and print a summary; returns the exit status."""
    from extraction.heads.options import ApplyOptions
    from jfewshot.commandline.parsing import start

    options = start(ApplyOptions, arguments, "apply")
    import rich.console
    import rich.text

    from extraction.heads.applying import run_apply
    from extraction.heads.words import expected_words, head_words
    from jfewshot.printable import in_a_line

    done = run_apply(options)
    counts = done.counts
    total = sum(counts.values())
    what = "stretches" if options.merge else "windows" if options.per == "window" else "clips"
    shown = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:_SHOWN])
    more = f" and {len(counts) - _SHOWN} more classes" if len(counts) > _SHOWN else ""
    n_labelled = sum(bool(own) for own in done.labels.values())
    console = rich.console.Console()
    said = [
        f"{total:,} {what} of {n_labelled:,} {'recording' if n_labelled == 1 else 'recordings'}: {shown}{more}.",
        f"Head: {head_words(done.head)}",
        expected_words(done.head, ())[0]
        + " This accuracy holds for clips like the labelled ones, without the threshold for unknown sounds. It does not hold for "
        "other sounds in the recordings.",
    ]
    for number, sentence in enumerate(said):
        console.print(rich.text.Text(in_a_line(sentence), style="bold" if number == 0 else ""))
    for name, reason in done.left_out[:_SHOWN]:
        console.print(rich.text.Text.assemble(("Left out: ", "bold yellow"), in_a_line(f"{name}: {reason}")))
    if len(done.left_out) > _SHOWN:
        console.print(rich.text.Text(f"and {len(done.left_out) - _SHOWN} more (labels.json lists them)"))
    log.info("wrote %s", done.out)
    return 0


if __name__ == "__main__":
    run_cli(main)
