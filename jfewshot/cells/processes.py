"""One run by several processes: the hosts of a TPU slice, the tasks of a SLURM job, or any machines that reach each other.

Cells are handed out, those of one store together, to whichever process is free, and each process works on the devices it has:
no array ever crosses from one to another. What is found travels through JAX's coordinator to process 0, which alone writes
records, so that the hosts need no disk in common for results (each must find the stores, though). A cell's result does not
depend on who computed it.
"""

import io
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jfewshot.cells.computing import evaluate_cells
from jfewshot.cells.planning import Cell
from jfewshot.cells.units import Unit, cells_of_unit, digest_of_cells, missing_units
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.files.arrays import npz_bytes
from jfewshot.results import ResultFolder, key_of

log = logging.getLogger(__name__)

_PART_BYTES = 2**20  # of a message; the coordinator's messages are limited
_PATIENCE_S = 600.0  # for the others to open their stores
_ALL_CLAIMED = 2**20  # more than there are stores, and far from the limit of the 32-bit counter when many stop at once


class Group:
    """The processes of a run, as one of them sees it.

    Args:
      client: of JAX's coordination service.
      index: this process's number; 0 leads.
      count: how many there are.
    """

    def __init__(self, client: Any, index: int, count: int):
        self.index, self.count = index, count
        self._client = client
        self._sent = 0
        self._received = [0] * count

    # ---- work

    def publish_plan(self, plan: Mapping[str, Any]) -> None:
        """Let process 0 say what there is to do."""
        self._client.key_value_set("jfewshot/plan", json.dumps(plan))

    def plan(self) -> dict[str, Any]:
        """What process 0 said; waits for it."""
        return json.loads(self._client.blocking_key_value_get("jfewshot/plan", int(_PATIENCE_S * 1000)))

    def claim(self) -> int:
        """The number of the next piece of work, which is nobody else's."""
        return self._client.key_value_increment("jfewshot/claimed", 1) - 1

    def stop(self) -> None:
        """Leave nothing to be claimed."""
        self._client.key_value_increment("jfewshot/claimed", _ALL_CLAIMED)

    # ---- messages to process 0

    def send(self, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Send a message to process 0.

        Args:
          kind: what the message is about; the receiver decides by it what to do.
          facts: content of the message that JSON can hold.
          arrays: arrays of the message by name; None for none.
        """
        data = npz_bytes(arrays or {})
        parts = [data[at : at + _PART_BYTES] for at in range(0, len(data), _PART_BYTES)]
        where = self._mailbox(self.index, self._sent)
        for number, part in enumerate(parts):
            self._client.key_value_set_bytes(f"{where}/{number}", part)
        # The head comes last: who sees it finds the rest.
        head = {"kind": kind, "parts": len(parts), "facts": facts}
        self._client.key_value_set(f"{where}/head", json.dumps(head))
        self._sent += 1

    def receive(self, sender: int) -> tuple[str, dict[str, Any], dict[str, np.ndarray]] | None:
        """A process's next message (kind, facts, arrays), or None if there is none yet."""
        where = self._mailbox(sender, self._received[sender])
        try:
            head = json.loads(self._client.key_value_try_get(f"{where}/head"))
        except jax.errors.JaxRuntimeError as error:
            if "NOT_FOUND" not in str(error):
                raise
            return None
        parts = [self._client.blocking_key_value_get_bytes(f"{where}/{n}", 60_000) for n in range(head["parts"])]
        self._client.key_value_delete(where)
        self._received[sender] += 1
        with np.load(io.BytesIO(b"".join(parts)), allow_pickle=False) as archive:
            return head["kind"], head["facts"], dict(archive)

    @staticmethod
    def _mailbox(sender: int, number: int) -> str:
        return f"jfewshot/from/{sender}/{number}"


def join(coordinator: str, processes: int | None, process: int | None) -> Group:
    """Become one of several processes; before JAX is first used.

    Args:
      coordinator: `auto` where JAX knows the cluster (SLURM, Open MPI, Kubernetes, TPU slices), or HOST:PORT on which
        process 0 will listen.
      processes: number of processes; with HOST:PORT only.
      process: number of this process, counted from 0; with HOST:PORT only.

    Returns:
      the group of processes, through which messages are sent.

    Raises:
      UserError: if they do not fit together, or there is no cluster to be known.
    """
    if coordinator == "auto":
        if processes is not None or process is not None:
            raise UserError("--coordinator auto finds --processes and --process by itself; leave them out")
        try:
            jax.distributed.initialize()
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"--coordinator auto: JAX sees no cluster here ({error}). Write --coordinator HOST:PORT --processes N --process I"
            ) from error
    else:
        host, colon, port = coordinator.rpartition(":")
        if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16):
            raise UserError(f"--coordinator is '{coordinator}'; write auto, or HOST:PORT as in node17:12345")
        if processes is None or process is None or not 0 <= process < processes:
            raise UserError(
                f"--coordinator {coordinator} needs --processes N and --process I with I from 0 to N - 1; "
                f"they are {processes} and {process}"
            )
        jax.distributed.initialize(coordinator, processes, process)
    # JAX (0.10 to 0.12) has no public function that gives its key-value store.
    from jax._src import distributed

    return Group(distributed.global_state.client, jax.process_index(), jax.process_count())


