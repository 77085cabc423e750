"""A head's folder: `head.json` and `weights.npz`, written completely or not at all, and checked when read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_folder, atomic_write, sha256_of_file, sha256_of_json
from jfewshot.files.arrays import npz_bytes, read_npz
from jfewshot.files.json_values import decode_json
from jfewshot.files.places import check_place, manifest_of
from jfewshot.heads.head import Head
from jfewshot.statistics.expected import Outcomes

FORMAT, FORMAT_VERSION = "jfewshot-head", 1
MANIFEST, WEIGHTS = "head.json", "weights.npz"
_AGAIN = "copy the folder again, or fit the head again"
_ARRAYS = ("origin", "weights", "bias", "labels")
# The fields on which the scores of a recording depend, together with the name and the revision of the encoder.
_SCORING = ("classes", "classifier", "settings", "preprocessing", "view", "audio", "weights_sha256")

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Encoder(msgspec.Struct):
    name: str
    revision: str | None = None
    load: str | None = None


class _Audio(msgspec.Struct):
    sample_rate: _Positive | None
    segment_samples: _Positive | None
    preprocessing: str | None


class _Expected(msgspec.Struct):
    n_correct: _Count
    n: _Positive
    n_groups: _Count
    clips_per_group: Annotated[float, msgspec.Meta(ge=1)]
    correlation: _Share
    left_out_by: Literal["clip", "group"]
    recall: dict[str, _Share]


class _Unknown(msgspec.Struct):
    threshold: float
    kept: _Share
    n_classes: _Count
    recall: _Share | None
    precision: _Share | None


class _Manifest(msgspec.Struct):
    classes: Annotated[list[str], msgspec.Meta(min_length=2)]
    classifier: Literal["ridge", "logistic", "svm", "centroid", "knn"]
    settings: dict[str, Any]
    strength: float | None
    preprocessing: Literal["none", "l2"]
    encoder: _Encoder
    view: str
    audio: _Audio
    clips: dict[str, _Count]
    expected: _Expected
    unknown: _Unknown
    weights_sha256: _Digest
    scoring_sha256: _Digest


def write_head(path: Path | str, head: Head, replace: bool = False) -> Path:
    """Write a head's folder.

    Args:
      path: the folder.
      head: with its facts.
      replace: replace a head that stands there.

    Returns:
      the folder.

    Raises:
      UserError: if something else stands there.
    """
    with atomic_folder(path, own_files, "head", replace) as folder:
        with atomic_write(folder / WEIGHTS) as file:
            file.write(npz_bytes({name: getattr(head, name) for name in _ARRAYS}))
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "classes": list(head.classes),
            "classifier": head.classifier,
            "settings": dict(head.settings),
            "strength": head.strength,
            "preprocessing": head.preprocessing,
            **{name: value for name, value in head.facts.items() if name not in ("weights_sha256", "scoring_sha256")},
            "weights_sha256": sha256_of_file(folder / WEIGHTS),
        }
        manifest["scoring_sha256"] = scoring_digest(manifest)
        with atomic_write(folder / MANIFEST, "w") as file:
            json.dump(manifest, file, indent=2, ensure_ascii=False)
            file.write("\n")
    return Path(path)


def check_head_place(path: Path | str, replace: bool) -> None:
    """Refuse a folder that a head may not be written to, before the work.

    Raises:
      UserError: naming the folder and what is in it.
    """
    check_place(path, own_files, "head", replace)


def own_files(folder: Path) -> frozenset[str] | None:
    """The files that a head's manifest accounts for, with the manifest; None where there is none."""
    return None if manifest_of(folder / MANIFEST, FORMAT) is None else frozenset((MANIFEST, WEIGHTS))


