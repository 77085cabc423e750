"""The encoder folder: `encoder.json`, `weights.npz` and a model card.

```
my-encoder/
  encoder.json   format and version, name, title, licence, source, the encoder's and the filterbank's settings,
                 what it was trained on, SHA-256 of weights.npz
  weights.npz    encoder/<parameter>, float16 or float32; cmvn/mean and cmvn/std, float32
  README.md      the model card
```

NumPy and the standard library are enough to read it.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from jfewshot.errors import UserError
from jfewshot.files import atomic_folder, sha256_of_file
from jfewshot.files.arrays import npz_bytes, read_npz
from jfewshot.files.json_values import decode_json
from jfewshot.files.places import check_place, manifest_of
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.export.card import model_card
from jfewshot.simclr.features import FbankSettings

FORMAT, FORMAT_VERSION = "jfewshot-encoder", 1
WHAT = "encoder"

# Encoders that ship with the package, each under its name.
SHIPPED = Path(__file__).parents[2] / "data" / "encoders"


class _Manifest(msgspec.Struct):
    """The fields of encoder.json that `read_encoder` uses. The file may have further fields."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    title: str
    licence: str
    source: str
    encoder: dict[str, Any]
    fbank: dict[str, Any] | None
    training: dict[str, Any]
    weights_sha256: str
    default_view: str | None = None


@dataclass(frozen=True)
class EncoderFolder:
    """The contents of an encoder folder.

    Args:
      name: name of the upstream in stores and tables, of letters, digits, `_`, `-` and `.`.
      config: settings of the transformer.
      arrays: parameters of the transformer by name (`jfewshot.simclr.encoder.to_arrays`).
      fbank: filter bank of the input features; None for an encoder with other input features (a converted TERA).
      mean, std: mean and standard deviation of the features over the training set, (n_mels,); None if `fbank` is None.
      title: title for people.
      licence: licence of the weights; an SPDX name if there is one.
      source: origin of the weights.
      training: facts about training and training data for the model card, as JSON.
      default_view: layer and pooling with the best results, which extraction keeps and evaluation uses; empty for `last.mean`.
      revision: SHA-256 of weights.npz; `read_encoder` sets it.
    """

    name: str
    config: EncoderConfig
    arrays: Mapping[str, np.ndarray]
    fbank: FbankSettings | None = None
    mean: np.ndarray | None = None
    std: np.ndarray | None = None
    title: str = ""
    licence: str = ""
    source: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    default_view: str = ""
    revision: str = ""


