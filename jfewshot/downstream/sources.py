"""Sources of frame features: raw FBANK, encoders, random encoders and stores.

| name on the command line | frames |
|---|---|
| `fbank` | 80 log-mel energies as Kaldi computes them: the control that every encoder should exceed |
| `simclr:FOLDER` | hidden states of an exported encoder; `simclr:FOLDER@2` its layer 2 |
| `random:FOLDER` | an encoder of the same shape with random weights, other ones for every seed: the other control |
| `store:FOLDER` | frames in a store (`jfewshot extract --pooling frames`), of any other upstream |

`{seed}` in a folder's name stands for a run's seed (`parse_by_seed`).
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jfewshot.audio import AudioError, Stretch, decode_stretch, read_audio, resample
from jfewshot.downstream.frames import Frames, padded_size
from jfewshot.downstream.settings import first_encoder, refuse_equal_names
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays
from jfewshot.simclr.export import EncoderFolder, LoadedEncoder, read_encoder
from jfewshot.simclr.features import FbankSettings, fbank
from jfewshot.store import Store, open_store
from jfewshot.training.model import model_builder

_ROWS_AT_ONCE = 16
SEED = "{seed}"
KINDS = ("fbank", "simclr:FOLDER", "random:FOLDER", "store:FOLDER")


@dataclasses.dataclass(frozen=True)
class Source:
    """One kind of frame features; make it with `parse_source`.

    Attributes:
      kind: `fbank`, `simclr`, `random` or `store`.
      name: name in tables; for an encoder, the encoder's own name.
      layer: name of a hidden state, or `last`.
      encoder: the encoder of the kinds `simclr` and `random`.
      store: the store of the kind `store`.
    """

    kind: str
    name: str
    layer: str = ""
    encoder: EncoderFolder | None = None
    store: Store | None = None

    @property
    def fbank(self) -> FbankSettings:
        """The settings of the filter bank whose frames the encoder takes."""
        return FbankSettings() if self.encoder is None else _require_fbank(self.encoder)

    @property
    def is_control(self) -> bool:
        """Whether it is raw FBANK, a random encoder, or an encoder that was exported at step 0 of its training."""
        untrained = self.encoder is not None and list(self.encoder.training.get("checkpoints", ())) == [0]
        return self.kind in ("fbank", "random") or untrained

    @property
    def recorded_kind(self) -> str:
        """The kind as records give it: an encoder exported at step 0 counts as random."""
        return "random" if self.is_control and self.kind != "fbank" else self.kind

    def title(self, finetune: bool) -> str:
        """The name in records and tables, which says whether the encoder is trained too."""
        return self.name + (", fine-tuned" if finetune and self.encoder is not None else "")

    @property
    def layer_number(self) -> int:
        """Index of the encoder's hidden state that is used; -1 is the last."""
        return -1 if self.layer in ("last", "") else int(self.layer)

    @property
    def drawn(self) -> bool:
        """Whether the frames depend on the seed, because the encoder's weights are drawn at random."""
        return self.kind == "random"

    def identity(self, seed: int) -> dict[str, Any]:
        """Everything that the frames depend on, except the audio, as JSON."""
        found: dict[str, Any] = {"kind": self.kind, "layer": self.layer}
        if self.store is not None:
            return found | {"store": self.store.view_digest(self.layer)}
        found["fbank"] = dataclasses.asdict(self.fbank)
        if self.encoder is not None:
            found["encoder"] = dataclasses.asdict(self.encoder.config)
            # A random encoder keeps the normalisation of the trained one: only its weights are random.
            found["statistics"] = [np.asarray(self.encoder.mean).tolist(), np.asarray(self.encoder.std).tolist()]
            found["weights"] = f"drawn with seed {seed}" if self.drawn else self.encoder.revision
        return found

    def loaded(self, seed: int) -> LoadedEncoder:
        """The encoder, with the random weights of this seed if its kind is `random`."""
        assert self.encoder is not None
        if not self.drawn:
            return LoadedEncoder(self.encoder)
        arrays = to_arrays(Encoder(self.encoder.config, rngs=nnx.Rngs(seed)))
        return LoadedEncoder(dataclasses.replace(self.encoder, arrays=arrays))