def read_head(path: Path | str) -> Head:
    """Read a head's folder.

    Args:
      path: the folder.

    Returns:
      the head.

    Raises:
      UserError: if the folder is no head, is of another format version, or is damaged.
    """
    path = Path(path)
    manifest = _manifest(path)
    weights = path / WEIGHTS
    try:
        arrays = read_npz(weights)
    except FileNotFoundError as error:
        raise UserError(f"{weights} is missing, though {MANIFEST} names it; {_AGAIN}") from error
    except UserError as error:
        raise UserError(f"{weights} is damaged ({error}); {_AGAIN}") from error
    if sha256_of_file(weights) != manifest["weights_sha256"]:
        raise UserError(f"{weights} is not the file that {MANIFEST} describes; {_AGAIN}")
    fault = _fault(manifest, arrays)
    if fault:
        raise UserError(f"{weights}: {fault}; {_AGAIN}")
    if scoring_digest(manifest) != manifest["scoring_sha256"]:
        raise UserError(
            f"{path / MANIFEST} was edited: {', '.join(_SCORING[:-1])} and encoder have to be those of the fit; {_AGAIN}"
        )
    fixed: dict[str, Any] = {name: manifest[name] for name in ("classifier", "settings", "strength", "preprocessing")}
    if fixed["strength"] is not None:
        fixed["strength"] = float(fixed["strength"])
    given: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
    facts = {
        name: value for name, value in manifest.items() if name not in (*fixed, "classes", "format", "format_version")
    }
    return Head(classes=tuple(manifest["classes"]), **fixed, **given, facts=facts)


def scoring_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of everything on which a head's scores depend, so that an edited `head.json` is recognised.

    Args:
      manifest: what `head.json` says.
    """
    encoder = manifest["encoder"]
    chosen = {name: manifest[name] for name in _SCORING}
    return sha256_of_json({**chosen, "encoder": [encoder["name"], encoder.get("revision")]})


def outcomes_in(head: Head) -> Outcomes:
    """The outcomes of the labelled clips when they were left out, from a head's facts."""
    found = head.facts["expected"]
    return Outcomes(
        found["n_correct"],
        found["n"],
        found["n_groups"],
        float(found["clips_per_group"]),
        float(found["correlation"]),
    )


def _manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; give the folder that `jfewshot fit` wrote")
    try:
        manifest = decode_json(file.read_bytes())
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is no head: it has no {MANIFEST}. `jfewshot fit FOLDER --out HEAD` makes one"
        ) from error
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}); {_AGAIN}") from error
    except UserError as error:
        raise UserError(f"{file} is truncated or not JSON ({error}); {_AGAIN}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"{file} does not describe a head (its format is not '{FORMAT}')")
    if manifest.get("format_version") != FORMAT_VERSION or isinstance(manifest["format_version"], bool):
        raise UserError(
            f"{path} is a head of format version {str(manifest.get('format_version'))[:40]}; this jfewshot reads version "
            f"{FORMAT_VERSION}. Fit it again, or use the jfewshot that wrote it"
        )
    try:
        expected = msgspec.convert(manifest, _Manifest).expected
        if max(expected.n_correct, expected.clips_per_group) > expected.n:
            raise msgspec.ValidationError("more clips in `expected` than it says there are")
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{file} is not as docs/heads_in_use.md describes it: {error}; {_AGAIN}") from error
    return manifest


def _fault(manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """A description of what is wrong with the arrays; empty if nothing is."""
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        return f"no array '{missing[0]}'"
    origin, weights, bias, labels = (arrays[name] for name in _ARRAYS)
    n_classes = len(manifest["classes"])
    is_knn = manifest["classifier"] == "knn"
    columns = len(labels) if is_knn else n_classes
    if weights.ndim != 2 or weights.shape != (len(origin), columns) or bias.shape != (columns,) or origin.ndim != 1:
        return f"weights of shape {weights.shape} for {columns} columns"
    if (
        any(array.dtype != np.float32 for array in (origin, weights, bias))
        or labels.dtype != np.int64
        or labels.ndim != 1
    ):
        return "arrays of other types than a head has"
    if not all(np.isfinite(array).all() for array in (origin, weights, bias)):
        return "numbers that are NaN or infinite"
    k = manifest["settings"].get("k")
    if is_knn and not (isinstance(k, int) and 1 <= k <= columns and labels.min() >= 0 and labels.max() < n_classes):
        return "labels or k of knn that do not fit the classes"
    return ""
