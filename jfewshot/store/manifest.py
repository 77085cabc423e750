"""Read a store's `manifest.json` and check it field by field before it is used."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from jfewshot.errors import UserError
from jfewshot.files.json_values import decode_json

FORMAT = "jfewshot-store"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
# "/" and "\\" separate folders; Windows refuses the others.
_NOT_IN_FILE_NAMES = frozenset('/\\:*?"<>|')
_LONGEST_VIEW = 180  # a file name has at most 255 bytes, and the name of an unfinished file is longer than the view's
_AGAIN = "copy or extract the store again"

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Facts(msgspec.Struct):
    """Facts about a dataset or an upstream. A manifest may have further facts."""

    name: _Name
    title: str | None = None
    revision: str | None = None


class _View(msgspec.Struct):
    layer: str | None = None
    pooling: str | None = None
    dim: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    dtype: str | None = None
    sha256: str | None = None


class _LeftOut(msgspec.Struct):
    clip_id: str
    reason: str


class _Cost(msgspec.Struct):
    flop_per_clip: Annotated[float, msgspec.Meta(ge=0)] | None = None
    clips_per_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    clips_timed: _Count | None = None
    device: str | None = None
    threads: _Count | None = None


class _Manifest(msgspec.Struct):
    """The fields of a manifest that readers use (docs/store.md). A manifest may have further fields."""

    dataset: _Facts
    upstream: _Facts
    views: dict[str, Any]
    clips_sha256: _Digest
    clip_table: str | None = None
    sample_rate: _Count | None = None
    segment_samples: _Count | None = None
    preprocessing: str | None = None
    default_view: str | None = None
    counts: dict[str, _Count] | None = None
    left_out: list[_LeftOut] = []
    cost: _Cost | None = None
    made_with: dict[str, Any] = {}


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check `manifest.json` of a store's folder.

    Args:
      path: the store's folder.

    Returns:
      All fields of the manifest; those of docs/store.md have the documented types.

    Raises:
      UserError: names the file and the field that differs from docs/store.md.
    """
    file = path / MANIFEST
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; a store is a folder with a {MANIFEST} (docs/store.md)")
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is no store: it has no {MANIFEST}. `python -m jfewshot.store create` makes a store from arrays"
        ) from error
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}); {_AGAIN}") from error
    try:
        manifest = decode_json(data)
    except UserError as error:
        raise UserError(f"{file} is truncated or not JSON ({error}); {_AGAIN}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"{file} does not describe an embedding store (its format is not '{FORMAT}')")
    version = manifest.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise UserError(
            f"{path} is a store of format version {str(version)[:40]}; this jfewshot reads version {FORMAT_VERSION}. "
            "Extract it again, or use the jfewshot that wrote it"
        )
    for field in ("dataset", "upstream"):
        if not isinstance(manifest.get(field), dict) or not manifest[field].get("name"):
            raise UserError(f"{file} does not say {field}.name; every store names its dataset and its upstream")
    _check(file, "the manifest", manifest, _Manifest)
    if not manifest["views"]:
        raise UserError(f"{file} names no views; a store needs at least one array")
    for name, facts in manifest["views"].items():
        fault = view_name_fault(name)
        if fault:
            raise UserError(f"{file}: {fault}")
        _check(file, f"view {name[:60]!r}", facts, _View)
    default = manifest.get("default_view")
    if default is not None and default not in manifest["views"]:
        raise UserError(f"{file}: the default view {default[:60]!r} is not among the views; {_AGAIN}")
    return manifest


def view_name_fault(name: str) -> str:
    """The reason why a view's name is refused; empty if it is valid. The name is that of the view's file in the store's folder.

    Args:
      name: name of the view.
    """
    refused = sorted(set(name) & _NOT_IN_FILE_NAMES)
    if refused or any(character < " " for character in name):
        shown = " ".join(refused) or "a control character"
        return f"view name {name!r} holds {shown}, which file names cannot hold on every system"
    if name.startswith(".") or not name or len(name.encode("utf-8", "replace")) > _LONGEST_VIEW:
        return f"view name {name[:40]!r} must not begin with a dot, and must have 1 to {_LONGEST_VIEW} bytes"
    return ""


def _check(file: Path, what: str, value: Any, kind: type) -> None:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{file}: {what} is not as docs/store.md describes it: {error}; {_AGAIN}") from error