def parse_source(text: str) -> Source:
    """Parse a source of features from the text on the command line.

    Raises:
      UserError: an unknown kind, a folder that does not exist, an encoder without such a layer or without a filter bank, or
        a store without frames.
    """
    kind, colon, rest = text.partition(":")
    if text == "fbank":
        return Source("fbank", "FBANK")
    if kind not in ("simclr", "random", "store") or not rest:
        raise UserError(f"features '{text}' are not known; give {', '.join(KINDS)}")
    folder, at, layer = rest.partition("@")
    if kind == "store":
        return _store_source(open_store(Path(folder).expanduser()), layer)
    encoder = read_encoder(Path(folder).expanduser())
    _require_fbank(encoder)
    layers = [str(number) for number in range(encoder.config.n_layers + 1)]
    if (layer or "last") not in ("last", *layers):
        raise UserError(f"encoder {encoder.name} has no layer '{layer}'; it has {', '.join(layers)} and 'last'")
    title = f"{encoder.name}, random" if kind == "random" else encoder.name
    return Source(kind, title + (f" @{layer}" if layer else ""), layer or "last", encoder)


def parse_by_seed(text: str, n_seeds: int) -> list[Source]:
    """Make a source for every seed. `{seed}` in the text stands for the seed, so that each seed can have its own pretraining.

    All these sources have one name, without the seed: `simclr:encoders/tera-{seed}` is called tera.

    Raises:
      UserError: as `parse_source`.
    """
    if SEED not in text:
        return [parse_source(text)] * n_seeds
    name = re.sub(r"[-_.]?" + re.escape(SEED), "", Path(text.partition(":")[2].partition("@")[0]).name)
    if not name:
        raise UserError(f"features '{text}': a folder needs a name in addition to {{seed}}")
    layer = text.partition("@")[2]
    found = [parse_source(text.replace(SEED, str(seed))) for seed in range(n_seeds)]
    title = (f"{name}, random" if found[0].kind == "random" else name) + (f" @{layer}" if layer else "")
    return [dataclasses.replace(source, name=title) for source in found]


# Architecture of the random control when no simclr encoder was requested.
_SHAPE = "speech_simclr_small"


def sources_with_controls(features: Sequence[str], n_seeds: int, controls: bool) -> list[list[Source]]:
    """The requested features and the controls, each with a source for every seed.

    The controls are raw FBANK and a random encoder with the shape of the first `simclr:FOLDER`. A control that is among the
    requested features is not added again.

    Args:
      features: texts of the command line.
      n_seeds: number of seeds; a source that does not depend on the seed is repeated.
      controls: whether the controls are added.

    Returns:
      for every kind of features, its sources by seed; controls first.

    Raises:
      UserError: as `parse_source`, or if two kinds have one name.
    """
    sources = [parse_by_seed(text, n_seeds) for text in features]
    if controls:
        encoder = first_encoder(features) or _SHAPE
        there = [of[0] for of in sources if of[0].is_control]
        if not any(source.kind != "fbank" for source in there):
            sources.insert(0, parse_by_seed(f"random:{encoder}", n_seeds))
        if not any(source.kind == "fbank" for source in there):
            sources.insert(0, parse_by_seed("fbank", n_seeds))
    refuse_equal_names([of[0].name for of in sources])
    return sources


def _store_source(store: Store, view: str) -> Source:
    views = [name for name in store.views if name.endswith(".frames")]
    if view and view not in views:
        raise UserError(f"{store.path} has no frames '{view}'; it has {', '.join(views) or 'none'}")
    if not views:
        raise UserError(
            f"{store.path} has no view of frames, only {', '.join(store.views)}: "
            "extract it with --pooling frames --segment whole"
        )
    chosen = view or views[-1]
    return Source("store", store.upstream + (f" @{view}" if view else ""), chosen, store=store)


def _require_fbank(encoder: EncoderFolder) -> FbankSettings:
    if encoder.fbank is None:
        raise UserError(
            f"encoder {encoder.name} does not say how its input features are computed (a converted TERA, say); "
            "extract its frames with its own upstream, and give store:FOLDER"
        )
    return encoder.fbank


