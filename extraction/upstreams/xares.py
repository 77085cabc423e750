"""An encoder class for X-ARES: `xares:FILE.py`, a file with one class whose name ends in `Encoder`.

X-ARES (Zhang et al., X-ARES: A Comprehensive Framework for Assessing Audio Encoder Performance, 2025) requires of the class:

    sampling_rate, output_dim, hop_size_in_ms       # attributes
    encoder(audio)                                  # torch: batch x samples -> batch x frames x output_dim

The class is built without arguments, or with `--checkpoint` as its only argument if that is given.
"""

import dataclasses
import importlib.util
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers
from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.modules_of_others import failure, revision_of
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.torch_runtime import apply_threads, inference, resolve_device
from jfewshot.errors import UserError

logger = logging.getLogger(__name__)

_LAYER = "frames"
_ENDING = "Encoder"


@dataclasses.dataclass(eq=False)
class XaresUpstream:
    """An encoder of X-ARES behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      encoder: the user's encoder.
      dim: dimension of its frames.
      device: device on which it computes.
      autocast: `none`, `bf16` or `fp16`.
      frame_times: layer, time of the first frame, and time between frames in seconds; X-ARES counts frames from the beginning.
    """

    name: str
    title: str
    revision: str
    source: str
    n_parameters: int | None
    sample_rate: int
    encoder: Any
    dim: int
    device: torch.device
    autocast: str
    frame_times: tuple[str, float, float]
    licence: str = ""
    segment_samples: int | None = None  # X-ARES computes embeddings of whole sounds
    min_samples: int = 1
    layers: tuple[str, ...] = (_LAYER,)
    packages: tuple[str, ...] = ("torch",)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """The encoder's frames; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if frames have another shape than batch x frames x output_dim.
        """
        require_known_layers(self.name, self.layers, layers)
        with inference(self.device, self.autocast):
            frames = self.encoder(torch.from_numpy(np.array(waves, np.float32)).to(self.device))
            shape = tuple(getattr(frames, "shape", ()))
            if (
                not isinstance(frames, torch.Tensor)
                or len(shape) != 3
                or (shape[0], shape[2]) != (len(waves), self.dim)
            ):
                raise UserError(
                    f"{self.name} gives {type(frames).__name__} of shape {shape} for a batch of {len(waves)}; X-ARES needs a "
                    f"tensor, batch x frames x output_dim ({self.dim})"
                )
            return dict.fromkeys(layers, frames.float().cpu().numpy())


def load_xares(rest: str, options: UpstreamOptions) -> XaresUpstream:
    """Build the encoder in a file.

    Args:
      rest: the file; the upstream is named after its class.
      options: `checkpoint`, which becomes the encoder's only argument; device, threads and half precision.

    Raises:
      UserError: if the file does not exist, if it has no encoder class or several, if the class fails, or if it lacks an
        attribute.
    """
    path = Path(rest).expanduser()
    if not path.is_file() or path.suffix != ".py":
        raise UserError(
            f"xares:{rest} names no Python file; name the file with the encoder's class, for instance xares:my_encoder.py"
        )
    apply_threads(options)
    device = resolve_device(options.device)
    kind = _class(path, _module(path))
    given = [] if options.checkpoint is None else [str(options.checkpoint)]
    try:
        with quiet(logger), random_states_kept():
            encoder = kind(*given)
    except Exception as error:  # foreign code may raise any error
        raise failure(f"xares:{rest}", f"build its {kind.__name__}", error) from error
    if not isinstance(encoder, torch.nn.Module):
        raise UserError(f"{kind.__name__} of {path} is no torch.nn.Module, which X-ARES needs")
    told: dict[str, Any] = {}
    for attribute in ("sampling_rate", "output_dim", "hop_size_in_ms"):
        value = told[attribute] = getattr(encoder, attribute, None)
        whole = attribute != "hop_size_in_ms"
        if not isinstance(value, int if whole else int | float) or value <= 0:
            wanted = "a positive whole number" if whole else "a positive number"
            raise UserError(f"{kind.__name__} of {path} has {attribute} {value!r}; X-ARES needs {wanted}")
    network = encoder.to(device).eval()
    upstream = XaresUpstream(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", kind.__name__),
        title=kind.__name__,
        revision=revision_of(path, network, options),
        source=path.name,
        n_parameters=sum(parameter.numel() for parameter in network.parameters()) or None,
        sample_rate=told["sampling_rate"],
        encoder=network,
        dim=told["output_dim"],
        device=device,
        autocast=options.autocast,
        frame_times=(_LAYER, 0.0, told["hop_size_in_ms"] / 1000),
    )
    with quiet(logger), random_states_kept():
        upstream.min_samples = shortest_finite(
            f"xares:{rest}", lambda waves: upstream.encode(waves, (_LAYER,)).values(), upstream.sample_rate
        )
    return upstream


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        with quiet(logger), random_states_kept():
            spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{path} needs the Python package '{error.name}', which is not installed: pip install {error.name}"
        ) from error
    except Exception as error:
        raise failure(f"xares:{path}", "be imported", error) from error
    return module


def _class(path: Path, module: ModuleType) -> type:
    """The only class with the ending of X-ARES that is defined in the file; imported classes do not count."""
    found = [
        value
        for name, value in vars(module).items()
        if name.endswith(_ENDING) and isinstance(value, type) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = f" ({', '.join(sorted(one.__name__ for one in found))})" if found else ""
        raise UserError(f"{path} has {len(found)} classes whose names end in {_ENDING}{names}; X-ARES needs one")
    return found[0]
