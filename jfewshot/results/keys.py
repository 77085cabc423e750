"""The key that identifies a cell or a set of draws."""

from collections.abc import Mapping
from typing import Any

from jfewshot.files import sha256_of_json

FORMAT = "jfewshot-result"
# Version 1 had a file of JSON and a file of predictions for each cell; it is still read.
FORMAT_VERSION = 2
KEY_DIGITS = 20


def key_of(identity: Mapping[str, Any]) -> str:
    """The key of a cell or of a set of draws: the first 20 hexadecimal digits of its canonical JSON's SHA-256.

    Args:
      identity: everything that the result depends on.

    Returns:
      The key.
    """
    return sha256_of_json(identity)[:KEY_DIGITS]