def fbank_frames(paths: Sequence[Path | Stretch], settings: FbankSettings) -> tuple[list[np.ndarray], dict[int, str]]:
    """Log-mel energies of audio files, or of stretches of these.

    Returns:
      float32 frames x mels of each file (no frames if it cannot be used), and the reasons by number of the unusable files.
    """
    parts: list[np.ndarray] = []
    reasons: dict[int, str] = {}
    for number, path in enumerate(paths):
        parts.append(np.zeros((0, settings.n_mels), np.float32))
        try:
            wave = _read(path, settings.sample_rate)
        except AudioError as error:
            reasons[number] = error.reason
            continue
        if len(wave) < settings.frame_length:
            reasons[number] = (
                f"too short: {len(wave)} samples at {settings.sample_rate} Hz, a frame needs {settings.frame_length}"
            )
            continue
        # Waves are padded to few sizes, because each size needs a compilation.
        padded = np.zeros(padded_size(len(wave) / settings.hop_length) * settings.hop_length, np.float32)
        padded[: len(wave)] = wave
        features, count = jax.device_get(fbank(padded, np.int32(len(wave)), settings))
        parts[-1] = features[: int(count)]
    return parts, reasons


def _read(audio: Path | Stretch, sample_rate: int) -> np.ndarray:
    return (
        resample(*decode_stretch(audio), sample_rate) if isinstance(audio, Stretch) else read_audio(audio, sample_rate)
    )


def encoded_frames(encoder: LoadedEncoder, heard: Frames, layer: str) -> Frames:
    """Compute one hidden state of every utterance.

    Args:
      encoder: the encoder.
      heard: frames of the encoder's filter bank, not normalised.
      layer: name of the hidden state: one of `encoder.layers`, or `last`.

    Returns:
      the hidden states of each utterance.
    """
    number = encoder.layer_number(layer)
    folder = encoder.folder
    hidden_state = _hidden_state(folder.config, number)
    params = {name: jnp.asarray(value, jnp.float32) for name, value in folder.arrays.items()}
    by_length = np.argsort(heard.n_frames, kind="stable")
    counts = np.asarray(folder.config.n_frames(heard.n_frames))
    found = Frames.counted(np.empty((int(counts.sum()), encoder.dim), np.float32), counts)
    for start in range(0, len(by_length), _ROWS_AT_ONCE):
        rows = by_length[start : start + _ROWS_AT_ONCE]
        batch, lengths = heard.padded(rows, padded_size(int(heard.n_frames[rows].max())))
        # A last batch with few rows is filled up, because another size would need a compilation of its own.
        batch = np.concatenate([batch, np.zeros((_ROWS_AT_ONCE - len(rows), *batch.shape[1:]), np.float32)])
        lengths = np.concatenate([lengths, np.zeros(_ROWS_AT_ONCE - len(rows), np.int32)])
        is_frame = np.arange(batch.shape[1])[:, None] < lengths[:, None, None]
        batch = np.where(is_frame, (batch - folder.mean) / folder.std, np.float32(0.0)).astype(np.float32)
        states = np.asarray(hidden_state(params, batch, lengths))
        for row, state in zip(rows, states, strict=False):
            found.of(row)[:] = state[: counts[row]]
    return found


@functools.cache
def _hidden_state(config: EncoderConfig, number: int) -> Callable[..., jax.Array]:
    """A function from parameters and normalised frames to one hidden state, compiled once for all encoders of one shape."""
    build = model_builder(lambda rngs: Encoder(config, rngs=rngs))
    return jax.jit(lambda params, frames, n_frames: build(params)(frames, n_frames)[0][number])


def store_frames(source: Source, utterance_ids: Sequence[str]) -> Frames:
    """The frames of some utterances in a store; they stay on disk until they are used.

    Raises:
      UserError: if the store lacks utterances; the message gives the first.
    """
    assert source.store is not None
    clips = source.store.clips
    place = {clip: row for row, clip in enumerate(clips.clip_id.tolist())}
    missing = [name for name in utterance_ids if name not in place]
    if missing:
        raise UserError(
            f"{source.store.path} lacks {len(missing)} of {len(utterance_ids)} utterances, the first is {missing[0]}: "
            "extract the table that --write-table writes, or leave these out with --leave-out"
        )
    rows = np.array([place[name] for name in utterance_ids])
    return Frames(source.store.view(source.layer), clips.first_segment[rows], clips.n_segments[rows])
