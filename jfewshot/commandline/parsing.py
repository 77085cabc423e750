"""Convert arguments to a dataclass of options. An error in the arguments is reported in one line."""

import contextlib
import difflib
import io
import itertools
import logging
import re
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

from jfewshot._version import __version__
from jfewshot.commandline.config_file import normal, with_config
from jfewshot.commandline.helptext import help_text
from jfewshot.commandline.logs import log_plainly
from jfewshot.commandline.options import REQUIRED, Option, options_of
from jfewshot.errors import UserError

T = TypeVar("T")

_KINDS = {int: "a whole number", float: "a number"}


def start(kind: type[T], arguments: Sequence[str] | None, command: str) -> T:
    """Read the options of a command and set up its logging: the first thing that every command does.

    Args:
      kind: the dataclass of its options.
      arguments: what follows the command's name; None: `sys.argv[1:]`.
      command: the command's name for `--help`, `store create` for instance.

    Returns:
      The options.

    Raises:
      UserError: if an option does not exist or a value does not fit it, in one line.
      SystemExit: after `--help` or `--version` has been printed.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    found, quiet = parse_with_common(kind, arguments, command)
    log_plainly(logging.WARNING if quiet else logging.INFO)
    return found


def parse(kind: type[T], arguments: Sequence[str], command: str = "") -> T:
    """Parse a command's arguments as `start` does, without setting up logging.

    Args:
      kind: dataclass of the command's options.
      arguments: what follows the command's name.
      command: name of the command for `--help`, such as `store create`.

    Returns:
      the options.

    Raises:
      UserError: if an option does not exist or a value does not fit its option.
      SystemExit: after `--help` or `--version` has been printed.
    """
    return parse_with_common(kind, arguments, command)[0]


def parse_with_common(kind: type[T], arguments: Sequence[str], command: str) -> tuple[T, bool]:
    """Parse a command's arguments and the options that all commands share.

    Args:
      kind: dataclass of the command's options.
      arguments: what follows the command's name.
      command: name of the command for `--help`, such as `store create`.

    Returns:
      the options, and whether `--quiet` is among the arguments.

    Raises:
      UserError: if an option does not exist or a value does not fit its option.
      SystemExit: after `--help` or `--version` has been printed.
    """
    arguments = list(arguments)
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(help_text(kind, command))
        raise SystemExit(0)
    if "--version" in arguments:
        sys.stdout.write(f"jfewshot {__version__}\n")
        raise SystemExit(0)
    options = options_of(kind)
    arguments = with_config(arguments, options, extra=("quiet",))
    quiet = "--quiet" in arguments
    arguments = [argument for argument in arguments if argument != "--quiet"]
    _check_names(arguments, options)
    for option in options:
        _check_values(option, arguments)
    return _by_tyro(kind, arguments, options), quiet


def _check_names(arguments: Sequence[str], options: Sequence[Option]) -> None:
    """Check that all given options exist, and that all required options are given."""
    switches = [option for option in options if option.is_switch]
    known = [option.flag for option in options if not option.is_positional]
    known += [option.off_flag for option in switches]
    given = [argument.split("=")[0] for argument in arguments if _is_flag(argument)]
    for flag in given:
        if normal(flag) not in known:
            raise UserError(f"there is no option '{flag}'; {_suggestion(normal(flag), known)}")
    for option in options:
        if option.default is REQUIRED and not option.is_positional and option.flag not in map(normal, given):
            first = option.help.split(". ")[0].rstrip(".")
            raise UserError(f"{option.flag} {option.metavar} is missing ({first}). See --help")


def _is_flag(argument: str) -> bool:
    return argument.startswith("--") or (argument.startswith("-") and not re.match(r"-[\d.]|-$", argument))


def _suggestion(flag: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(flag, known, 1)
    if not near:
        # `--crop-s` for `--data.crop-s`
        near = [name for name in known if name.rpartition(".")[2] == flag.lstrip("-")][:1]
    return f"did you mean {near[0]}? See --help" if near else "see --help"


def _check_values(option: Option, arguments: Sequence[str]) -> None:
    """Check that the values of an option fit its type, so that the error is a line of ours and not a box of tyro's."""
    if option.is_positional or option.is_switch:
        return
    values = _values_of(option.flag, arguments)
    if values is None:
        return
    if not values and not option.may_be_empty:
        raise UserError(f"{option.flag} needs a value: {option.flag} {option.metavar}; see --help")
    wanted = option.n_values
    if option.takes_several and wanted is not None and len(values) != wanted:
        raise UserError(f"{option.flag} needs {wanted} values: {option.flag} {option.metavar}; see --help")
    used = values if wanted is None else values[:wanted]  # a positional argument may follow
    given = " ".join(used)[:200]
    if option.choices and not set(used) <= set(option.choices):
        names = option.choices
        many = f"choose {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"choose {names[0]}"
        raise UserError(f"{option.flag} is '{given}'; {many}. See --help")
    numbers = [value for value in used if value not in option.words]
    if option.value_kind in _KINDS and not all(
        _reads_as(option.value_kind, value, option.default) for value in numbers
    ):
        what = "whole numbers" if option.value_kind is int and option.takes_several else _KINDS[option.value_kind]
        what = " or ".join([what, *option.words])
        raise UserError(f"{option.flag} is '{given}'; it must be {what}. See --help")


