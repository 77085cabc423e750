"""Turns a module into named arrays, and named arrays into a module."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

Params = dict[str, Array]
"""Parameters by dotted name: `encoder.layers.0.query.kernel`."""

Module = TypeVar("Module", bound=nnx.Module)


def initial_params(make: Callable[[nnx.Rngs], nnx.Module], seed: int) -> Params:
    """Random initial parameters of the module that `make` makes."""
    return drawer(make)(seed)


def drawer(make: Callable[[nnx.Rngs], nnx.Module]) -> Callable[[int], Params]:
    """A function from a seed to random initial parameters, compiled once."""

    @jax.jit
    def draw(key):
        return nnx.to_flat_state(nnx.state(make(nnx.Rngs(key)), nnx.Param))

    return lambda seed: {_dotted(path): leaf[...] for path, leaf in draw(jax.random.key(seed))}


def model_builder(make: Callable[[nnx.Rngs], Module]) -> Callable[[Params], Module]:
    """A function that makes the module with the given named parameters, which may be traced."""
    graph, state = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    template = list(nnx.to_flat_state(state))

    def build(params: Params) -> Module:
        flat = [(path, leaf.replace(params[_dotted(path)])) for path, leaf in template]
        return nnx.merge(graph, nnx.from_flat_state(flat))

    return build


def is_decayed(params: Params) -> dict[str, bool]:
    """Whether each parameter has weight decay: kernels do, biases and LayerNorms do not."""
    return {name: name.endswith(".kernel") and jnp.ndim(value) > 1 for name, value in params.items()}


def _dotted(path: tuple) -> str:
    return ".".join(map(str, path))
