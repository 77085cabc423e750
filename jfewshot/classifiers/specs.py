"""Parse classifiers as users write them, "logistic:C=0.1,1,10" or "knn:k=3:metric=cosine"."""

import dataclasses
import difflib
import functools
import hashlib
import importlib
import inspect
import sys
import typing
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

from jfewshot.classifiers import CLASSIFIERS, TRANSDUCTIVE
from jfewshot.classifiers.kernels import KERNEL_SETTINGS, KERNELS, RBF, WithKernel, kernel_settings, taken_apart
from jfewshot.classifiers.transductive import is_transductive
from jfewshot.errors import UserError

# Stands for a strength that is chosen in each episode from its supports.
AUTO: Final = "auto"
# A number, or AUTO, or None for a classifier without a strength.
StrengthValue = float | Literal["auto"] | None
# The solvers use strengths in float32, divide by them, and multiply Gram matrices by them.
_LEAST, _MOST = 1e-30, 1e30
# Counters of epochs and neighbours are 32-bit.
_LARGEST_INT = 2**31 - 1


_KNOWN: dict[str, Any] = {**CLASSIFIERS, **TRANSDUCTIVE}


class ClassifierSpec(NamedTuple):
    """A classifier with its settings, and the strengths to evaluate it at.

    Attributes:
      name: as in `CLASSIFIERS` or `TRANSDUCTIVE`.
      classifier: the instance: a `Classifier`, one with a kernel, or a `Transductive`.
      strengths: at least one value, of which `AUTO` may be one; `(None,)` for a classifier without a strength.
    """

    name: str
    classifier: Any
    strengths: tuple[StrengthValue, ...]

    def identity(self) -> dict[str, Any]:
        """The fields on which a result depends, and the digest of the source of a user's own classifier, so that edits count."""
        kernel, plain = taken_apart(self.classifier)
        identity = {"name": self.name, **dataclasses.asdict(plain), **kernel_settings(kernel)}
        if is_transductive(plain):
            identity["transductive"] = True
        if self.name not in _KNOWN:
            identity["source"] = _digest_of_source(typing.cast(type, type(plain)))
        return identity


def default_classifiers(shots: Iterable[int | Literal["all"]]) -> tuple[str, ...]:
    """The default classifiers: `logistic` at one shot, and `ridge` with a chosen alpha for more shots.

    With more than one shot `ridge:alpha=auto` is as accurate as `logistic:C=auto` and many times as fast
    (docs/classifiers.md). A run with several numbers of shots uses it for all of them, so that a curve shows one
    classifier.

    Args:
      shots: support clips per class of all protocols of the run; "all" for all labels.
    """
    return ("logistic",) if all(one == 1 for one in shots) else ("ridge:alpha=auto",)


def parse_classifier(text: str) -> ClassifierSpec:
    """Parse `name[:setting=value]...`; the strength may be a comma-separated list, which may contain `auto`.

    The name is one of `CLASSIFIERS` or `TRANSDUCTIVE`, or `package.module.Class` for a classifier of the user's own (see base.py
    and transductive.py).

    `kernel=rbf` is a setting of every classifier that has no setting of that name itself; `gamma` is a setting of the
    kernel (kernels.py).

    Raises:
      UserError: if a name, setting or value is unknown; the message lists the known ones.
    """
    name, *settings = text.split(":")
    kind: Any = _KNOWN.get(name) or (_imported(name) if "." in name else None)
    if kind is None:
        near = difflib.get_close_matches(name, _KNOWN, 1)
        hint = f"did you mean '{near[0]}'? There are" if near else "there are"
        raise UserError(
            f"unknown classifier '{name}'; {hint} {', '.join(_KNOWN)}, and your own as package.module.Class"
        )
    types = typing.get_type_hints(kind)
    fields = {field.name: types[field.name] for field in dataclasses.fields(kind)}
    strengths: tuple[StrengthValue, ...] = (kind.strength.default,) if kind.strength else (None,)
    chosen: dict[str, Any] = {}
    of_kernel: dict[str, str] = {}
    # If a classifier has one of these settings itself, the setting keeps the classifier's meaning.
    own = is_transductive(kind) or KERNEL_SETTINGS & fields.keys()
    kernel_keys: frozenset[str] = frozenset() if own else KERNEL_SETTINGS
    given: set[str] = set()
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not value:
            raise UserError(f"classifier '{text}': '{setting}' should be setting=value")
        if key in given:
            several = f"; several strengths are {key}=1,2" if kind.strength and key == kind.strength.name else ""
            raise UserError(f"classifier '{text}': {key} is given twice; give one value{several}")
        given.add(key)
        if kind.strength and key == kind.strength.name:
            strengths = tuple(_strength(text, kind, item) for item in value.split(","))
        elif key in fields:
            chosen[key] = _value(text, key, value, fields[key])
        elif key in kernel_keys:
            of_kernel[key] = value
        else:
            known = [
                *([kind.strength.name] if kind.strength else []),
                *fields,
                *sorted(kernel_keys),
            ]
            raise UserError(f"classifier '{name}' has no setting '{key}'; it has {', '.join(known) or 'none'}")
    kernel = _kernel(text, of_kernel)
    classifier: Any = kind(**chosen)
    if kernel is not None:
        classifier = WithKernel(classifier, kernel)
    return ClassifierSpec(name, classifier, strengths)