def _reads_as(kind: Any, value: str, default: Any) -> bool:
    if value == "None":
        return default is None  # tyro's value for an option that is not given
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _values_of(flag: str, arguments: Sequence[str]) -> list[str] | None:
    """The values of an option where it is given last; None if it is not given."""
    at = max((i for i, text in enumerate(arguments) if normal(text.split("=")[0]) == flag), default=-1)
    if at < 0:
        return None
    if "=" in arguments[at]:
        return [arguments[at].partition("=")[2]]
    return list(itertools.takewhile(lambda text: not _is_flag(text), arguments[at + 1 :]))


def _with_switch_values(arguments: Sequence[str], options: Sequence[Option]) -> list[str]:
    """Write `True` or `False` after switches whose default is None, since tyro takes those for options with a value."""
    values: dict[str, tuple[str, str]] = {}
    for option in options:
        if option.is_switch and option.default is None:
            values |= {option.flag: (option.flag, "True"), option.off_flag: (option.flag, "False")}
    written: list[str] = []
    for number, argument in enumerate(arguments):
        is_followed = arguments[number + 1 : number + 2] in (["True"], ["False"], ["None"])
        known = None if is_followed or not _is_flag(argument) else values.get(normal(argument))
        written += known or (argument,)
    return written


def _by_tyro(kind: type[T], arguments: Sequence[str], options: Sequence[Option]) -> T:
    refused = io.StringIO()
    try:
        with contextlib.redirect_stderr(refused), contextlib.redirect_stdout(io.StringIO()):
            found, unknown = tyro.cli(kind, args=_with_switch_values(arguments, options), return_unknown_args=True)
    except SystemExit as error:
        raise UserError(f"{_out_of_the_box(refused.getvalue(), options)}. See --help") from error
    if unknown:
        raise UserError(f"'{unknown[0]}' is not an option, nor a value of one; see --help")
    for option in options:
        # tyro accepts an option of several values without any value, and the command would then have nothing to do.
        name = option.name.lower().replace("-", "_")
        if option.is_positional and option.default is REQUIRED and getattr(found, name, None) == ():
            raise UserError(f"{_missing(option)}. See --help")
    return found


def _missing(option: Option) -> str:
    return f"{option.name} is missing ({option.help.split('. ')[0].rstrip('.')})"


def _out_of_the_box(box: str, options: Sequence[Option]) -> str:
    """The error that tyro prints in a box, as one line."""
    # The title, a rule, the error, a rule, help; the rules are letters if the terminal cannot draw lines.
    parts = re.split(r"[─-]{5,}", box)
    text = " ".join(re.sub(r"[│|╭╮╰╯+]|Argument helptext.*", " ", parts[min(1, len(parts) - 1)]).split())
    missing = [o for o in options if o.is_positional and o.default is REQUIRED and o.name in text.upper()]
    if missing and "Missing from" in text:
        return _missing(missing[0])
    return text.rstrip(".")
