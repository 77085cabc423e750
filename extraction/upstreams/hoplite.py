"""Presets of Perch Hoplite's zoo: `hoplite:PRESET`, for instance `hoplite:perch_v2` or `hoplite:beans_baseline`.

perch-hoplite (the package of Google's Perch project) wraps Perch, SurfPerch, BirdNET, encoders of whales and others in one
interface: `embed(audio)` cuts a sound into the preset's windows and returns windows x channels x dim. Here a whole clip is
embedded at once, and each of its windows is a frame, which can be pooled in any way.
"""

import dataclasses
import difflib
import hashlib
import importlib
import importlib.metadata
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers
from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.probing import shortest_finite
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file

logger = logging.getLogger(__name__)

LAYER = "windows"
# perch-hoplite 1.0 looks up the class `placeholder` in a table in which the class is called `placeholder_model`.
_CLASSES = {"placeholder": "placeholder_model"}
# Licences of the weights, if their publishers state them.
LICENCES = {"perch": "Apache-2.0", "birdnet": "CC-BY-NC-SA-4.0"}
# The argument for pip that installs a package which a preset imports.
_EXTRAS = {"tensorflow": "'perch-hoplite[tf]'", "onnxruntime": "'perch-hoplite[onnx]'"}


@dataclasses.dataclass(eq=False)
class HopliteUpstream:
    """A preset of Hoplite's zoo behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      model: the `EmbeddingModel` of perch-hoplite.
      frame_times: layer, beginning of the first window and time between two windows, in seconds; None if the preset does not
        define them.
    """

    name: str
    title: str
    revision: str
    licence: str
    source: str
    n_parameters: int | None
    sample_rate: int
    model: Any
    frame_times: tuple[str, float, float] | None
    segment_samples: int | None = None  # Hoplite cuts clips into windows itself
    min_samples: int = 1
    layers: tuple[str, ...] = (LAYER,)
    packages: tuple[str, ...] = ("perch-hoplite", "librosa")

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Embeddings with one frame for each window of a wave; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if embeddings have another shape than windows x channels x dim.
        """
        require_known_layers(self.name, self.layers, layers)
        windows = []
        for wave in waves:
            found = np.asarray(self.model.embed(np.array(wave, np.float32)).embeddings, np.float32)
            if found.ndim != 3:
                raise UserError(
                    f"{self.name} gives embeddings of shape {found.shape}; Hoplite's interface says windows x channels x dim"
                )
            windows.append(found.reshape(-1, found.shape[-1]))
        return dict.fromkeys(layers, np.stack(windows))


def load_hoplite(rest: str, options: UpstreamOptions) -> HopliteUpstream:
    """Load a preset of Hoplite's zoo.

    Args:
      rest: the preset's name.
      options: `checkpoint` replaces the files that perch-hoplite would download: the folder of a SavedModel for Perch and
        SurfPerch, or a file for the ONNX version and for BirdNET.

    Raises:
      UserError: if perch-hoplite or a package for the preset is missing, if the preset is unknown, or if its weights cannot be
        downloaded.
    """
    if options.autocast != "none":
        raise UserError(f"hoplite: encoders run in float32, not in {options.autocast}: leave out --autocast")
    configs = _configs()
    known = preset_names(configs)
    if rest not in known:
        near = difflib.get_close_matches(rest, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(f'hoplite:{name}' for name in near)}? " if near else ""
        raise UserError(f"perch-hoplite has no preset '{rest}'; {hint}its presets are {', '.join(known)}")
    # TensorFlow writes many messages to standard error unless this variable is set before its import.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with quiet(logger), random_states_kept():
            model = _model(rest, configs, options)
    except UserError:
        raise
    except ImportError as error:
        cause = error.__cause__  # perch-hoplite wraps the error of onnxruntime
        missing = (error.name or getattr(cause, "name", None) or str(error)).split(".")[0]
        raise UserError(
            f"hoplite:{rest} needs the Python package {missing}, which is not installed: pip install "
            f"{_EXTRAS.get(missing, missing)}"
        ) from error
    except Exception as error:  # the errors of Kaggle, the hub, TensorFlow and ONNX Runtime have no common class
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(
            f"hoplite:{rest} cannot be loaded ({reason}). perch-hoplite downloads weights from Kaggle, the Hugging Face hub or "
            "Google's cloud; on a machine without internet, name a copy with --checkpoint"
        ) from error
    _tame(model)
    version = importlib.metadata.version("perch-hoplite")
    hop_s = getattr(model, "hop_size_s", None)
    upstream = HopliteUpstream(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", rest),
        title=rest,
        revision=", ".join([f"perch-hoplite {version} {rest}", *_weights(model)]),
        licence=licence_of(rest),
        source="perch-hoplite",
        n_parameters=0 if type(model).__name__ == "HandcraftedFeaturesModel" else None,
        sample_rate=int(model.sample_rate),
        model=model,
        frame_times=(LAYER, 0.0, float(hop_s)) if hop_s else None,
    )
    with quiet(logger), random_states_kept():
        upstream.min_samples = shortest_finite(
            f"hoplite:{rest}",
            lambda waves: upstream.encode(waves, (LAYER,)).values(),
            upstream.sample_rate,
            errors=(Exception,),  # TensorFlow and ONNX Runtime raise errors of their own
        )
    return upstream


def preset_names(configs: Any) -> list[str]:
    """The names of Hoplite's presets, in its order.

    Args:
      configs: the module `perch_hoplite.zoo.model_configs`.
    """
    return [preset.value for preset in configs.ModelConfigName]


def licence_of(preset: str) -> str:
    """The licence of a preset's weights (SPDX identifier); empty if it is unknown."""
    return next((licence for family, licence in LICENCES.items() if preset.startswith(family)), "")


