"""Values of JSON from a file that may be damaged: read strictly, or refused in one line."""

from typing import Any

import msgspec

from jfewshot.errors import UserError

# Far more than any of our files has, and far less than Python's recursion limit allows when a value is written again.
_MOST_LEVELS = 64


def decode_json(data: bytes) -> Any:
    """A value of JSON.

    NaN, infinities, numbers that no computation can use, texts that are not Unicode and nesting of more than 64 levels are
    refused here, so that nothing fails on them later.

    Args:
      data: the bytes of a file, in UTF-8.

    Returns:
      What `json.loads` would give.

    Raises:
      UserError: in a few words without the file's name.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UserError(str(error)) from error
    except RecursionError as error:
        raise UserError(_TOO_DEEP) from error
    check_nesting(data, value)
    return value


def check_nesting(data: bytes, value: Any) -> None:
    """Refuse lists and objects inside each other on more than 64 levels.

    Args:
      data: the JSON.
      value: what it was decoded to.

    Raises:
      UserError: in a few words.
    """
    # A value with few brackets cannot be deeply nested, and counting brackets is many times faster than checking.
    if data.count(b"[") + data.count(b"{") <= _MOST_LEVELS:
        return
    level = [value]
    for _ in range(_MOST_LEVELS + 1):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise UserError(_TOO_DEEP)


_TOO_DEEP = f"it has lists or objects inside each other on more than {_MOST_LEVELS} levels"


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