def write_encoder(folder: Path | str, encoder: EncoderFolder, dtype: str = "float32", replace: bool = False) -> Path:
    """Write an encoder folder. An error leaves everything as it was before.

    Args:
      folder: folder to write.
      encoder: configuration, weights and description of the encoder.
      dtype: type of the stored parameters; float16 halves the file and changes hidden states by about 1e-3.
      replace: replace an existing encoder folder. A folder with any other contents is never changed.

    Returns:
      the path of the folder.

    Raises:
      UserError: if a weight is not finite in `dtype`, or `folder` exists and may not be replaced.
    """
    arrays = {f"encoder/{name}": np.asarray(value, dtype) for name, value in encoder.arrays.items()}
    if not all(np.all(np.isfinite(value)) for value in arrays.values()):
        raise UserError(
            f"encoder {encoder.name} has weights that are not finite in {dtype}: "
            "export it as float32, or an earlier step"
        )
    if encoder.fbank is not None:
        arrays |= {"cmvn/mean": np.asarray(encoder.mean, np.float32), "cmvn/std": np.asarray(encoder.std, np.float32)}
    with atomic_folder(folder, own_files, WHAT, replace) as partial:
        # The digest identifies the weights, so equal weights must give equal bytes. Released folders have compression level 6.
        (partial / "weights.npz").write_bytes(npz_bytes(dict(sorted(arrays.items())), level=6))
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": encoder.name,
            "title": encoder.title or encoder.name,
            "licence": encoder.licence,
            "source": encoder.source,
            "encoder": dataclasses.asdict(encoder.config),
            "fbank": None if encoder.fbank is None else dataclasses.asdict(encoder.fbank),
            "training": dict(encoder.training),
            **({"default_view": encoder.default_view} if encoder.default_view else {}),
            "n_parameters": int(sum(np.size(value) for value in encoder.arrays.values())),
            "weights_sha256": sha256_of_file(partial / "weights.npz"),
        }
        (partial / "encoder.json").write_text(
            json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        (partial / "README.md").write_text(model_card(manifest), encoding="utf-8")
        read_encoder(partial)
    return Path(folder)


def check_encoder_place(folder: Path | str, replace: bool) -> None:
    """Refuse a folder to which an encoder may not be written, before the encoder is made.

    Raises:
      UserError: if the folder may not be replaced; the message gives its contents.
    """
    check_place(folder, own_files, WHAT, replace)


def own_files(folder: Path) -> frozenset[str] | None:
    """The names of the files of an encoder folder; None if the folder has no encoder.json of this format."""
    there = manifest_of(folder / "encoder.json", FORMAT) is not None
    return frozenset({"encoder.json", "weights.npz", "README.md"}) if there else None


def read_encoder(folder: Path | str) -> EncoderFolder:
    """Read and verify an encoder folder. For an encoder that ships with the package, its name is enough.

    Raises:
      UserError: if it is no encoder folder, has a newer format or unknown settings, or its weights do not match their digest.
    """
    folder = Path(folder)
    if not folder.exists() and (SHIPPED / folder.name / "encoder.json").exists() and folder.name == str(folder):
        folder = SHIPPED / folder.name
    manifest = _read_manifest(folder)
    weights = folder / "weights.npz"
    try:
        revision = sha256_of_file(weights)
    except OSError as error:
        raise UserError(f"{weights} cannot be read ({error.strerror or error}): copy or export it again") from error
    if revision != manifest["weights_sha256"]:
        raise UserError(f"{weights} is not the file that encoder.json describes: copy or export it again")
    try:
        arrays = read_npz(weights)
    except UserError as error:
        raise UserError(f"{weights} is damaged ({error}): export it again") from error
    wrong = next((name for name, value in arrays.items() if value.dtype.kind != "f"), None)
    if wrong is not None:
        raise UserError(f"{weights}: '{wrong}' holds {arrays[wrong].dtype} instead of floats: export it again")
    return EncoderFolder(
        name=manifest["name"],
        config=_settings(EncoderConfig, manifest["encoder"], folder),
        arrays={name.removeprefix("encoder/"): value for name, value in arrays.items() if name.startswith("encoder/")},
        fbank=None if manifest["fbank"] is None else _settings(FbankSettings, manifest["fbank"], folder),
        mean=arrays.get("cmvn/mean"),
        std=arrays.get("cmvn/std"),
        title=manifest["title"],
        licence=manifest["licence"],
        source=manifest["source"],
        training=manifest["training"],
        default_view=manifest.get("default_view") or "",
        revision=revision,
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Read encoder.json, and check the types of its fields."""
    file = folder / "encoder.json"
    try:
        manifest = decode_json(file.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{folder} has no encoder.json: name a folder written by `python -m jfewshot.simclr.export`"
        ) from None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror or error}): copy or export it again") from error
    except UserError as error:
        raise UserError(f"{file} is damaged ({error}): export it again") from None
    if not isinstance(manifest, dict):
        raise UserError(f"{file} is damaged (it holds no JSON object): export it again")
    version = manifest.get("format_version")
    if manifest.get("format") != FORMAT or not isinstance(version, int) or version > FORMAT_VERSION:
        raise UserError(
            f"{folder} is {manifest.get('format')} version {version}; this program reads {FORMAT} up to version "
            f"{FORMAT_VERSION}: update jfewshot"
        )
    try:
        msgspec.convert(manifest, _Manifest)
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{file} is damaged ({error}): export it again") from error
    return manifest


def _settings(kind: type, values: Mapping[str, Any], folder: Path) -> Any:
    unknown = sorted(set(values) - {item.name for item in dataclasses.fields(kind)})
    if unknown:
        raise UserError(f"{folder / 'encoder.json'} has settings unknown to this program ({unknown}): update jfewshot")
    try:
        return msgspec.convert(values, kind)  # a refusal by the settings themselves is a ValidationError here too
    except (msgspec.ValidationError, OverflowError) as error:
        raise UserError(f"{folder / 'encoder.json'} is damaged ({error}): export it again") from error
