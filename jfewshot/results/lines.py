"""A record as a line of JSON, and back, with checks of every field that a reader uses.

A line contains the SHA-256 of the line without that field, so an edited record can be distinguished from an original
one.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from jfewshot.errors import UserError
from jfewshot.files import canonical_json
from jfewshot.files.json_values import check_nesting
from jfewshot.results.keys import FORMAT, KEY_DIGITS, key_of

_Name = Annotated[str, msgspec.Meta(min_length=1)]
# A file of the result folder with a name of this project, and no file elsewhere.
_File = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}\Z")]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Width = Annotated[float, msgspec.Meta(ge=0.0, le=1e3)]
_Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class _Thing(msgspec.Struct):
    name: _Name
    title: str | None = None
    revision: str | None = None


class _View(msgspec.Struct):
    name: _Name
    layer: str | None
    pooling: str | None


class _Store(msgspec.Struct):
    path: str | None = None
    digest: str | None = None


class _LeftOut(msgspec.Struct):
    class_: str = msgspec.field(name="class")
    clips: _Count = 0


class _Counts(msgspec.Struct):
    clips: _Count | None = None
    classes: _Count | None = None
    classes_left_out: list[_LeftOut] = []


class _Preprocessing(msgspec.Struct):
    name: _Name
    center: str | None = None
    shrinkage: float | None = None


class _Strength(msgspec.Struct):
    name: _Name
    value: float | Literal["auto"] | None
    grid: int | None = None


class _Chosen(msgspec.Struct):
    value: float
    episodes: _Count


class _Condition(msgspec.Struct):
    column: str
    values: list[str]
    equal: bool


class _Side(msgspec.Struct):
    split: str | None = None
    where: list[_Condition] = []


class _Balance(msgspec.Struct):
    dirichlet: _Count
    queries: _Count


class _Protocol(msgspec.Struct):
    n_way: Annotated[int, msgspec.Meta(ge=2, le=65_536)]
    k_shot: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    n_query: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    n_episodes: Annotated[int, msgspec.Meta(ge=1, lt=2**32)]
    seed: int
    split: str | None
    min_clips: _Count | None
    group_aware: bool
    query_segments: Literal["vote", "mean", "one"]
    support: _Side | None = None
    query: _Side | None = None
    support_from: str | None = None
    every_query: bool = False
    every_class: bool = False
    mteb: Literal["splits", "folds"] | None = None
    independent: bool = False
    query_balance: _Balance | None = None
    unknown_ways: _Count = 0


class _Predictions(msgspec.Struct):
    file: _File
    sha256: str
    kept: Literal["predictions", "counts"] = "predictions"
    offset: _Count = 0
    bytes: _Count = 0


class _Block(msgspec.Struct):
    file: _File
    sha256: str
    offset: _Count = 0
    bytes: _Count = 0


class _Accuracy(msgspec.Struct):
    mean: _Share
    std: _Width
    ci95: _Width
    pool_ci95: _Width | None = None
    pool_ci95_classes_fixed: _Width | None = None


class _Number(msgspec.Struct):
    mean: float
    std: float
    ci95: float
    pool_ci95: float | None = None
    pool_ci95_classes_fixed: float | None = None


class _Risk(msgspec.Struct):
    coverage: _Share
    risk: _Share


class _Bin(msgspec.Struct):
    share: _Share
    confidence: _Share
    accuracy: _Share


class _Calibration(msgspec.Struct):
    nll: _Number
    nll_uncalibrated: _Number
    ece: _Number
    ece_uncalibrated: _Number
    aurc: _Number
    temperature: dict[str, float] = {}
    reliability: list[_Bin] = []
    reliability_uncalibrated: list[_Bin] = []
    risk: list[_Risk] = []


class _OpenSet(msgspec.Struct):
    unknown_ways: _Count
    auroc: dict[str, _Number] = {}
    fpr95: dict[str, _Number] = {}


class _Mteb(msgspec.Struct):
    stopped: _Count | None = None
    iteration_limit: _Count | None = None
    converged_accuracy: _Share | None = None
    equal_predictions: _Share | None = None
    experiments: list[dict[str, float | None]] = []


class _Cost(msgspec.Struct):
    flop_per_clip: float | None = None
    clips_per_s: float | None = None
    device: str | None = None
    threads: _Count | None = None


class _Timing(msgspec.Struct):
    wall_s: float | None = None
    episodes_per_s: float | None = None
    compile_s: float | None = None


# Types of the fields. For an object, these are the fields that a reader uses; it may have further fields.
_IDENTITY: dict[str, Any] = {
    "clip_table": str,
    "embeddings": str,
    "preprocessing": _Preprocessing | None,
    "classifier": _Thing,
    "strength": _Strength | None,
    "protocol": _Protocol,
}
_RECORD: dict[str, Any] = {
    "key": str,  # compared with the digest of the identity
    "identity": dict[str, msgspec.Raw],
    "dataset": _Thing,
    "upstream": _Thing,
    "view": _View,
    "accuracy": _Accuracy,
    "metrics": dict[str, _Accuracy] | None,
    "calibration": _Calibration | None,
    "open_set": _OpenSet | None,
    "mteb": _Mteb | None,
    "predictions": _Predictions,
    "scores": _Block | None,
    "draws": _File,
    "draws_sha256": str | None,
    "sha256": str,  # compared with the digest of all other fields
    "store": _Store | None,
    "counts": _Counts | None,
    "solver": dict[str, float | None] | None,
    "chosen": list[_Chosen] | None,
    "timing": _Timing | None,
    "cost": _Cost | None,
    "made_with": dict[str, str | float | None] | None,
}
# Records of earlier versions have no digests.
_DIGESTS = {"draws_sha256", "sha256"}
_OPTIONAL = {
    "store",
    "counts",
    "solver",
    "chosen",
    "metrics",
    "scores",
    "calibration",
    "open_set",
    "mteb",
    "timing",
    "cost",
    "made_with",
    "preprocessing",
    "strength",
} | _DIGESTS
_NEEDED = _RECORD.keys() - _OPTIONAL
_NEEDED_OF_IDENTITY = _IDENTITY.keys() - _OPTIONAL
# These parts differ between records; all other parts are shared by many records.
_OWN = {
    "key",
    "accuracy",
    "metrics",
    "predictions",
    "scores",
    "calibration",
    "open_set",
    "sha256",
    "solver",
    "chosen",
    "timing",
    "mteb",
}
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in {**_RECORD, **_IDENTITY}.items()}
_KEY_FIRST = re.compile(rb'\{"key":"([0-9a-f]{%d})"' % KEY_DIGITS)
_KEY_ELSEWHERE = re.compile(rb'"key"\s*:\s*"([0-9a-f]{%d})"' % KEY_DIGITS)
_AFTER_KEY = len('{"key":"",') + KEY_DIGITS
_SEALED = re.compile(rb'.{%d}"sha256":"([0-9a-f]{64})",' % _AFTER_KEY, re.DOTALL)


def line_of(record: Mapping[str, Any]) -> bytes:
    """A record as a line of canonical JSON: its key, its digest, then its other fields in alphabetical order.

    The digest, `sha256`, is that of the same line without the digest and without the newline.

    Args:
      record: the record with its key; an existing `sha256` is ignored.

    Returns:
      The line, with the newline at its end.

    Raises:
      ValueError: for NaN or infinity, which JSON cannot represent.
    """
    rest = canonical_json({name: value for name, value in record.items() if name not in ("key", "sha256")})
    line = f'{{"key":"{record["key"]}",{rest[1:]}'.encode()
    digest = hashlib.sha256(line).hexdigest()
    return b'%b"sha256":"%b",%b\n' % (line[:_AFTER_KEY], digest.encode(), line[_AFTER_KEY:])


def digest_in_line(line: bytes) -> str | None:
    """The digest in a line at the position where `line_of` writes it; None if there is none.

    Args:
      line: of a file of records.
    """
    found = _SEALED.match(line)
    return found[1].decode() if found else None


def _digest_of(record: Mapping[str, Any]) -> str | None:
    """The digest that `line_of` computes for a record; None for a record that it cannot write."""
    try:
        return digest_in_line(line_of(record))
    except (ValueError, RecursionError):
        return None


def _is_as_sealed(line: bytes) -> bool:
    """Whether a line has exactly the bytes that `line_of` writes."""
    found = _SEALED.match(line)
    if found is None:
        return False
    digest = hashlib.sha256(line[:_AFTER_KEY])
    digest.update(line[found.end() :].rstrip(b"\n"))
    return digest.hexdigest() == found[1].decode()


def key_of_line(line: bytes) -> str | None:
    """The key of a line, even if other parts of it are damaged; None if there is none.

    A run writes the key first. Other programs that write records may write it at another position.

    Args:
      line: of a file of records.
    """
    found = _KEY_FIRST.match(line) or _KEY_ELSEWHERE.search(line)
    return found[1].decode() if found else None


class LineReader:
    """Makes records from lines. Parts that several records share become one object, which must not be changed.

    Most bytes of 100,000 records are such parts: protocol, names, versions. Each is decoded once and stored once.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[str, bytes], Any] = {}

    def record(self, line: bytes, version: int) -> dict[str, Any]:
        """A record.

        Args:
          line: JSON.
          version: the format version that it must have.

        Returns:
          All its fields.

        Raises:
          UserError: names the field that differs from docs/results.md, without the file's name.
        """
        try:
            fields = _OBJECT.decode(line)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise UserError(f"it is no JSON object: {error}") from error
        if self._mark(fields.get("format")) != FORMAT:
            raise UserError(f"its format is not '{FORMAT}'")
        found = self._mark(fields.get("format_version"))
        if found != version:
            raise UserError(f"its format version is {found}, and this reads {version} here")
        if not fields.keys() >= _NEEDED:
            raise UserError(f"it lacks '{min(_NEEDED - fields.keys())}'")
        identity = bytes(fields.pop("identity"))
        record = self._decoded_all(fields)
        record["identity"] = self._identity(identity, record["key"])
        # Another program may have formatted the same contents differently; they are digested as a run would write them.
        if "sha256" in record and not _is_as_sealed(line) and _digest_of(record) != record["sha256"]:
            raise UserError("it was edited after it was written: its sha256 is not that of its contents")
        return record

    def _identity(self, raw: bytes, key: str) -> dict[str, Any]:
        try:
            fields = _DECODERS["identity"].decode(raw)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise UserError(f"its 'identity' is damaged: {error}") from error
        if not fields.keys() >= _NEEDED_OF_IDENTITY:
            raise UserError(f"it lacks 'identity.{min(_NEEDED_OF_IDENTITY - fields.keys())}'")
        identity = self._decoded_all(fields)
        # A line that a run wrote contains the identity in its digested form; another program may have formatted it
        # differently.
        if hashlib.sha256(raw).hexdigest()[:KEY_DIGITS] != key and key_of(identity) != key:
            raise UserError("its key is not that of its identity")
        return identity

    def _mark(self, raw: msgspec.Raw | None) -> Any:
        try:
            return None if raw is None else self._decoded_all({"format": raw})["format"]
        except UserError:
            return None

    def _decoded_all(self, fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
        # One loop without function calls, since 100,000 records have two million parts.
        parts, decoded = self._parts, {}
        for name, encoded in fields.items():
            raw = bytes(encoded)
            if name in _OWN:
                decoded[name] = _decoded(name, raw)
                continue
            try:
                decoded[name] = parts[name, raw]
            except KeyError:
                decoded[name] = parts[name, raw] = _decoded(name, raw)
        return decoded


def _decoded(name: str, raw: bytes) -> Any:
    """A part as plain Python objects, after a check that its fields have the types that readers expect."""
    try:
        checked = _DECODERS[name].decode(raw) if name in _DECODERS else None
        value = msgspec.json.decode(raw)
        check_nesting(raw, value)
        if isinstance(checked, _Accuracy):  # another program may have written 1.0 as 1
            value |= {field: number for field, number in msgspec.structs.asdict(checked).items() if field in value}
        return value
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise UserError(f"its '{name}' is damaged: {error}") from error
