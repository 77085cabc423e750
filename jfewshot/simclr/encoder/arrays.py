"""Parameters as plain arrays by dotted name, for files that NumPy alone can read."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jfewshot.errors import UserError
from jfewshot.simclr.encoder.transformer import Encoder
from jfewshot.simclr.settings import EncoderConfig


def to_arrays(module: nnx.Module) -> dict[str, np.ndarray]:
    """The parameters of a module by name, such as `layers.0.query.kernel`. Kernels have the shape (in, out)."""
    return {
        ".".join(map(str, path)): np.asarray(leaf[...])
        for path, leaf in nnx.to_flat_state(nnx.state(module, nnx.Param))
    }


def from_arrays(config: EncoderConfig, arrays: Mapping[str, np.ndarray]) -> Encoder:
    """Make an encoder with these settings and parameters.

    Raises:
      UserError: if arrays are missing, superfluous or of another shape; the message names such arrays.
    """
    encoder = nnx.eval_shape(lambda: Encoder(config, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(encoder)
    flat = dict(nnx.to_flat_state(state))
    wanted = {".".join(map(str, path)): path for path in flat}
    if set(wanted) != set(arrays):
        missing, extra = sorted(set(wanted) - set(arrays)), sorted(set(arrays) - set(wanted))
        raise UserError(f"these arrays do not belong to this encoder: missing {missing[:5]}, left over {extra[:5]}")
    for name, path in wanted.items():
        if flat[path].shape != arrays[name].shape:
            raise UserError(f"array {name} has shape {arrays[name].shape}, the configuration needs {flat[path].shape}")
        flat[path] = flat[path].replace(jnp.asarray(arrays[name], jnp.float32))
    return nnx.merge(graph, nnx.from_flat_state(list(flat.items())))
