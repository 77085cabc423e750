"""Convert names of any type to text: pandas' and NumPy's missing values, bytes, numbers; refuse invalid names."""

import logging
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jfewshot.errors import UserError

_log = logging.getLogger(__name__)
# The types of pandas' missing values, which this package does not import, and of NumPy's masked one.
_MISSING_TYPES = frozenset({"NoneType", "NAType", "NaTType", "MaskedConstant"})
_LOOKS_MISSING = frozenset({"nan", "NaN", "None", "<NA>", "NaT", "null", "N/A"})
_NOT_ONE = (list, tuple, set, frozenset, dict)


def is_missing(value: object) -> bool:
    """Whether a value is missing: None, NaN, pandas' NA and NaT."""
    return type(value).__name__ in _MISSING_TYPES or (isinstance(value, float) and bool(value != value))


def text_of(value: Any, what: str) -> str:
    """A name as text; a missing one is empty.

    Args:
      value: text, bytes in UTF-8, a number, or a missing value.
      what: the meaning of the value, for messages: "the class of clip 'a.wav'".

    Raises:
      UserError: for a list of values, bytes that are not UTF-8, or characters that cannot be written to a file.
    """
    if type(value) is not str:
        value = _as_text(value, what)
    if "\0" in value:
        raise UserError(f"{what} contains a NUL character; rename it")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        seen = value.encode("utf-8", "surrogateescape") if "\udc80" <= value[error.start] <= "\udcff" else value
        raise UserError(
            f"{what} is not UTF-8 text: {seen!r}; rename it (file names: convmv -f latin1 -t utf8 -r --notest FOLDER)"
        ) from error
    return value


def texts_of(values: Iterable[Any], what: str, owners: Sequence[str] | None = None) -> list[str]:
    """A column of names as text; missing ones are empty.

    Args:
      values: one per clip.
      what: what they are, for messages: "class".
      owners: the clips' ids, for messages; None numbers them.

    Returns:
      one text per value.

    Raises:
      UserError: for a table, a matrix or a mapping in place of a column, or a value that `text_of` refuses.
    """
    shape = getattr(values, "shape", None)
    if shape is not None and len(shape) != 1:
        fix = (
            "pass one column of it" if hasattr(values, "columns") else "pass a flat array, for instance labels.ravel()"
        )
        one_hot = "; one-hot labels: labels.argmax(axis=1)" if len(shape) == 2 and shape[1] > 1 else ""
        raise UserError(f"{what}: values of shape {tuple(shape)}; one per clip is needed: {fix}{one_hot}")
    if isinstance(values, str | bytes | dict):
        raise UserError(
            f"{what}: {type(values).__name__} {str(values)[:40]!r}; a list with one value per clip is needed"
        )
    if type(values) is np.ndarray and values.dtype.kind in "iu":  # not a masked array, which has missing values
        return [str(value) for value in values.tolist()]
    if isinstance(values, np.ndarray) and values.dtype.kind == "U":
        values = values.tolist()  # iterating over NumPy's texts takes ten times as long as over Python's
    texts = []
    for number, value in enumerate(values):
        if type(value) is str and value.isascii() and "\0" not in value:
            texts.append(value)
        else:
            owner = owners[number] if owners is not None and number < len(owners) else f"number {number}"
            texts.append(text_of(value, f"{what} of clip '{owner}'"))
    return texts


def check_twins(names: Iterable[str], what: str) -> None:
    """Refuse names that differ only in white space or in the form of Unicode, and warn of names that differ only in case.

    Args:
      names: of classes or groups.
      what: what they are: "classes".

    Raises:
      UserError: names two such names.
    """
    plain: dict[str, str] = {}
    folded: dict[str, str] = {}
    for name in sorted(set(names)):
        key = " ".join(unicodedata.normalize("NFC", name).split())
        if key in plain:
            raise UserError(
                f"the {what} {plain[key]!r} and {name!r} differ in white space or in how an accent is written alone; write "
                "them alike"
            )
        plain[key] = name
        if name in _LOOKS_MISSING:
            _log.warning("among the %s is '%s': is that a missing value that was turned into text?", what, name)
        if key.casefold() in folded:
            _log.warning("the %s '%s' and '%s' differ in case alone", what, folded[key.casefold()], name)
        folded.setdefault(key.casefold(), name)


def _as_text(value: Any, what: str) -> str:
    if is_missing(value):
        return ""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        value = value.item()
        return "" if is_missing(value) else text_of(value, what)
    if isinstance(value, _NOT_ONE) or getattr(value, "ndim", None):
        raise UserError(
            f"{what} is {str(value)[:60]}, a list of values; an episode needs one for each clip: choose one"
        )
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{what} is {value[:40]!r}, bytes that are not UTF-8; decode them first") from error
    return str(value)
