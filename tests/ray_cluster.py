"""A Ray cluster of two nodes in processes of this machine."""

import contextlib
import importlib.util
import os
import warnings
from pathlib import Path

import pytest

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the package ray is not installed")
REPOSITORY = Path(__file__).parents[1]


@contextlib.contextmanager
def two_nodes(**environment):
    """Two nodes of one CPU each; the first is the cluster's head, on which this process's driver runs.

    Args:
      environment: variables of all processes of the cluster.

    Yields:
      The cluster; its attribute `second` is the node that may be killed.
    """
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # Ray's own
        patch.setenv("PYTHONPATH", str(REPOSITORY), prepend=os.pathsep)
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        for name, value in environment.items():
            patch.setenv(name, value)
        import ray
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False},
        )
        cluster.second = cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
        cluster.wait_for_nodes()
        patch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
        ray.shutdown()
        cluster.shutdown()
