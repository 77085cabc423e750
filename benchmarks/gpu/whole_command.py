"""Measures `jfewshot run` on the sample stores, from start to table, on this device and on the CPU, and compares predictions."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jfewshot.results import read_results


def run_and_compare(scratch: Path, n_episodes: int, datasets: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run the command on this device and on the CPU.

    Args:
      scratch: folder for both result folders.
      n_episodes: number of episodes of each cell.
      datasets: datasets to evaluate; an empty tuple stands for all.

    Returns:
      seconds of both runs, number of cells, episodes per second of the whole command ("call"), and number of different
      predictions.

    Raises:
      RuntimeError: if the command failed.
    """
    import jax

    device = jax.default_backend()
    places = {device: scratch / "command_device", "processor": scratch / "command_cpu"}
    seconds, predicted = {}, {}
    for name, place in places.items():
        environment = os.environ | ({"JAX_PLATFORMS": "cpu"} if name == "processor" else {})
        command = [sys.executable, "-m", "jfewshot.run", "--episodes", str(n_episodes), "--out", str(place)]
        command += ["--datasets", *datasets] if datasets else []
        started = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        seconds[name] = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()[-300:]}")
        results = read_results(place)
        predicted[name] = {
            (r["dataset"]["name"], r["upstream"]["name"]): results.predictions(r) for r in results.records
        }
    ours, theirs = predicted[device], predicted["processor"]
    if ours.keys() != theirs.keys():
        raise RuntimeError(f"the two runs evaluated different cells: {ours.keys() ^ theirs.keys()}")
    return {
        "rates": {"call": [len(ours) * n_episodes / seconds[device]]},
        "seconds_of": seconds,
        "cells": len(ours),
        "predictions": sum(x.size for x in ours.values()),
        "different": sum(int((x != theirs[cell]).sum()) for cell, x in ours.items()),
    }
