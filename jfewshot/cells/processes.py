"""One run by several processes: the hosts of a TPU slice, the tasks of a SLURM job, or any machines that reach each other.

Cells are handed out, those of one store together, to whichever process is free, and each process works on the devices it has:
no array ever crosses from one device to another. What is found travels to process 0 (channel.py), which alone writes records, so
that the hosts need no disk in common for results (each must find the stores, though). A cell's result does not depend on who
computed it.
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
      coordinator: `auto` where JAX knows the cluster (SLURM, Open MPI, Kubernetes, TPU slices), or HOST:PORT on which
        process 0 will listen.
      processes: number of processes; with HOST:PORT only.
      process: number of this process, counted from 0; with HOST:PORT only.

    Returns:
      the group of processes, through which messages are sent.

    Raises:
      UserError: if they do not fit together, there is no cluster to be known, or process 0 cannot be reached.
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
    """Where process 0 listens, the number of processes, and this process's; devices are shared out as JAX shares them."""
    # JAX has no public function that only looks at the cluster.
    from jax._src.cloud_tpu_init import running_in_cloud_tpu_vm
    from jax._src.clusters import ClusterEnv

    try:
        address, count, index, local = ClusterEnv.auto_detect_unset_distributed_params(
            None, None, None, None, None, int(PATIENCE_S)
        )
        if running_in_cloud_tpu_vm:
            # The chips of a slice can only be used by all of its hosts together, which JAX's coordinator brings together.
            jax.distributed.initialize(heartbeat_timeout_seconds=20, shutdown_timeout_seconds=20)
    except (ValueError, RuntimeError, KeyError) as error:
        raise _no_cluster(str(error)) from error
    if address is None or count is None or index is None:
        raise _no_cluster("SLURM, Open MPI, Kubernetes and TPU slices are known")
    if local is not None:
        # One GPU for each process of a host, as jax.distributed.initialize does it.
        for name in ("jax_cuda_visible_devices", "jax_rocm_visible_devices"):
            jax.config.update(name, ",".join(map(str, local)))
    host, _, port = address.rpartition(":")
    # Where JAX's coordinator has the port itself, the next one.
    return f"{host}:{int(port) + running_in_cloud_tpu_vm}", count, index


def _no_cluster(why: str) -> UserError:
    return UserError(
        f"--coordinator auto: JAX sees no cluster here ({why}). Write --coordinator HOST:PORT --processes N --process I"
    )


class Elsewhere:
    """Stands for the result folder in all processes but the first: what is written goes to process 0."""

    def __init__(self, group: Member):
        self._group = group
        self._sent_draws: set[str] = set()

    def find(self, key: str) -> None:
        """Find nothing here: process 0 looks for existing records.

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
          record: of the cell.
          predicted: the slot that each query was given to.
          scores: of every query; None where none are kept.

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
      cells: what is to be computed.
      evaluator: this process's.
      folder: process 0's; None in the others.
      group: the processes.
      on_progress: called in process 0 with the number of episodes just solved, by any process.

    Yields:
      In process 0 each record, and whether it was computed now, after all are there; in the others nothing.

    Raises:
      UserError: in process 0 whatever any process met, after what was found is written.
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
            # Process 0 may end while a long cell is solved, and nobody would want it any more.
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
        with contextlib.suppress(UserError):  # process 0 may be what is gone
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
        """Note progress of this process's own; others may meet trouble while a long cell is solved."""
        self._on_progress(episodes)
        self.collect()

    def collect(self) -> bool:
        """Receive all messages that have arrived; return whether there was any.

        Raises:
          UserError: if a process met trouble or is gone, once all that had come is written. The others are not waited for.
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
