"""The command line `jfewshot upstreams`, with the subcommands `list` and `check`."""

import sys

from jfewshot.commandline import run_cli


def main(arguments: list[str] | None = None) -> int:
    """Run the subcommand that the first argument names; returns the exit status."""
    from extraction.options import CheckOptions, ListOptions
    from jfewshot.commandline.parsing import start

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    subcommand, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if subcommand == "list":
        options = start(ListOptions, rest, "upstreams list")
        from extraction.upstreams.listing import found, listing

        sys.stdout.write(found(options.words) if options.words else listing())
        return 0
    if subcommand == "check":
        checked = start(CheckOptions, rest, "upstreams check")
        from extraction.upstreams.checking import check_all  # imported after parsing the options: --help needs no torch

        return check_all(checked)
    from jfewshot.commandline.front_door import main as front_door

    return front_door(["upstreams", *arguments]) or 0


if __name__ == "__main__":
    run_cli(main)
