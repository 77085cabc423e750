"""Any speech encoder of the Hugging Face hub, through `transformers`: `hf:ID`, `hf:ID@REVISION` or `hf:FOLDER`.

Some models take waves (wav2vec 2.0, HuBERT, WavLM, UniSpeech-SAT, data2vec, SEW, Moonshine ...), others take filter banks
(w2v-BERT, Whisper's encoder ...). In both cases the model's own feature extractor prepares the input, one wave at a time. Of a
model with encoder and decoder, only the encoder is used.
"""

import contextlib
import dataclasses
import importlib.util
import logging
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers, true_layer
from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.s3prl import compat
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file, sha256_of_json

log = logging.getLogger(__name__)

SEGMENT_S = 5
WEIGHT_FILES = ("*.safetensors", "pytorch_model*.bin", "config.json", "preprocessor_config.json")
# Weights that are random if a checkpoint does not have them, and that are used only in training.
TRAINING_ONLY = ("masked_spec_embed", "quantizer", "project_hid", "project_q", "label_embs_concat")


@dataclasses.dataclass(eq=False)
class HuggingFaceUpstream:
    """One encoder of `transformers` behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      model: the encoder, in evaluation mode on `device`.
      extractor: its feature extractor, which normalises waves or computes filter banks.
      window_samples: length of the window to which the encoder pads every wave (Whisper does this); only the frames of the wave
        itself are kept. None for encoders that do not pad.
      max_samples: longer waves are refused; the length of the window if there is one.
    """

    name: str
    title: str
    revision: str
    licence: str
    source: str
    n_parameters: int | None
    sample_rate: int
    segment_samples: int | None
    model: Any
    extractor: Any
    device: Any
    autocast: str
    window_samples: int | None = None
    min_samples: int = 1
    layers: tuple[str, ...] = ("last_hidden_state",)
    packages: tuple[str, ...] = ("torch", "transformers")

    @property
    def max_samples(self) -> int | None:
        return self.window_samples

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Frames of the requested layers; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if waves are shorter than `min_samples` or longer than the encoder's window.
        """
        require_known_layers(self.name, self.layers, layers)
        length = waves.shape[1]
        if length < self.min_samples:
            raise UserError(
                f"{self.name} needs at least {self.min_samples} samples at {self.sample_rate} Hz for finite features; this wave "
                f"has {length}. Let short clips be repeated to a segment, or leave them out"
            )
        if self.window_samples is not None and length > self.window_samples:
            raise UserError(
                f"{self.name} takes {self.window_samples / self.sample_rate:g} s at most, and this wave has "
                f"{length / self.sample_rate:.2f} s. Cut clips into segments"
            )
        own = {layer: true_layer(self.layers, layer) for layer in layers}
        states = self.states(waves, tuple(own.values()))
        return {layer: states[name] for layer, name in own.items()}

    def states(
        self, waves: Float32[np.ndarray, "batch samples"], wanted: Sequence[str] | None = None
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Hidden states under their numbers, and the output under `last_hidden_state` if it differs from the last hidden state.

        Args:
          waves: as for `encode`.
          wanted: names of the states to return; None for all.
        """
        import torch

        from extraction.upstreams.torch_runtime import inference

        inputs = self.extractor(list(waves), sampling_rate=self.sample_rate, return_tensors="pt", **self._padding())
        if "input_values" in inputs:
            inputs.pop("attention_mask", None)  # all waves of a batch are equally long
        if not all(torch.isfinite(values).all() for values in inputs.values()):
            raise ValueError(f"the feature extractor of {self.title} gives NaN for {waves.shape[1]} samples")
        with random_states_kept(), inference(self.device, self.autocast):
            output = self.model(**inputs.to(self.device), output_hidden_states=True)
            last = getattr(output, "last_hidden_state", None)
            states = {str(number): state for number, state in enumerate(getattr(output, "hidden_states", None) or ())}
            if last is not None and not (states and torch.equal(states[str(len(states) - 1)], last)):
                states["last_hidden_state"] = last
            return {layer: self._true_frames(states[layer], waves.shape[1]) for layer in wanted or states}

    def _padding(self) -> dict[str, Any]:
        # Extractors of filter banks pad as their models need: Whisper's to its window, w2v-BERT's to pairs of frames.
        return {"padding": False} if self.extractor.model_input_names[0] == "input_values" else {}

    def _true_frames(self, state: Any, length: int) -> Float32[np.ndarray, "batch frames dim"]:
        frames = state.float().cpu().numpy()
        if self.window_samples is None or frames.ndim != 3:
            return frames
        return frames[:, : math.ceil(frames.shape[1] * length / self.window_samples)]


