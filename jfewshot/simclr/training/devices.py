"""Several devices, several processes: where arrays live."""

import functools

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jfewshot.errors import UserError
from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.data import Batch
from jfewshot.simclr.training.step import AXIS


def connect(config: TrainConfig) -> None:
    """Join the other processes, if the configuration names a coordinator; before JAX is used."""
    if config.coordinator is None:
        return
    # On a CPU, processes talk by gloo; without it the collectives of several processes do not exist there.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(config.coordinator, num_processes=config.processes, process_id=config.process)


def make_mesh(config: TrainConfig) -> Mesh | None:
    """The devices of all processes along one axis; None for a single device.

    Raises:
      UserError: more devices asked for than there are, or a batch that the devices (times the chunks) do not divide.
    """
    n = jax.device_count() if config.devices is None else config.devices
    if not 1 <= n <= jax.device_count():
        raise UserError(f"--devices {n}: there are {jax.device_count()}")
    if config.batch % (n * config.chunks):
        raise UserError(f"--batch {config.batch} does not divide over {n} devices in --chunks {config.chunks} each")
    return None if n == 1 else jax.make_mesh((n,), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.devices()[:n])


def replicate(tree, mesh: Mesh | None):
    """The same on every device."""
    if mesh is None:
        return jax.tree.map(jax.numpy.asarray, tree)
    return jax.tree.map(functools.partial(_place, sharding=NamedSharding(mesh, PartitionSpec())), tree)


def _place(leaf, sharding):
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _place(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(data)
    leaf = np.asarray(leaf)
    return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])


def spread(batch: Batch, mesh: Mesh | None) -> Batch:
    """This process's rows, over its devices."""
    if mesh is None:
        return Batch(*map(jax.numpy.asarray, batch))
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    return Batch(*(jax.make_array_from_process_local_data(sharding, part) for part in batch))
