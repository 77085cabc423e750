"""`jfewshot`: show the list of commands, or run one of them."""

import difflib
import sys
from collections.abc import Sequence

from jfewshot._version import __version__
from jfewshot.commandline.commands import COMMANDS, GROUPS, Command
from jfewshot.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int | None:
    """Run the command that the arguments name; without arguments, show all commands."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        sys.stdout.write(overview())
        return 0
    if arguments[0] == "--version":
        sys.stdout.write(f"jfewshot {__version__}\n")
        return 0
    if arguments[0].split("=")[0] == "--completion":
        from jfewshot.commandline.completion import script

        sys.stdout.write(script(" ".join(arguments).replace("=", " ").split()[1:]))
        return 0
    if arguments[0].startswith("-"):
        raise UserError(
            f"'{arguments[0]}' is an option of a command; the evaluation is: jfewshot run {arguments[0]} ..."
        )
    command, rest = find(arguments)
    if command is None:
        of_pair = [name for name in COMMANDS if name.startswith(f"{arguments[0]} ")]
        sys.stdout.write("\n".join([f"jfewshot {arguments[0]}:", *map(_line, of_pair)]) + "\n")
        return 0
    return command.run(rest)


def find(arguments: Sequence[str]) -> tuple[Command | None, list[str]]:
    """The named command, and the arguments after its name; None if only the first of two words is given.

    Raises:
      UserError: if there is no such command; the message names the nearest ones.
    """
    first, second = arguments[0], arguments[1] if len(arguments) > 1 else ""
    if first in COMMANDS:
        return COMMANDS[first], list(arguments[1:])
    if f"{first} {second}" in COMMANDS:
        return COMMANDS[f"{first} {second}"], list(arguments[2:])
    seconds = [name.split()[1] for name in COMMANDS if name.startswith(f"{first} ")]
    if seconds and second in ("", "--help", "-h"):
        return None, []
    if seconds:
        near = difflib.get_close_matches(second, seconds, 1) or seconds
        raise UserError(f"there is no command '{first} {second}'; try: jfewshot {first} {'|'.join(near)}")
    near = difflib.get_close_matches(first, [*COMMANDS, *(name.split()[0] for name in COMMANDS)], 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise UserError(f"there is no command '{first}'; {hint}`jfewshot` alone lists the commands")


def overview() -> str:
    """One line for each command, grouped by the user's task."""
    lines = ["How good is this audio encoder with five labelled clips?", "", "Usage: jfewshot COMMAND [options]", ""]
    for heading, commands in GROUPS.items():
        lines += [f"{heading}:", *(_line(command.name) for command in commands), ""]
    lines += [
        "jfewshot COMMAND --help   what a command does, with examples and every option",
        "jfewshot --version        the version",
        "jfewshot --completion bash|zsh   a script that completes commands and options (docs/commands.md)",
    ]
    return "\n".join(lines) + "\n"


def _line(name: str) -> str:
    return f"  {name:16}  {COMMANDS[name].purpose}"