def load_huggingface(rest: str, options: UpstreamOptions) -> HuggingFaceUpstream:
    """Load an encoder and its feature extractor.

    Args:
      rest: an id of the hub, optionally with `@` and a branch, tag or commit, or a folder that `save_pretrained` wrote.
      options: `checkpoint` names a local folder that replaces the id, or a folder in which the id is a folder (weights/facebook/
        hubert-base-ls960). This is for machines without internet (another way is to set HF_HUB_OFFLINE=1 and use the hub's
        cache). Device, autocast, threads.

    Raises:
      UserError: if transformers is missing, if the model cannot be downloaded, if it is no speech encoder, or if some of its
        weights are missing.
    """
    if importlib.util.find_spec("transformers") is None:
        raise UserError("hf: encoders need the package transformers: pip install 'jfewshot[huggingface]'")
    compat.prepare_torchaudio()
    from extraction.upstreams import torch_runtime

    torch_runtime.check_autocast(options.autocast)
    device = torch_runtime.resolve_device(options.device)
    torch_runtime.apply_threads(options)
    identity, _, wanted_revision = rest.partition("@")
    folder = Path(options.checkpoint or identity).expanduser()
    if options.checkpoint and (folder / identity).is_dir():
        folder = folder / identity  # the folder holds the weights of several encoders
    location = str(folder) if options.checkpoint or folder.is_dir() else identity
    with quiet(log), random_states_kept(), _quiet_transformers():
        model, extractor = _fetch(location, wanted_revision or None)
        commit = getattr(model.config, "_commit_hash", None)
        encoder = model.get_encoder() if model.config.is_encoder_decoder else model
        upstream = HuggingFaceUpstream(
            name="hf_" + re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(identity).name if Path(identity).is_dir() else identity),
            title=identity,
            revision=_revision(location, commit, options.autocast),
            licence=_licence(location),
            source=location if not Path(location).is_dir() else "a local folder",
            n_parameters=sum(parameter.numel() for parameter in encoder.parameters()),
            sample_rate=int(extractor.sampling_rate),
            segment_samples=SEGMENT_S * int(extractor.sampling_rate),
            model=encoder.eval().requires_grad_(False).to(device),
            extractor=extractor,
            device=device,
            autocast=options.autocast,
        )
        upstream.window_samples = _window(upstream)
        upstream.min_samples = shortest_finite(
            rest, lambda waves: _three_dimensional(rest, upstream.states(waves)), upstream.sample_rate
        )
        upstream.layers = tuple(upstream.states(np.zeros((1, upstream.sample_rate), np.float32)))
    return upstream


def _fetch(location: str, revision: str | None) -> tuple[Any, Any]:
    import transformers

    try:
        extractor = transformers.AutoFeatureExtractor.from_pretrained(location, revision=revision)
        model, info = transformers.AutoModel.from_pretrained(
            location, revision=revision, dtype="float32", output_loading_info=True
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"{location} cannot be loaded as a speech encoder ({type(error).__name__}: {reason}). It must be an id of "
            "huggingface.co or a folder with config.json, preprocessor_config.json and the weights; without internet, copy that "
            "folder and pass it as --checkpoint"
        ) from error
    if not getattr(extractor, "sampling_rate", None):
        raise UserError(f"the feature extractor of {location} has no sampling rate; it is not one for sound")
    missing = [key for key in info["missing_keys"] if not any(part in key for part in TRAINING_ONLY)]
    wrong = [str(key) for key in info.get("mismatched_keys", ())]
    if missing or wrong:
        raise UserError(
            f"{location} does not fill {type(model).__name__}: {len(missing)} tensors are missing "
            f"({', '.join(sorted(missing)[:3])} ...) and {len(wrong)} have another shape; they would be random numbers"
        )
    return model, extractor


def _window(upstream: HuggingFaceUpstream) -> int | None:
    """The length to which the extractor pads every wave; None if it does not pad to one length.

    Raises:
      UserError: if it pads to one length, but the length is not known.
    """
    name = upstream.extractor.model_input_names[0]
    shapes = set()
    for seconds in (1, 2):
        waves = [np.ones(seconds * upstream.sample_rate, np.float32)]
        inputs = upstream.extractor(
            waves, sampling_rate=upstream.sample_rate, return_tensors="np", **upstream._padding()
        )
        shapes.add(inputs[name].shape)
    if len(shapes) > 1:
        return None
    window = getattr(upstream.extractor, "n_samples", None)
    if window is None:
        raise UserError(
            f"{upstream.title} pads every wave to one length, and its outputs are not frames in the order of time; wrap it in a "
            "class of your own (docs/upstreams.md)"
        )
    return int(window)


def _three_dimensional(name: str, states: dict[str, np.ndarray]) -> list[np.ndarray]:
    for state in states.values():
        if state.ndim != 3:
            raise UserError(
                f"{name} gives {state.shape}; batch x frames x dim is needed, so it is no encoder of frames"
            )
    return list(states.values())


def _revision(location: str, commit: str | None, autocast: str) -> str:
    precision = f" {autocast}" if autocast != "none" else ""
    if commit:
        return f"commit:{commit}{precision}"
    files = sorted(path for pattern in WEIGHT_FILES for path in Path(location).glob(pattern))
    return f"sha256:{sha256_of_json({path.name: sha256_of_file(path) for path in files})}{precision}"


def _licence(location: str) -> str:
    """The `license:` in the header of a local model card; empty if there is none."""
    card = Path(location) / "README.md"
    if not card.is_file():
        return ""
    found = re.search(r"^license:\s*(\S+)\s*$", card.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return found.group(1) if found else ""


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Let transformers' own logger show only errors, and no progress bars."""
    from transformers.utils import logging as theirs

    verbosity, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.set_verbosity(verbosity)
        if bars:
            theirs.enable_progress_bar()
