"""Pages of the site that are made of the program itself: one for each command, with all of its options."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

from jfewshot.commandline.commands import GROUPS, Command
from jfewshot.commandline.helptext import COMMON, EXIT_CODES, headed_options, left_of, paragraphs, usage, with_default

_INTRODUCTION = "Made of the program's own help: `jfewshot COMMAND --help` prints the same."


def write_command_pages(folder: Path) -> None:
    """Write a page for each command, and one that lists them.

    Args:
      folder: is emptied first.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    listed = ["# Every command", "", _INTRODUCTION, ""]
    names = []
    for heading, commands in GROUPS.items():
        listed += [f"## {heading}", "", "| command | what it is for |", "|---|---|"]
        for command in commands:
            name = command.name.replace(" ", "_")
            names.append(name)
            listed.append(f"| [`jfewshot {command.name}`]({name}.md) | {command.purpose} |")
            (folder / f"{name}.md").write_text("\n".join(command_page(command)) + "\n", encoding="utf-8")
        listed.append("")
    listed += ["```{toctree}", ":hidden:", "", *names, "```"]
    (folder / "commands.md").write_text("\n".join(listed) + "\n", encoding="utf-8")


def command_page(command: Command) -> Iterator[str]:
    """The lines of a command's page."""
    kind = command.load_options()
    yield from (f"# jfewshot {command.name}", "", f"{command.purpose}.", "")
    yield from ("```", f"jfewshot {command.name} {usage(kind)} [options]".replace("  ", " "), "```", "")
    for paragraph in paragraphs(kind):
        yield from (_escaped(paragraph), "")
    examples = getattr(kind, "EXAMPLES", ())
    if examples:
        yield from ("```", *examples, "```", "")
    for heading, options in itertools.groupby(headed_options(kind), lambda option: option.heading):
        yield from (f"## {heading}", "")
        for option in options:
            yield from (f"`{left_of(option)}`", f": {_escaped(with_default(option))}", "")
    yield from ("## Every command", "")
    for left, text in COMMON:
        yield from (f"`{left}`", f": {_escaped(text)}", "")
    yield f"Exit codes: {EXIT_CODES} ([The command line](../commands.md#exit-codes))."


def _escaped(text: str) -> str:
    """Text of a terminal as Markdown that shows the same."""
    for sign in "\\<>*_[]|$":
        text = text.replace(sign, f"\\{sign}")
    # What stands between backticks is shown as it is.
    parts = text.split("`")
    parts[1::2] = [part.replace("\\", "") for part in parts[1::2]] if len(parts) % 2 else parts[1::2]
    return "`".join(parts)
