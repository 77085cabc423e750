"""Describe a dataclass of options: the name, type, meaning and default of each option.

The dataclass is the command line, as tyro has it: a field is an option, the string below the field is its help, a field
that is itself a dataclass is a set of options with a common prefix. Two class attributes hold information that a
dataclass cannot express:

  HEADINGS  the first field of each group of options -> the heading of that group in `--help`
  EXAMPLES  command lines that `--help` shows

This module reads the same annotations as tyro. It exists because refusals, `--config`, completion and help need the options
without parsing anything.
"""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

REQUIRED = dataclasses.MISSING
_METAVARS = {int: "N", float: "X", Path: "PATH", str: "TEXT"}


@dataclasses.dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
      name: as on the command line, without dashes (`data.crop-s`); of a positional argument, as its help shows it.
      kind: its type, without annotations and without `| None`.
      default: `REQUIRED` if there is none.
      help: what it does, in a sentence or more.
      heading: of its group in `--help`.
      metavar: what stands for its value in `--help`; empty for an option without a value.
      is_positional: whether it is given without its name.
    """

    name: str
    kind: Any
    default: Any
    help: str
    heading: str
    metavar: str
    is_positional: bool = False

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return self.name if self.is_positional else f"--{self.name}"

    @property
    def is_switch(self) -> bool:
        """Whether it is switched on (`--name`) or off (`--no-name`) rather than given a value."""
        return self.kind is bool

    @property
    def off_flag(self) -> str:
        """The flag that switches it off: `--no-faster`, `--augmentation.no-pitch`."""
        prefix, dot, last = self.name.rpartition(".")
        return f"--{prefix}{dot}no-{last}"

    @property
    def takes_several(self) -> bool:
        """Whether several values may follow."""
        return typing.get_origin(self.kind) is tuple

    @property
    def may_be_empty(self) -> bool:
        """Whether the option may be given without a value."""
        return self.takes_several and (self.default == () or self.metavar.startswith("["))

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that are allowed; empty if there is no such list."""
        kind = self.value_kind
        return tuple(map(str, typing.get_args(kind))) if typing.get_origin(kind) is Literal else ()

    @property
    def value_kind(self) -> Any:
        """The type of one value; the number's where words may stand in its place."""
        return next((part for part in self._kinds if typing.get_origin(part) is not Literal), self._kinds[0])

    @property
    def words(self) -> tuple[str, ...]:
        """The words that are allowed instead of a number: `all`."""
        literal = [part for part in self._kinds if typing.get_origin(part) is Literal]
        return tuple(map(str, typing.get_args(literal[0]))) if literal and len(self._kinds) > 1 else ()

    @property
    def _kinds(self) -> tuple[Any, ...]:
        one = _without_none(typing.get_args(self.kind)[0]) if self.takes_several else self.kind
        return typing.get_args(one) if typing.get_origin(one) in (typing.Union, types.UnionType) else (one,)

    @property
    def n_values(self) -> int | None:
        """How many values it takes; None for any number."""
        arguments = typing.get_args(self.kind)
        if not self.takes_several:
            return 1
        return None if Ellipsis in arguments else len(arguments)


def options_of(kind: type) -> tuple[Option, ...]:
    """The options of a dataclass, in the order of `--help`.

    Args:
      kind: the dataclass, which may hold others.

    Returns:
      An option for each leaf, including those of dataclasses inside.
    """
    return tuple(_options_of(kind, "", None, "Options"))


def _options_of(kind: type, prefix: str, instance: Any, heading: str) -> Iterator[Option]:
    """Options below a prefix; `instance` holds the defaults, if the dataclass around this one sets them."""
    hints = typing.get_type_hints(kind, include_extras=True)
    texts = field_texts(kind)
    headings = getattr(kind, "HEADINGS", {})
    for field in dataclasses.fields(kind):
        hint, extras = _split(hints[field.name])
        if tyro.conf.Suppress in extras:
            continue
        heading = headings.get(field.name, heading)
        name = next((extra.name for extra in extras if getattr(extra, "name", None)), None)
        name = (field.name if name is None else name).replace("_", "-")
        default = getattr(instance, field.name) if instance is not None else _default_of(field)
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            inner = prefix if tyro.conf.OmitArgPrefixes in extras else f"{prefix}{name}."
            yield from _options_of(hint, inner, None if default is REQUIRED else default, heading)
            continue
        metavar = next((extra.metavar for extra in extras if getattr(extra, "metavar", None)), None)
        is_positional = tyro.conf.Positional in extras
        yield Option(
            name=name.upper() if is_positional else prefix + name,
            kind=hint,
            default=default,
            help=texts.get(field.name, ""),
            heading="Arguments" if is_positional else heading,
            metavar=_metavar_of(hint) if metavar is None else metavar,
            is_positional=is_positional,
        )


def field_texts(kind: type) -> dict[str, str]:
    """The string below each field of a dataclass, on one line."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        except OSError:  # no source: a user's class that was typed at a prompt
            continue
        assert isinstance(body, ast.ClassDef)
        for field, text in itertools.pairwise(body.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            ):
                found[field.target.id] = " ".join(text.value.value.split())
    return found


def _default_of(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _split(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without annotations and `| None`, and the annotations."""
    extras: tuple[Any, ...] = ()
    if typing.get_origin(hint) is Annotated:
        hint, extras = typing.get_args(hint)[0], hint.__metadata__
    return _without_none(hint), extras


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        some = [part for part in typing.get_args(hint) if part is not type(None)]
        return some[0] if len(some) == 1 else hint
    return hint


def _metavar_of(hint: Any) -> str:
    if hint is bool:
        return ""
    if typing.get_origin(hint) is Literal:
        return "|".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        arguments = typing.get_args(hint)
        one = _metavar_of(_without_none(arguments[0]))
        return f"{one} [{one} ...]" if Ellipsis in arguments else " ".join(_metavar_of(part) for part in arguments)
    return _METAVARS.get(hint, "TEXT")
