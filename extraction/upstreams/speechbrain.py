"""Encoders of SpeechBrain: `speechbrain:ID` on the Hugging Face hub, or `speechbrain:FOLDER` with a `hyperparams.yaml`.

Two of SpeechBrain's interfaces give embeddings of waves: `EncoderClassifier` (speakers, languages, sounds: one vector for each
wave) and `WaveformEncoder` (frames). Both are used through their own `from_hparams` and `encode_batch`. The modules that the file
names determine which interface is used.
"""

import contextlib
import dataclasses
import importlib
import inspect
import logging
import pydoc
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers
from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.modules_of_others import failure, revision_of
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.s3prl import compat
from extraction.upstreams.torch_checkpoint import first_few
from extraction.upstreams.torch_runtime import apply_threads, inference, resolve_device
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

_FILE = "hyperparams.yaml"
# Modules whose objects a hyperparams.yaml may build without --trust-checkpoint: layers, and readers of their weights. The tags of
# such a file can name any function of any package, and some functions run commands.
_HARMLESS = (
    "speechbrain.lobes.",
    "speechbrain.nnet.",
    "speechbrain.processing.",
    "speechbrain.integrations.huggingface.",
    "speechbrain.dataio.encoder",
    "speechbrain.dataio.preprocess",
    "speechbrain.utils.parameter_transfer",
    "torch.nn.",
)
_TAG = re.compile(r"(?:^|(?<=[\s\[{(,:-]))(?:!|%TAG)[^\s\]},]*", re.MULTILINE)
_BUILDS = re.compile(r"!(?:new|name|apply):")
_PLAIN_TAGS = ("!", "!ref", "!copy", "!tuple", "!PLACEHOLDER")
_NO_KEY = "did not have parameters for the key: "


