"""`--config FILE`: options from a TOML or JSON file, or from a recipe that comes with the package. Options of the command line
win."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jfewshot.commandline.options import Option
from jfewshot.errors import UserError

_MOST_BYTES = 2**24
_RECIPES = Path(__file__).parents[1] / "data" / "recipes"


def with_config(arguments: Sequence[str], options: Sequence[Option], extra: Sequence[str] = ()) -> list[str]:
    """Replace `--config FILE` by the options that the file holds. FILE may be the name of a recipe of the package.

    A name in the file is an option's name without dashes, with `-` or `_` (`n-query`, `n_query`). Options with a common prefix
    are a table: `[data] source = "speech"` is `--data.source speech`. An option of several values is a list.

    Args:
      arguments: the command line.
      options: the options of the command.
      extra: names of switches that every command has.

    Returns:
      The command line without `--config`; an option that it gives itself is not taken from the file.

    Raises:
      UserError: if the file does not exist, is not TOML or JSON, or has a name that is not an option.
    """
    arguments = list(arguments)
    at = next((i for i, text in enumerate(arguments) if text == "--config" or text.startswith("--config=")), None)
    if at is None:
        return arguments
    if "=" in arguments[at]:
        path, rest = Path(arguments[at].partition("=")[2]), arguments[:at] + arguments[at + 1 :]
    elif at + 1 < len(arguments) and not arguments[at + 1].startswith("--"):
        path, rest = Path(arguments[at + 1]), arguments[:at] + arguments[at + 2 :]
    else:
        raise UserError("--config needs a file: --config FILE, TOML or JSON")
    if any(text == "--config" or text.startswith("--config=") for text in rest):
        raise UserError("--config is given twice; one file holds all options")
    given = {normal(text.split("=")[0].lstrip("-")) for text in rest if text.startswith("--")}
    known = {normal(option.name.lower()): option for option in options}
    path = _recipe(path)
    named: list[str] = []
    positional: list[str] = []
    for name, value in _leaves(_read(path)):
        _check_value(name, value, path)
        if name in extra:
            named += [f"--{name}"] if value else []
        elif name not in known:
            raise UserError(f"--config {path}: there is no option {name[:80]!a}; see --help")
        elif known[name].is_positional:
            positional += _values(known[name], value, path)
        elif not {name, normal(known[name].off_flag.lstrip("-"))} & given:
            named += _as_arguments(known[name], value, path)
    # Positional values come first, so that they are not read as further values of an option.
    first = next((i for i, text in enumerate(rest) if text.startswith("-")), len(rest))
    return [*(rest[:first] or positional), *named, *rest[first:]]


def recipes() -> dict[str, Path]:
    """The files of options that come with the package, by name."""
    return {path.stem: path for path in sorted(_RECIPES.glob("*.toml"))}


def _recipe(path: Path) -> Path:
    """The file of a recipe, unless a file of this name exists; any other path as it is."""
    return path if path.exists() else recipes().get(str(path), path)


def normal(name: str) -> str:
    """An option's name with dashes only."""
    return name.replace("_", "-")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UserError(f"--config {path} has more than {_MOST_BYTES:,} bytes; is it a file of options?")
        text = data.decode("utf-8")
    except FileNotFoundError as error:
        known = ", ".join(recipes())
        raise UserError(
            f"--config {path} does not exist; give a file, or a recipe that comes with jfewshot ({known})"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"--config {path} is not UTF-8 text: {error}") from error
    except OSError as error:
        raise UserError(f"--config {path} cannot be read: {error.strerror or error}") from error
    is_toml = path.suffix.lower() == ".toml"
    try:
        found = tomllib.loads(text) if is_toml else json.loads(text)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        what = "TOML" if is_toml else "JSON"
        hint = "" if is_toml or path.suffix.lower() == ".json" else " (a TOML file's name must end in .toml)"
        raise UserError(f"--config {path} is not {what}: {error}{hint}") from error
    except ValueError as error:
        # Python refuses to read more than 4,300 digits, and its message names a setting of Python, which would not help
        # our users.
        raise UserError(
            f"--config {path} holds a value that cannot be read, for instance a number of thousands of digits"
        ) from error
    except RecursionError as error:
        raise UserError(f"--config {path} has tables or lists that are nested too deeply") from error
    if not isinstance(found, dict):
        raise UserError(f"--config {path} should hold an object of option names and values")
    return found


def _leaves(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names with their tables as prefixes, and values; a file may contain nested tables that no option has."""
    left = [(normal(name), value) for name, value in reversed([*found.items()])]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{normal(inner)}", one) for inner, one in reversed([*value.items()])]
        else:
            yield name, value


def _as_arguments(option: Option, value: Any, path: Path) -> list[str]:
    if value is None:
        return []
    if option.is_switch:
        if not isinstance(value, bool):
            raise UserError(f"--config {path}: {option.name} is {str(value)[:40]}; it must be true or false")
        return [option.flag if value else option.off_flag]
    if value is True and option.may_be_empty:
        return [option.flag]
    return [option.flag, *_values(option, value, path)]


def _values(option: Option, value: Any, path: Path) -> list[str]:
    if isinstance(value, list) and not option.takes_several:
        raise UserError(f"--config {path}: {option.name} is a list; it must be one value")
    if value == [] and not option.may_be_empty:
        raise UserError(f"--config {path}: {option.name} is an empty list; give a value, or leave {option.name} out")
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _check_value(name: str, value: Any, path: Path) -> None:
    """Refuse values that no command line can have: lists in lists, and invalid characters."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list | dict) or (isinstance(value, list) and item is None):
            kind = "a list" if isinstance(item, list) else "null" if item is None else "a table"
            raise UserError(
                f"--config {path}: {name[:80]!a} holds {kind} in a list; its values must be texts or numbers"
            )
        if isinstance(item, int) and abs(item) >= 2**64:
            raise UserError(f"--config {path}: {name[:80]!a} holds a number of more than 64 bits")
        if isinstance(item, str) and ("\0" in item or not _is_unicode(item)):
            raise UserError(
                f"--config {path}: {name[:80]!a} is {item[:40]!a}, which holds a character that no text can have"
            )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
