"""The text of `--help`: the purpose of a command, examples, and every option under the heading of its group."""

import inspect
import itertools
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jfewshot.commandline.options import REQUIRED, Option, options_of

# Options that every command has; `parsing` reads them.
COMMON = (
    (
        "--config FILE",
        "Read options from a TOML or JSON file, or from a recipe of the package (docs/commands.md). Options of the command line "
        "win.",
    ),
    ("--quiet", "Print results, warnings and errors only: no progress and no hints."),
    ("--version", "Print the version and exit."),
    ("--help, -h", "Print this help and exit."),
)
EXIT_CODES = "0 done, 1 a check failed, 2 something to mend in the input, 70 a bug, 130 ^C, 143 SIGTERM"
_WIDEST = 100


def help_text(kind: type, command: str) -> str:
    """The help of a command.

    Args:
      kind: the dataclass of its options.
      command: its name, `store create` for instance.

    Returns:
      Lines at most as wide as the terminal (80 columns where there is none), ending with a line break.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    lines = [f"Usage: jfewshot {command} {usage(kind)} [options]".replace("  ", " "), ""]
    for paragraph in paragraphs(kind):
        lines += [*_wrapped(paragraph, width), ""]
    examples: Sequence[str] = getattr(kind, "EXAMPLES", ())
    if examples:
        lines += ["Examples:", *(f"  {example}" for example in examples), ""]
    for heading, group in itertools.groupby(headed_options(kind), lambda option: option.heading):
        lines.append(f"{heading}:")
        for option in group:
            lines += _entry(left_of(option), with_default(option), width)
        lines.append("")
    lines.append("Every command:")
    for left, text in COMMON:
        lines += _entry(left, text, width)
    lines += ["", *_wrapped(f"Exit codes: {EXIT_CODES} (docs/commands.md).", width)]
    return "\n".join(lines) + "\n"


def first_line(kind: type) -> str:
    """The purpose of a command, in one line."""
    return next(iter(paragraphs(kind)))


def usage(kind: type) -> str:
    """The part of the usage line that is required: arguments and required options."""
    return " ".join(_usage(option) for option in options_of(kind) if option.is_positional or option.default is REQUIRED)


def paragraphs(kind: type) -> list[str]:
    """The description of a command, paragraph by paragraph."""
    text = inspect.getdoc(kind) or ""
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def headed_options(kind: type) -> Iterator[Option]:
    """Options grouped by heading, headings in the order of their first option; arguments before options."""
    options = options_of(kind)
    headings = dict.fromkeys(option.heading for option in options)
    for heading in sorted(headings, key=lambda heading: heading != "Arguments"):
        yield from (option for option in options if option.heading == heading)


def _usage(option: Option) -> str:
    if option.is_positional:
        named = f"{option.name} [{option.name} ...]" if option.n_values is None else option.name
        return named if option.default is REQUIRED else f"[{named}]"
    return f"{option.flag} {option.metavar}"


def left_of(option: Option) -> str:
    """An option as it is typed, with the word for its value."""
    if option.is_positional:
        return _usage(option)
    if option.is_switch:
        return f"{option.flag}, {option.off_flag}" if option.default else option.flag
    return f"{option.flag} {option.metavar}"


def with_default(option: Option) -> str:
    """What an option does, and its default."""
    default = default_text(option)
    if option.default is REQUIRED and not option.is_positional:
        return f"{option.help} (required)"
    return f"{option.help} (default: {default})" if default else option.help


def default_text(option: Option) -> str:
    """The default as it would be typed; empty if the help text describes the default itself."""
    default: Any = option.default
    if default is REQUIRED or default is None or default == "" or default == ():
        return ""
    if option.is_switch:
        return option.flag if default else ""
    if isinstance(default, tuple | list):
        return " ".join(map(str, default))
    return default.as_posix() if isinstance(default, Path) else str(default)


def _entry(left: str, text: str, width: int) -> list[str]:
    return [f"  {left}", *_wrapped(text, width, " " * 6)]


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
