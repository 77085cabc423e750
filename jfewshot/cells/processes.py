"""Share one run among several processes: the hosts of a TPU slice, the tasks of a SLURM job, or any connected machines.

A free process gets the cells of one store together, and solves them on its own devices, so no array is copied between
devices of different processes. Results are sent to process 0 (channel.py). Only process 0 writes records, so the hosts
need no shared disk for results, but each needs access to the stores. A cell's result does not depend on the process
that computed it.
"""

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jfewshot.cells.channel import PATIENCE_S, Hub, Member
from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.planning import Cell
from jfewshot.cells.units import Unit, cells_of_unit, digest_of_cells, missing_units
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.results import QueryScores, ResultFolder, key_of

log = logging.getLogger(__name__)

_KEPT = "What was finished is kept: start all processes again, and they continue from there"


def join(coordinator: str, processes: int | None, process: int | None) -> Hub | Member:
    """Become one of several processes; before JAX is first used.

    Args:
      coordinator: `auto` if JAX knows the cluster (SLURM, Open MPI, Kubernetes, TPU slices), or HOST:PORT on which
          process 0 will listen.
      processes: number of processes; with HOST:PORT only.
      process: number of this process, counted from 0; with HOST:PORT only.

    Returns:
      the group of processes, through which messages are sent.

    Raises:
      UserError: if the arguments do not fit together, JAX finds no cluster, or process 0 cannot be reached.
    """
    if coordinator == "auto":
        if processes is not None or process is not None:
            raise UserError("--coordinator auto finds --processes and --process by itself; leave them out")
        coordinator, processes, process = _of_cluster()
    host, colon, port = coordinator.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
        raise UserError(f"--coordinator is '{coordinator}'; write auto, or HOST:PORT as in node17:12345")
    if processes is None or process is None or not 0 <= process < processes:
        raise UserError(
            f"--coordinator {coordinator} needs --processes N and --process I with I from 0 to N - 1; "
            f"they are {processes} and {process}"
        )
    if process == 0:
        return Hub(int(port), processes)
    return Member(host.strip("[]"), int(port), process, processes)


def _of_cluster() -> tuple[str, int, int]:
    """The address of process 0, the number of processes, and this process's number; devices are assigned as in JAX."""
    # JAX has no public function that only detects the cluster.
    from jax._src.cloud_tpu_init import running_in_cloud_tpu_vm
    from jax._src.clusters import ClusterEnv

    try:
        address, count, index, local = ClusterEnv.auto_detect_unset_distributed_params(
            None, None, None, None, None, int(PATIENCE_S)
        )
        if running_in_cloud_tpu_vm:
            # The chips of a slice can only be used by all of its hosts together, which JAX's coordinator connects.
            jax.distributed.initialize(heartbeat_timeout_seconds=20, shutdown_timeout_seconds=20)
    except (ValueError, RuntimeError, KeyError) as error:
        raise _no_cluster(str(error)) from error
    if address is None or count is None or index is None:
        raise _no_cluster("SLURM, Open MPI, Kubernetes and TPU slices are known")
    if local is not None:
        # One GPU for each process of a host, as in jax.distributed.initialize.
        for name in ("jax_cuda_visible_devices", "jax_rocm_visible_devices"):
            jax.config.update(name, ",".join(map(str, local)))
    host, _, port = address.rpartition(":")
    # If JAX's coordinator uses the port itself, use the next one.
    return f"{host}:{int(port) + running_in_cloud_tpu_vm}", count, index


def _no_cluster(why: str) -> UserError:
    return UserError(
        f"--coordinator auto: JAX sees no cluster here ({why}). Write --coordinator HOST:PORT --processes N --process I"
    )


