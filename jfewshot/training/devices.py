"""Places arrays on several devices, and connects several processes."""

import functools
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jfewshot.errors import UserError

AXIS = "data"

Batch = TypeVar("Batch", bound=tuple)


def connect(coordinator: str | None, processes: int, process: int) -> None:
    """Join the other processes of a distributed run; call it before JAX is used.

    Args:
      coordinator: address and port of process 0, such as node17:12345; None for a run of one process.
      processes: number of processes.
      process: number of this process, counted from 0.
    """
    if coordinator is None:
        return
    # On a CPU, collectives between processes need gloo.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(coordinator, num_processes=processes, process_id=process)


def make_mesh(devices: int | None, batch: int, chunks: int = 1) -> Mesh | None:
    """Make a mesh of the devices of all processes along one axis.

    Args:
      devices: number of devices to use; None for all of them.
      batch: utterances per step.
      chunks: chunks into which each device's rows of a batch are divided.

    Returns:
      the mesh; None for one device.

    Raises:
      UserError: if there are fewer devices, or the devices times the chunks do not divide the batch.
    """
    n = jax.device_count() if devices is None else devices
    if not 1 <= n <= jax.device_count():
        raise UserError(f"--devices {n}: there are {jax.device_count()}")
    if batch % (n * chunks):
        raise UserError(f"--batch {batch} does not divide over {n} devices in --chunks {chunks} each")
    return None if n == 1 else jax.make_mesh((n,), (AXIS,), axis_types=(AxisType.Auto,), devices=jax.devices()[:n])


def replicate(tree, mesh: Mesh | None):
    """Copy arrays to every device."""
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
    """Distribute the rows of this process over its devices. A batch is a NamedTuple of NumPy arrays whose first axis
    is the rows."""
    if mesh is None:
        return type(batch)(*map(jax.numpy.asarray, batch))
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    return type(batch)(*(jax.make_array_from_process_local_data(sharding, part) for part in batch))
