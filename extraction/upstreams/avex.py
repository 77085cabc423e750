"""Encoders of animal sounds from avex's registry: `avex:NAME`, for instance `avex:esp_aves2_sl_beats_bio`.

avex (the package of the Earth Species Project) builds BEATs, EAT and EfficientNet from specs, which `avex.list_models()` names. A
spec of one's own in avex's YAML is `avex:FILE.yml`. The last layer's features are taken as avex gives them with
`return_features_only`: BEATs' and EAT's patches, and EfficientNet's map of channels x frequency x time, whose places in order
of time are frames here, so that their mean is what avex itself pools.
"""

import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import logging
import re
import sys
import types
from collections.abc import Mapping, Sequence
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
from extraction.upstreams.torch_checkpoint import fill, read_checkpoint
from extraction.upstreams.torch_runtime import apply_threads, inference, resolve_device
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

LAYER = "features"
_HEADS = ("classifier", "head", "predictor")  # tensors that no feature depends on
_WRAPPERS = ("model_state_dict", "state_dict", "model")


@dataclasses.dataclass(eq=False)
class AvexUpstream:
    """An encoder of avex behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      model: as avex builds it.
      device: where it computes.
      autocast: `none`, `bf16` or `fp16`.
      max_samples: what follows is not looked at by the encoder; None where all of a wave is.
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
    segment_samples: int | None
    max_samples: int | None
    licence: str = ""
    min_samples: int = 1
    layers: tuple[str, ...] = (LAYER,)
    packages: tuple[str, ...] = ("avex", "torch")

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """The encoder's features; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: an unknown layer, or features of another shape than avex's models give.
        """
        require_known_layers(self.name, self.layers, layers)
        with inference(self.device, self.autocast):
            features = self.model(torch.from_numpy(np.array(waves, np.float32)).to(self.device))
            if not isinstance(features, torch.Tensor) or features.ndim not in (3, 4) or len(features) != len(waves):
                shape = tuple(getattr(features, "shape", ()))
                raise UserError(
                    f"{self.name} gives {type(features).__name__} of shape {shape} for {len(waves)} waves; avex's encoders give "
                    "batch x frames x dim, or batch x channels x frequency x time"
                )
            if features.ndim == 4:
                features = features.permute(0, 3, 2, 1).flatten(1, 2)
            return dict.fromkeys(layers, features.float().cpu().numpy())


def load_avex(rest: str, options: UpstreamOptions) -> AvexUpstream:
    """Build an encoder of avex's registry and fill it with its weights.

    Args:
      rest: the name in the registry, or a file in avex's YAML.
      options: `checkpoint` is a file of the weights; without it avex fetches those of the registry. `trust_checkpoint` is needed
        for EAT, whose code comes from the Hugging Face hub.

    Raises:
      UserError: if avex is missing, the name is unknown, the weights cannot be had, or they do not fill the encoder.
    """
    apply_threads(options)
    device = resolve_device(options.device)
    avex = _avex()
    spec, weights = _spec(rest, avex)
    if spec.audio_config is None:
        raise UserError(f"avex:{rest} has no audio_config; its sample_rate says which rate the encoder wants")
    if options.checkpoint is not None:
        path = Path(options.checkpoint).expanduser()
        if not path.is_file():
            raise UserError(f"there is no file {options.checkpoint} for avex:{rest}")
        weights = str(path)
    if not weights:
        raise UserError(f"avex:{rest} names no weights; give their file with --checkpoint")
    if spec.name.startswith("eat") and not options.trust_checkpoint:
        raise UserError(
            f"avex:{rest} runs code that avex fetches from the Hugging Face hub (transformers' trust_remote_code). If you trust "
            "it, pass --trust-checkpoint"
        )
    try:
        with quiet(logger), random_states_kept():
            # avex would else fetch ImageNet's weights for EfficientNet, and overwrite them.
            model = avex.build_model_from_spec(spec, str(device), return_features_only=True, pretrained=False)
            saved = _saved(weights, options)
    except UserError:
        raise
    except Exception as error:  # packages that are missing, the hub's errors, and what a spec may raise
        raise failure(f"avex:{rest}", "load its model", error) from error
    unused = fill(f"avex:{rest}", model, _matching(saved, model), Path(weights))
    logger.debug("avex:%s has no use for %s", rest, unused)
    network = model.to(device).eval()
    rate = int(spec.audio_config.sample_rate)
    length = round(spec.audio_config.target_length_seconds * rate) if spec.name.startswith("eat") else None
    upstream = AvexUpstream(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(rest).stem if rest.endswith((".yml", ".yaml")) else rest),
        title=rest,
        revision=revision_of(Path(inspect.getfile(type(model))), network, options),
        source=weights if options.checkpoint is None else "avex",
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        sample_rate=rate,
        model=network,
        device=device,
        autocast=options.autocast,
        segment_samples=length,
        max_samples=length,
    )
    with quiet(logger), random_states_kept():
        upstream.min_samples = shortest_finite(
            f"avex:{rest}", lambda waves: upstream.encode(waves, (LAYER,)).values(), rate
        )
    return upstream


def _avex() -> Any:
    """The package avex, whose torchaudio and torchvision may be builds for CUDA beside a torch for CPUs."""
    if importlib.util.find_spec("torchvision") is not None and "torchvision" not in sys.modules:
        try:
            importlib.import_module("torchvision")
        except RuntimeError:  # its compiled operators are missing; avex needs the networks, which are written in torch
            for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
                del sys.modules[name]
            absent = "torchvision._meta_registrations"
            sys.modules[absent] = types.ModuleType(absent)
    try:
        compat.prepare_torchaudio()
        with quiet(logger), random_states_kept():
            return importlib.import_module("avex")
    except ImportError as error:
        raise UserError(
            f"avex: encoders need the Python package avex: pip install 'jfewshot[avex]' ({error})"
        ) from error


def _spec(rest: str, avex: Any) -> tuple[Any, str]:
    """The spec of a name or file, and where its weights are: an address, or nothing."""
    registry = importlib.import_module("avex.models.utils.registry")
    if rest.endswith((".yml", ".yaml")):
        if not Path(rest).expanduser().is_file():
            raise UserError(f"there is no file {rest} for avex:{rest}")
        try:
            return registry.load_model_spec_from_yaml(Path(rest).expanduser()), ""
        except ValueError as error:
            raise UserError(f"{rest} is no spec of avex: {' '.join(str(error).split())[:300]}") from error
    spec = avex.get_model_spec(rest)
    if spec is None:
        known = sorted(registry._MODEL_REGISTRY)  # avex.list_models prints a table and fetches classes
        near = difflib.get_close_matches(rest, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(f'avex:{name}' for name in near)}? " if near else ""
        raise UserError(
            f"avex has no model '{rest}'; {hint}it has {', '.join(known)}, and takes a spec as avex:FILE.yml"
        )
    return spec.model_copy(deep=True), avex.get_checkpoint_path(rest) or ""


def _saved(weights: str, options: UpstreamOptions) -> dict[str, torch.Tensor]:
    """The tensors of a file, out of the wrappers that avex knows."""
    if options.checkpoint is None:
        found = importlib.import_module("avex.utils.utils").universal_torch_load(weights, map_location="cpu")
    elif weights.endswith(".safetensors"):
        found = importlib.import_module("safetensors.torch").load_file(weights)
    else:
        found = read_checkpoint(Path(weights), options.trust_checkpoint)
    for wrapper in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
            break
    if not isinstance(found, Mapping):
        raise UserError(f"{weights} holds {type(found).__name__}; a checkpoint of named tensors is needed")
    return {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}


def _matching(saved: dict[str, torch.Tensor], model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The file's tensors under the model's names, as trainers put prefixes before them and take them away.

    Heads of the model are its own: files are of encoders with other heads, and no feature depends on them.
    """
    here = model.state_dict()
    bare = {name.removeprefix("module."): value for name, value in saved.items()}
    readings = [bare]
    for prefix in ("model.", "backbone."):
        readings.append({name.removeprefix(prefix): value for name, value in bare.items()})
    readings += [
        {f"{prefix}{name}": value for name, value in one.items()}
        for prefix in ("model.", "backbone.")
        for one in readings[:3]
    ]
    best = max(readings, key=lambda reading: len(here.keys() & reading.keys()))
    heads = {name: value for name, value in here.items() if any(head in name for head in _HEADS)}
    return {**best, **heads}