class Elsewhere:
    """Stands for the result folder in all processes but the first: what is written goes to process 0."""

    def __init__(self, group: Group):
        self._group = group
        self._sent_draws: set[str] = set()

    def find(self, key: str) -> None:
        """Nothing: process 0 has looked.

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

    def write_cell(self, record: dict[str, Any], predicted: np.ndarray) -> dict[str, Any]:
        """Send a cell's record and predictions."""
        self._group.send("cell", record, {"predicted": predicted})
        return record | {"key": key_of(record["identity"])}


def evaluate_together(
    cells: Sequence[Cell],
    evaluator: Evaluator,
    folder: ResultFolder | None,
    group: Group,
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
    if group.index or folder is None:
        _help(cells, evaluator, group)
        return
    units = missing_units(cells, folder, on_progress)
    group.publish_plan({"cells": digest_of_cells(cells), "units": units})
    leader = _Leader(group, folder, on_progress)
    try:
        for unit in _claimed(group, units):
            for record, _ in evaluate_cells(cells_of_unit(unit, cells), evaluator, folder, on_progress):
                leader.computed.add(record["key"])
                leader.collect()
    except BaseException:
        group.stop()
        raise
    leader.wait_for_all()
    for record, is_new in evaluate_cells(cells, evaluator, folder):
        yield record, is_new or record["key"] in leader.computed


def _help(cells: Sequence[Cell], evaluator: Evaluator, group: Group) -> None:
    """What processes 1, 2, ... do."""
    try:
        plan = group.plan()
        if plan["cells"] != digest_of_cells(cells):
            raise UserError(
                "it plans other cells than process 0: give all processes the same options and the same stores"
            )
        folder = Elsewhere(group)
        for unit in _claimed(group, plan["units"]):
            for _ in evaluate_cells(cells_of_unit(unit, cells), evaluator, folder):
                pass
    except UserError as error:
        group.send("trouble", {"text": f"process {group.index} on {socket.gethostname()}: {error}"})
        raise
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
        group.send("trouble", {"text": f"process {group.index} on {socket.gethostname()} ended: {said}; see its log"})
        raise
    group.send("finished", {})


class _Leader:
    """What process 0 does beside its own share: it takes in what the others send."""

    def __init__(self, group: Group, folder: ResultFolder, on_progress: Callable[[int], None]):
        self.computed: set[str] = set()
        self._group, self._folder, self._on_progress = group, folder, on_progress
        self._working = set(range(1, group.count))
        self._troubles: list[str] = []

    def collect(self) -> bool:
        """Take in all that has come; returns whether there was anything."""
        any_came = False
        for sender in sorted(self._working):
            while sender in self._working and (message := self._group.receive(sender)) is not None:
                any_came = True
                self._take(sender, *message)
        return any_came

    def _take(self, sender: int, kind: str, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        if kind == "draws":
            self._folder.write_draws(facts, arrays)
        elif kind == "cell":
            record = self._folder.write_cell(facts, arrays["predicted"])
            self.computed.add(record["key"])
            self._on_progress(facts["identity"]["protocol"]["n_episodes"])
        else:
            self._working.discard(sender)
            if kind == "trouble":
                self._troubles.append(facts["text"])
                self._group.stop()

    def wait_for_all(self) -> None:
        """Take in what comes until every process has finished."""
        while self._working:
            if not self.collect():
                time.sleep(0.02)
        if self._troubles:
            raise UserError("; ".join(self._troubles))


def _claimed(group: Group, units: Sequence[Unit]) -> Iterator[Unit]:
    while (number := group.claim()) < len(units):
        yield units[number]