def _configs() -> Any:
    try:
        with quiet(logger), random_states_kept():
            return importlib.import_module("perch_hoplite.zoo.model_configs")
    except ImportError as error:
        raise UserError(
            f"hoplite: encoders need the Python package perch-hoplite: pip install 'jfewshot[hoplite]' ({error})"
        ) from error


def _model(rest: str, configs: Any, options: UpstreamOptions) -> Any:
    """The preset's model, with the user's copy of the weights if there is one."""
    if options.checkpoint is not None and rest in ("aves", "birdaves"):
        raise UserError(f"hoplite:{rest} takes no --checkpoint; onnx:{options.checkpoint} runs that file")
    preset = configs.get_preset_model_config(rest)
    kind = _CLASSES.get(preset.model_key, preset.model_key)
    config = preset.model_config
    if "num_tflite_threads" in config and options.threads is not None:
        config.num_tflite_threads = options.threads
    if options.checkpoint is None:
        return configs.get_model_class(kind).from_config(config)
    path = Path(options.checkpoint).expanduser().resolve()
    if not path.exists():
        raise UserError(f"there is no {options.checkpoint} for hoplite:{rest}")
    if kind not in ("taxonomy_model_tf", "perch_v2_onnx", "birdnet"):
        raise UserError(
            f"hoplite:{rest} takes no --checkpoint: "
            + (
                "it has no weights"
                if "model_url" not in config
                else "perch-hoplite always reads its weights from Kaggle's cache"
            )
        )
    if kind == "taxonomy_model_tf":
        config.tfhub_version = None  # with a version, perch-hoplite would download that version from Kaggle
    config.model_path = str(path)
    if kind == "perch_v2_onnx":  # this preset's own class would always download the file
        return importlib.import_module("perch_hoplite.zoo.models_onnx").TaxonomyModelOnnx.from_config(config)
    return configs.get_model_class(kind).from_config(config)


def _tame(model: Any) -> None:
    """Stop a model from printing at every call, and from returning arbitrary numbers for a silent window.

    perch-hoplite 1.0 scales each window to a peak with `np.divide(..., where=peak > 0)` and without `out`. So a silent window
    holds uninitialised numbers. With this function a silent window stays silent; all other windows are computed as before.
    """
    vars(sys.modules[type(model).__module__])["print"] = lambda *words: logger.debug("%s", words)

    def normalize_audio(framed_audio: np.ndarray, target_peak: float | None) -> np.ndarray:
        if target_peak is None:
            return framed_audio
        centred = framed_audio - np.mean(framed_audio, axis=-1, keepdims=True)
        peak = np.max(np.abs(centred), axis=-1, keepdims=True)
        return np.divide(centred, peak, out=np.zeros_like(centred), where=peak > 0) * target_peak

    model.normalize_audio = normalize_audio


def _weights(model: Any) -> list[str]:
    """The digest of the weights, if the model says in which file or folder they are."""
    path = Path(str(getattr(model, "model_path", "") or "/nonexistent"))
    if path.is_file():
        return [f"weights sha256:{sha256_of_file(path)}"]
    if not path.is_dir():
        return []
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()} {sha256_of_file(file)}\n".encode())
    return [f"weights sha256:{digest.hexdigest()}"]