_NOT_OWN = {"jfewshot", *sys.stdlib_module_names}


@functools.cache  # The imported code runs, even if its file is changed later.
def _digest_of_source(kind: type) -> str:
    """Digest of the modules of a user's class and of its bases, since a class may use other names of its module."""
    own = {base.__module__ for base in kind.__mro__ if base.__module__.partition(".")[0] not in _NOT_OWN}
    digest = hashlib.sha256()
    for name in sorted(own):
        try:
            digest.update(inspect.getsource(sys.modules[name]).encode())
        except (OSError, TypeError, KeyError) as error:
            raise UserError(
                f"classifier '{kind.__module__}.{kind.__qualname__}': the source of module '{name}' cannot be read, so a later "
                "change of it would go unnoticed; write the classifier in a .py file"
            ) from error
    return digest.hexdigest()[:12]


def _imported(name: str) -> Any:
    module_name, _, class_name = name.rpartition(".")
    # A command finds modules in the current folder, as `python -m` does.
    sys.path.insert(0, "")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:  # raised for a module without a name: "..x"
        raise UserError(f"classifier '{name}' cannot be imported ({error}); write package.module.Class") from error
    finally:
        sys.path.remove("")
    solves = ("solve",) if is_transductive(kind) else ("fit", "score")
    wanted = (*solves, "strength", "translation_invariant", "tolerance")
    missing = [attribute for attribute in wanted if not hasattr(kind, attribute)]
    if missing or not dataclasses.is_dataclass(kind):
        what = f"has no {missing[0]}" if missing else "is not a dataclass"
        raise UserError(f"classifier '{name}' {what}; jfewshot/classifiers/base.py says what a classifier needs")
    _digest_of_source(typing.cast(type, kind))
    return kind


def _strength(text: str, kind: Any, value: str) -> StrengthValue:
    if value != AUTO:
        return _positive(text, kind.strength.name, value, " or auto" if kind.strength.grid else "")
    if not kind.strength.grid or not hasattr(kind, "choose"):
        able = ", ".join(name for name, other in CLASSIFIERS.items() if other.strength and other.strength.grid)
        raise UserError(
            f"classifier '{text}': it cannot choose {kind.strength.name} by itself; give numbers, or use one that can ({able})"
        )
    return AUTO


def _kernel(text: str, settings: dict[str, str]) -> RBF | None:
    if not settings:
        return None
    name = settings.get("kernel")
    if name is None:
        raise UserError(f"classifier '{text}': gamma is a setting of a kernel; add kernel=rbf, or leave gamma out")
    if name not in KERNELS:
        raise UserError(f"classifier '{text}': kernel is '{name}'; choose {' or '.join(KERNELS)}, or leave kernel out")
    gamma = settings.get("gamma")
    return KERNELS[name]() if gamma is None else KERNELS[name](gamma=_positive(text, "gamma", gamma))


def _positive(text: str, key: str, value: str, otherwise: str = "") -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not _LEAST <= number <= _MOST:
        raise UserError(
            f"classifier '{text}': {key} is '{value[:40]}'; it must be a positive number, from {_LEAST:g} to {_MOST:g}{otherwise}"
        )
    return number


def _value(text: str, key: str, value: str, kind: Any) -> Any:
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise UserError(f"classifier '{text}': {key} is '{value}'; choose {' or '.join(map(str, choices))}")
        return value
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise UserError(f"classifier '{text}': {key} is '{value}'; choose true or false")
        return value.lower() == "true"
    if kind is int:
        # Texts that are longer than the largest number are not converted, since Python refuses numbers with many
        # digits.
        if not value.isdecimal() or len(value) > 10 or not 1 <= int(value) <= _LARGEST_INT:
            raise UserError(
                f"classifier '{text[:80]}': {key} is '{value[:40]}'; it must be a whole number, from 1 to {_LARGEST_INT}"
            )
        return int(value)
    return _positive(text, key, value)