class Elsewhere:
    """Replaces the result folder in all processes except the first: records are sent to process 0."""

    def __init__(self, group: Member):
        self._group = group
        self._sent_draws: set[str] = set()

    def find(self, key: str) -> None:
        """Return None, since process 0 looks for existing records.

        Args:
          key: of a cell.
        """

    def check_writable(self) -> None:
        """Nothing: process 0 writes."""

    def flush(self) -> None:
        """Nothing: process 0 writes."""

    def write_draws(self, protocol: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
        """Send drawn clips, once; returns the file's name."""
        key = key_of(protocol)
        if key not in self._sent_draws:
            self._sent_draws.add(key)
            self._group.send("draws", dict(protocol), arrays)
        return f"{key}.npz"

    def write_cell(
        self, record: dict[str, Any], predicted: np.ndarray, scores: QueryScores | None = None
    ) -> dict[str, Any]:
        """Send a cell's record, predictions and scores to process 0, which writes them.

        Args:
          record: record of the cell.
          predicted: the slot that each query was assigned to.
          scores: scores of every query; None if scores are not kept.

        Returns:
          The record with its key.
        """
        self._group.send("cell", record, {"predicted": predicted, **({} if scores is None else scores._asdict())})
        return record | {"key": key_of(record["identity"])}


def evaluate_together(
    cells: Sequence[Cell],
    evaluator: Evaluator,
    folder: ResultFolder | None,
    group: Hub | Member,
    on_progress: Callable[[int], None] = lambda episodes: None,
) -> Iterator[tuple[dict[str, Any], bool]]:
    """`evaluate_cells` by a group of processes, all of which call this with the same cells.

    Args:
      cells: the cells of the run.
      evaluator: the evaluator of this process.
      folder: the result folder in process 0; None in the others.
      group: the processes.
      on_progress: called in process 0 with the number of episodes that any process has just solved.

    Yields:
      In process 0, after all records exist, each record and whether it was computed now; in the others nothing.

    Raises:
      UserError: in process 0, the error of any process, after all received results are written.
    """
    try:
        if isinstance(group, Member):
            _help(cells, evaluator, group)
            return
        assert folder is not None
        units = missing_units(cells, folder, on_progress)
        group.publish_plan({"cells": digest_of_cells(cells), "units": units})
        leader = _Leader(group, folder, on_progress)
        for unit in _claimed(group, units):
            for record, _ in evaluate_cells(cells_of_unit(unit, cells), evaluator, folder, leader.advance):
                leader.computed.add(record["key"])
                leader.collect()
        leader.wait_for_all()
    finally:
        group.close()
    for record, is_new in evaluate_cells(cells, evaluator, folder):
        yield record, is_new or record["key"] in leader.computed


def _help(cells: Sequence[Cell], evaluator: Evaluator, group: Member) -> None:
    """The work of processes 1, 2, ...: compute pieces of work and send their results to process 0."""
    here = f"process {group.index} on {socket.gethostname()}"
    try:
        plan = group.plan()
        if plan["cells"] != digest_of_cells(cells):
            raise UserError(
                "it plans other cells than process 0: give all processes the same options and the same stores"
            )
        folder = Elsewhere(group)
        for unit in _claimed(group, plan["units"]):
            # Process 0 may end while a long cell is solved; its result would not be needed any more.
            for _ in evaluate_cells(cells_of_unit(unit, cells), evaluator, folder, lambda _: group.check()):
                pass
        group.send("finished", {})
    except BaseException as error:
        if isinstance(error, UserError):
            said = str(error)
        elif isinstance(error, Exception):
            said = f"it ended ({type(error).__name__}: {error}); see its log"
        else:
            said = f"it was interrupted or terminated. {_KEPT}"
        with contextlib.suppress(UserError):  # process 0 may have ended
            group.send("trouble", {"text": f"{here}: {said}"})
        raise


class _Leader:
    """The part of process 0 that receives the results of the other processes."""

    def __init__(self, group: Hub, folder: ResultFolder, on_progress: Callable[[int], None]):
        self.computed: set[str] = set()
        self._group, self._folder, self._on_progress = group, folder, on_progress
        self._working = set(range(1, group.count))
        self._troubles: list[str] = []

    def advance(self, episodes: int) -> None:
        """Report progress of this process, and check for errors of the other processes."""
        self._on_progress(episodes)
        self.collect()

    def collect(self) -> bool:
        """Receive all messages that have arrived; return whether there was any.

        Raises:
          UserError: if a process had an error or has ended, after all received results are written. It does not wait
              for the others.
        """
        any_came = False
        for sender in sorted(self._working):
            while sender in self._working and (message := self._group.receive(sender)) is not None:
                any_came = True
                self._take(sender, *message)
        if self._troubles:
            raise UserError("; ".join(self._troubles))
        return any_came

    def _take(self, sender: int, kind: str, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        if kind == "draws":
            self._folder.write_draws(facts, arrays)
        elif kind == "cell":
            predicted = arrays.pop("predicted")
            record = self._folder.write_cell(facts, predicted, QueryScores(**arrays) if arrays else None)
            self.computed.add(record["key"])
            self._on_progress(facts["identity"]["protocol"]["n_episodes"])
        else:
            self._working.discard(sender)
            if kind == "trouble":
                self._troubles.append(facts["text"])
            elif kind == "lost":
                self._troubles.append(
                    f"process {sender} on {facts['host']} is gone without a word: it was killed, or its machine is. {_KEPT}"
                )

    def wait_for_all(self) -> None:
        """Receive messages until every process has finished."""
        while self._working:
            if not self.collect():
                time.sleep(0.02)
            late = self._working.intersection(self._group.missing())
            if late:
                log.warning(
                    "process %s never appeared; the other processes did its work", ", ".join(map(str, sorted(late)))
                )
                self._working -= late


def _claimed(group: Hub | Member, units: Sequence[Unit]) -> Iterator[Unit]:
    while (number := group.claim()) < len(units):
        yield units[number]
