"""An encoder of the user's own, named by import path: `my_encoders:MyEncoder`.

The least that such a class needs:

    class MyEncoder:
        sample_rate = 16_000

        def encode(self, waves, layers):          # float32, batch x samples, all of one true length
            frames = my_network(waves)            # float32, batch x frames x dim
            return {layer: frames for layer in layers}

Whatever else `extraction.upstreams.base.Upstream` asks for may be given as attributes, and is filled in where it is not.
"""

import importlib
import inspect
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers, true_layer
from extraction.upstreams.probing import gives_finite, shortest_finite, takes_one_length_only
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file

logger = logging.getLogger(__name__)

SEGMENT_S = 5


class UserUpstream:
    """The user's encoder, with the other attributes of the interface filled in.

    `revision` stands for the weights, which only their owner can name: without one it is the digest of the source file (and
    of the checkpoint, if one was given), which does not change when weights elsewhere do.
    """

    def __init__(self, path: str, encoder: Any, options: UpstreamOptions) -> None:
        self._encoder = encoder

        def given(attribute: str, default: Any) -> Any:
            return getattr(encoder, attribute, default)

        self.name: str = given("name", re.sub(r"[^A-Za-z0-9_.-]", "_", path))
        self.title: str = given("title", self.name)
        self.revision: str = given("revision", None) or _revision(encoder, options)
        self.licence: str = given("licence", "")
        self.source: str = given("source", path)
        self.n_parameters: int | None = given("n_parameters", None)
        self.sample_rate: int = _rate(path, encoder)
        self.segment_samples: int | None = given("segment_samples", SEGMENT_S * self.sample_rate)
        self.max_samples: int | None = given("max_samples", None)
        self.packages: tuple[str, ...] = tuple(given("packages", ()))
        self.device: str = str(given("device", "cpu"))
        self.batch_tolerance: float = given("batch_tolerance", 1e-5)
        self.layers: tuple[str, ...] = tuple(given("layers", ("0",)))
        self.further_layers: tuple[str, ...] = tuple(given("further_layers", ()))
        self.default_view: str | None = given("default_view", None)
        self.min_samples: int = given("min_samples", None) or self._shortest(path)

    def _shortest(self, path: str) -> int:
        """The shortest wave, found by trying. Where an encoder takes a single length, this one is the longest wave too."""

        def states_of(waves: np.ndarray) -> Iterable[np.ndarray]:
            return self.encode(waves, self.layers).values()

        segment = self.segment_samples
        if (
            segment
            and self.max_samples in (None, segment)
            and takes_one_length_only(states_of, segment, self.sample_rate)
        ):
            self.max_samples = segment
            logger.info("%s takes waves of %d samples only, as trying it showed", self.name, segment)
            return segment
        try:
            shortest = shortest_finite(path, states_of, self.sample_rate)
        except UserError:
            if segment and gives_finite(states_of, segment):
                return segment  # it takes longer waves, and no shorter ones
            raise
        if segment and self.max_samples is None and takes_one_length_only(states_of, shortest, self.sample_rate):
            raise UserError(
                f"{path} takes waves of {shortest} samples ({shortest / self.sample_rate:g} s) only, as trying it showed, and "
                f"its segments are {segment / self.sample_rate:g} s: give it the attribute segment_samples = {shortest}"
            )
        return shortest

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """The user's `encode`; it is asked for layers by their own names, never for `last`."""
        require_known_layers(self.name, (*self.layers, *self.further_layers), layers)
        own = {layer: true_layer(self.layers, layer) for layer in layers}
        frames = self._encoder.encode(waves, list(dict.fromkeys(own.values())))
        if not isinstance(frames, dict):
            raise UserError(
                f"encode of {self.name} gives {type(frames).__name__}; a dictionary from layer to array is needed"
            )
        missing = [layer for layer in own.values() if layer not in frames]
        if missing:
            raise UserError(f"encode of {self.name} was asked for layer '{missing[0]}' and gives {', '.join(frames)}")
        return {layer: frames[name] for layer, name in own.items()}


def load_user(path: str, options: UpstreamOptions) -> UserUpstream:
    """Import `module:Class`, build it, and fill in what it leaves open.

    Args:
      path: `module:attribute`. The module is found from the current folder or as an installed package; the attribute is a class
        or function that is called with `options` if it takes an argument, without otherwise, or a finished object.
      options: handed on.

    Raises:
      UserError: no such module or attribute, or no `encode` or `sample_rate`.
    """
    module_name, _, attribute = path.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # an installed command does not look in the current folder by itself
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0] and error.name != module_name:
            raise UserError(f"{module_name} needs the package '{error.name}', which is not installed") from error
        raise UserError(
            f"there is no module '{module_name}' for upstream {path}: run from the folder that holds {module_name}.py, or "
            "install it"
        ) from error
    target = getattr(module, attribute, None)
    if target is None:
        raise UserError(f"{module_name} ({module.__file__}) has no '{attribute}'")
    encoder = target
    if inspect.isclass(target) or (callable(target) and not hasattr(target, "encode")):
        encoder = target(options) if _takes_an_argument(target) else target()
    if not callable(getattr(encoder, "encode", None)):
        raise UserError(f"{path} has no method encode(waves, layers); docs/upstreams.md shows the least that is needed")
    return UserUpstream(path, encoder, options)


def _takes_an_argument(target: Any) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(parameter.kind in positional for parameter in inspect.signature(target).parameters.values())


def _rate(path: str, encoder: Any) -> int:
    rate = getattr(encoder, "sample_rate", None)
    if not isinstance(rate, int) or rate <= 0:
        raise UserError(f"{path} has sample_rate {rate!r}; give the rate in Hz of the waves that it wants, 16000 say")
    return rate


def _revision(encoder: Any, options: UpstreamOptions) -> str:
    revision = f"source sha256:{sha256_of_file(inspect.getfile(type(encoder)))}"
    if options.checkpoint is not None and Path(options.checkpoint).is_file():
        revision += f", checkpoint sha256:{sha256_of_file(options.checkpoint)}"
    return revision
