"""The devices among which episodes are divided."""

import contextlib
import os

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jfewshot.threads import cores

AXIS = "episodes"
_GIB = 2**30


def use_all_cores(n_cores: int | None = None) -> None:
    """Make each CPU core a device, since JAX runs one small loop on one core; to be called before JAX is first used.

    Does nothing if the user has chosen the number with JAX_NUM_CPU_DEVICES or XLA_FLAGS, or if JAX is already running.

    Args:
      n_cores: how many cores; None for all that this process may use.
    """
    if "JAX_NUM_CPU_DEVICES" in os.environ or "device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    with contextlib.suppress(RuntimeError):  # JAX raises it where its devices exist already
        jax.config.update("jax_num_cpu_devices", n_cores or cores())


def episode_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """A one-dimensional mesh of devices over episodes; all of this process's devices by default."""
    return Mesh(np.array(devices or jax.local_devices()), (AXIS,))


def shard_over_episodes(function, mesh: Mesh, in_specs: tuple[P, ...], out_specs):
    """`jax.shard_map` for functions in which each device computes its own episodes, independent of the others.

    Loops carry values that start equal on all devices and then differ; JAX's check for varying values would refuse
    these loops, and is switched off.

    Args:
      function: computes one device's share of the episodes.
      mesh: the devices.
      in_specs: how each argument is divided over the devices.
      out_specs: how the results are divided over the devices.

    Returns:
      the function over the episodes of all devices.
    """
    return jax.shard_map(function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def default_memory_budget(share: float = 1.0) -> int:
    """Bytes that an evaluation may use unless the user says otherwise: half of an accelerator's memory, or a quarter of the
    machine's, at most 4 GiB, on a CPU.

    Args:
      share: the part of a CPU machine that this process may use; the rest is for other processes.
    """
    device = jax.local_devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"]) // 2
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return min(4 * _GIB, os.sysconf("SC_PAGE_SIZE") * int(share * os.sysconf("SC_PHYS_PAGES")) // 4)
    return 2 * _GIB
