"""An encoder of the user's own, named by import path: `my_encoders:MyEncoder`.

Such a class needs at least:

    class MyEncoder:
        sample_rate = 16_000

        def encode(self, waves, layers):          # float32, batch x samples, all of the same true length
            frames = my_network(waves)            # float32, batch x frames x dim
            return {layer: frames for layer in layers}

The class may define all other attributes of `extraction.upstreams.base.Upstream`. Missing ones get default values.
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
    """The user's encoder, with default values for missing attributes of the interface.

    `revision` identifies the weights, and only the user knows them. Without this attribute, the revision is the digest of the
    source file (and of the checkpoint, if one is given). This digest does not change if weights in other files change.
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
        """Find the length of the shortest wave by trial. If an encoder takes only one length, `max_samples` is set to it too."""

        def states_of(waves: np.ndarray) -> Iterable[np.ndarray]:
            return self.encode(waves, self.layers).values()

        segment = self.segment_samples
        if (
            segment
            and self.max_samples in (None, segment)
            and takes_one_length_only(states_of, segment, self.sample_rate)
        ):
            self.max_samples = segment
            logger.info("%s takes only waves of %d samples, as a trial showed", self.name, segment)
            return segment
        try:
            shortest = shortest_finite(path, states_of, self.sample_rate)
        except UserError:
            if segment and gives_finite(states_of, segment):
                return segment  # the encoder takes waves of this length and longer ones, but no shorter ones
            raise
        if segment and self.max_samples is None and takes_one_length_only(states_of, shortest, self.sample_rate):
            raise UserError(
                f"{path} takes only waves of {shortest} samples ({shortest / self.sample_rate:g} s), as a trial showed, but its "
                f"segments are {segment / self.sample_rate:g} s: give it the attribute segment_samples = {shortest}"
            )
        return shortest

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Call the user's `encode`, with the layers' own names instead of `last`."""
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
    """Import `module:Class`, build an object of the class, and add missing attributes.

    Args:
      path: `module:attribute`. The module is in the current folder or in an installed package. The attribute is a class or
        function, which is called with `options` if it has a parameter and else without arguments, or a finished object.
      options: passed to the class or function.

    Raises:
      UserError: if the module or attribute does not exist, or if the object has no `encode` or no `sample_rate`.
    """
    module_name, _, attribute = path.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # Python does not search the current folder when an installed command runs
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name.split(".")[0] and error.name != module_name:
            raise UserError(f"{module_name} needs the package '{error.name}', which is not installed") from error
        raise UserError(
            f"there is no module '{module_name}' for upstream {path}: run the command in the folder that holds {module_name}.py, "
            "or install it"
        ) from error
    target = getattr(module, attribute, None)
    if target is None:
        raise UserError(f"{module_name} ({module.__file__}) has no '{attribute}'")
    encoder = target
    if inspect.isclass(target) or (callable(target) and not hasattr(target, "encode")):
        encoder = target(options) if _takes_an_argument(target) else target()
    if not callable(getattr(encoder, "encode", None)):
        raise UserError(
            f"{path} has no method encode(waves, layers); docs/upstreams.md shows what an encoder needs at least"
        )
    return UserUpstream(path, encoder, options)


def _takes_an_argument(target: Any) -> bool:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(parameter.kind in positional for parameter in inspect.signature(target).parameters.values())


def _rate(path: str, encoder: Any) -> int:
    rate = getattr(encoder, "sample_rate", None)
    if not isinstance(rate, int) or rate <= 0:
        raise UserError(
            f"{path} has sample_rate {rate!r}; give the rate of the waves that it needs in Hz, for instance 16000"
        )
    return rate


def _revision(encoder: Any, options: UpstreamOptions) -> str:
    revision = f"source sha256:{sha256_of_file(inspect.getfile(type(encoder)))}"
    if options.checkpoint is not None and Path(options.checkpoint).is_file():
        revision += f", checkpoint sha256:{sha256_of_file(options.checkpoint)}"
    return revision
