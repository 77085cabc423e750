"""File names for upstreams and datasets, which every operating system accepts."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

# Windows treats these names as devices, whatever follows the first dot. A file name has at most 255 bytes on most
# systems, and ours have additional words before and after.
_LONGEST_FILE_NAME = 150
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)


def file_names(names: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """A file name for each name, which every system accepts: letters of any script, digits, dots and dashes.

    No two are the same, whatever the case.
    """
    taken: set[str] = set()
    files = {}
    for name in names:
        base = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "unnamed"
        if _DEVICES.fullmatch(base.partition(".")[0]):
            base = f"_{base}"
        candidate, number = _first_bytes(base[:80], _LONGEST_FILE_NAME), 2
        while (key := unicodedata.normalize("NFC", candidate).casefold()) in taken:
            candidate, number = f"{_first_bytes(base[:76], _LONGEST_FILE_NAME - 6)}-{number}", number + 1
        taken.add(key)
        files[name] = candidate
    return files


def _first_bytes(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")