@dataclasses.dataclass(eq=False)
class SpeechBrainUpstream:
    """An encoder of SpeechBrain behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      model: SpeechBrain's interface.
      device: device on which it computes.
      autocast: `none`, `bf16` or `fp16`.
    """

    name: str
    title: str
    revision: str
    source: str
    n_parameters: int | None
    sample_rate: int
    model: Any
    device: torch.device
    autocast: str
    layers: tuple[str, ...]
    licence: str = ""
    segment_samples: int | None = None  # SpeechBrain computes embeddings of whole utterances
    min_samples: int = 1
    packages: tuple[str, ...] = ("speechbrain", "torch")

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Return the result of `encode_batch`; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if the result has another shape than batch x frames x dim.
        """
        require_known_layers(self.name, self.layers, layers)
        with inference(self.device, self.autocast):
            batch = torch.from_numpy(np.array(waves, np.float32)).to(self.device)
            frames = self.model.encode_batch(batch, torch.ones(len(waves), device=self.device))
            frames = frames["embeddings"] if isinstance(frames, dict) else frames
            frames = frames[0] if isinstance(frames, tuple) else frames
            if frames.ndim != 3 or len(frames) != len(waves):
                raise UserError(
                    f"{self.name} gives shape {tuple(frames.shape)} for {len(waves)} waves; batch x frames x dim is needed"
                )
            return dict.fromkeys(layers, frames.float().cpu().numpy())


def load_speechbrain(rest: str, options: UpstreamOptions) -> SpeechBrainUpstream:
    """Build an encoder from its `hyperparams.yaml` with SpeechBrain, and load its weights.

    Args:
      rest: a name on the Hugging Face hub, or a folder.
      options: device, threads and half precision; `trust_checkpoint` is needed for a file that names more than layers.

    Raises:
      UserError: if SpeechBrain is missing, if the file cannot be downloaded or could run code, if weights are missing, or if the
        modules fit no interface that gives embeddings.
    """
    if options.checkpoint is not None:
        raise UserError(
            "speechbrain: encoders take no --checkpoint; name the folder with its weights, speechbrain:FOLDER"
        )
    apply_threads(options)
    device = resolve_device(options.device)
    name = f"speechbrain:{rest}"
    classes = _classes()
    file = _hyperparams(rest, name)
    _refuse_code(file, name, options)
    try:
        with quiet(logger), random_states_kept(), _absent_keys() as absent:
            # Both interfaces build the same modules, and the modules then show for which of them the file was written.
            model = classes.EncoderClassifier.from_hparams(source=rest, run_opts={"device": str(device)})
    except Exception as error:  # SpeechBrain, hyperpyyaml and the hub raise errors of many classes
        raise failure(name, "load its model", error) from error
    if absent:
        raise UserError(f"the files of {name} lack weights: {first_few(absent)}; fetch them again")
    modules = set(model.mods)
    if {"compute_features", "mean_var_norm", "embedding_model"} <= modules:
        layer, used = "embedding", ["embedding_model"]
    elif "encoder" in modules:
        layer, used = "frames", ["encoder"]
        encoders = importlib.import_module("speechbrain.inference.encoders")
        model = encoders.WaveformEncoder(
            modules=dict(model.mods), hparams=vars(model.hparams), run_opts={"device": str(device)}
        )
    else:
        raise UserError(
            f"{name} has the modules {', '.join(sorted(modules))}; those of an EncoderClassifier (compute_features, "
            "mean_var_norm, embedding_model) or a WaveformEncoder (encoder) are needed"
        )
    _refuse_unfilled(model, used, name)
    network = model.to(device).eval()
    upstream = SpeechBrainUpstream(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(rest).expanduser().resolve().name if Path(rest).is_dir() else rest),
        title=rest,
        revision=revision_of(file, network, options),
        source=rest,
        n_parameters=sum(parameter.numel() for part in used for parameter in network.mods[part].parameters()),
        sample_rate=_rate(model, name),
        model=network,
        device=device,
        autocast=options.autocast,
        layers=(layer,),
    )
    with quiet(logger), random_states_kept():
        upstream.min_samples = shortest_finite(
            name, lambda waves: upstream.encode(waves, (layer,)).values(), upstream.sample_rate
        )
    return upstream


def _classes() -> Any:
    try:
        compat.prepare_torchaudio()
        with quiet(logger), random_states_kept():
            return importlib.import_module("speechbrain.inference.classifiers")
    except ImportError as error:
        raise UserError(
            f"speechbrain: encoders need the Python package speechbrain: pip install 'jfewshot[speechbrain]' ({error})"
        ) from error


def _hyperparams(rest: str, name: str) -> Path:
    """The file that describes the encoder, from the folder or downloaded from the hub."""
    if Path(rest).is_dir():
        file = Path(rest) / _FILE
        if not file.is_file():
            raise UserError(f"{rest} has no {_FILE}, in which SpeechBrain describes an encoder")
        return file
    try:
        with quiet(logger):
            return Path(importlib.import_module("speechbrain.utils.fetching").fetch(_FILE, rest))
    except Exception as error:  # errors of the hub
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UserError(f"there is no folder {rest}, and the hub gives no {_FILE} for {name} ({reason})") from error


def _refuse_code(file: Path, name: str, options: UpstreamOptions) -> None:
    """Refuse a file that could run other code than layers, unless the user trusts it."""
    tags = dict.fromkeys(_TAG.findall(file.read_text(encoding="utf-8", errors="replace")))
    strange = [tag for tag in tags if tag not in _PLAIN_TAGS and not _is_harmless(tag)]
    if strange and not options.trust_checkpoint:
        raise UserError(
            f"the {_FILE} of {name} names {first_few(strange)}, and building those can run any code. If you trust where the file "
            "comes from, pass --trust-checkpoint"
        )


def _is_harmless(tag: str) -> bool:
    """Whether a tag builds an object that is defined in one of the modules of `_HARMLESS`.

    The name is not enough, so the object itself is checked: `speechbrain.lobes.features.torch` is torch.
    """
    start = _BUILDS.match(tag)
    if start is None or not (path := tag[start.end() :]).startswith(_HARMLESS):
        return False
    try:
        with quiet(logger), random_states_kept():
            found = pydoc.locate(path)
    except pydoc.ErrorDuringImport:
        return False
    return (inspect.isclass(found) or inspect.isfunction(found)) and found.__module__.startswith(_HARMLESS)


@contextlib.contextmanager
def _absent_keys() -> Iterator[list[str]]:
    """Collect the names of weights that SpeechBrain does not find in its files; SpeechBrain only warns about them."""
    absent: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _, found, key = record.getMessage().partition(_NO_KEY)
            if found:
                absent.append(key)

    handler, theirs = Handler(), logging.getLogger("speechbrain.utils.checkpoints")
    theirs.addHandler(handler)
    try:
        yield absent
    finally:
        theirs.removeHandler(handler)


def _refuse_unfilled(model: Any, used: Sequence[str], name: str) -> None:
    """Refuse a module whose weights are in no file. Modules of transformers need none: they load their weights themselves."""
    filled = {
        id(parameter)
        for loadable in model.hparams.pretrainer.loadables.values()
        if isinstance(loadable, torch.nn.Module)
        for parameter in loadable.parameters()
    }
    from_hub = {
        id(parameter)
        for module in model.mods.modules()
        if "huggingface" in type(module).__module__
        for parameter in module.parameters()
    }
    for part in used:
        empty = [key for key, value in model.mods[part].named_parameters() if id(value) not in filled | from_hub]
        if empty:
            raise UserError(
                f"no file fills {part} of {name} ({first_few(empty)}), so its weights would be random; name it among the "
                f"loadables of the pretrainer in {_FILE}"
            )


def _rate(model: Any, name: str) -> int:
    """The sample rate that the file states, or else the rate of SpeechBrain's normaliser of waves, in Hz."""
    for holder in (model.hparams, model.audio_normalizer):
        if isinstance(rate := getattr(holder, "sample_rate", None), int) and rate > 0:
            return rate
    raise UserError(f"the {_FILE} of {name} has no sample_rate; add a line such as sample_rate: 16000")
