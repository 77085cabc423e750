"""Count the operations of a network in JAX."""

import math
from collections.abc import Callable
from typing import Any

import jax.extend.core
import numpy as np


def count_jax(traced: Callable[[np.ndarray, str], Any], wave: np.ndarray) -> int:
    """Count the operations of a function's products and convolutions: two for each multiplication and addition.

    Args:
      traced: function that maps waves (float32, batch x samples) and the name of a layer to the jaxpr of the forward pass. It
          only traces the forward pass and computes nothing.
      wave: 1 x samples.

    Returns:
      operations for this wave.
    """
    return _of_jaxpr(traced(wave, "last"))


def _of_jaxpr(jaxpr: Any) -> int:
    total = 0
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        name = equation.primitive.name
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            total += 2 * equation.outvars[0].aval.size * math.prod(shape[axis] for axis in contracted)
        elif name == "conv_general_dilated":
            kernel = equation.invars[1].aval
            out_channels = kernel.shape[equation.params["dimension_numbers"].rhs_spec[0]]
            total += 2 * equation.outvars[0].aval.size * kernel.size // out_channels
        else:
            inner = sum(_of_jaxpr(one) for one in _jaxprs_in(equation.params))
            total += inner * (equation.params["length"] if name == "scan" else 1)
    return total


def _jaxprs_in(params: dict[str, Any]) -> list[Any]:
    found = []
    for value in params.values():
        items = value if isinstance(value, tuple | list) else (value,)
        found += [item for item in items if isinstance(item, jax.extend.core.Jaxpr | jax.extend.core.ClosedJaxpr)]
    return found
