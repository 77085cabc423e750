"""Share one run among the machines of a Ray cluster; each writes records to the folder that all machines share.

    ray start --head             # on one machine; on the others: ray start --address=HEAD:6379
    jfewshot run ... --ray       # on any of them

Workers get units of cells, the largest first. A worker appends records to its own files, like every process that writes
to a result folder. If a worker dies, only the cell that it was solving is lost, and another worker gets the rest of its
unit. Only instructions and counts travel through Ray. The first process solves no cells: it distributes units, reads
the records, and prints.
"""

import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jfewshot.cells.computing import evaluate_cells, found_records, missing_of
from jfewshot.cells.planning import Cell
from jfewshot.cells.units import Unit, cells_of_unit, digest_of_cells, largest_first, missing_units
from jfewshot.errors import UserError
from jfewshot.ray_workers import Cluster, Words, Workers
from jfewshot.results import Keep, ResultFolder
from jfewshot.threads import cores

log = logging.getLogger(__name__)

_UNITS_PER_WORKER = 3  # smallest number; with fewer units, workers would be idle while others finish
_LOOK_EVERY_S = 1.0
# A network disk may show a file to other machines with such a delay.
_DISK_DELAY_S = 90.0
_MARK_DELAY_S = 15.0


class Worker(NamedTuple):
    """The arguments for each worker of a run.

    Attributes:
      plan: opens the stores and returns the cells of the run.
      digest: digest of the cells that the first process plans.
      mark: a file in the result folder, with which a worker checks that it uses the same folder.
      keep: the results that are kept for each cell.
      n_devices: number of GPUs or CPU cores of each worker.
      on_gpus: whether these are GPUs.
      memory_bytes: memory budget of each worker; None for the default.
      compile_cache: whether compiled code is kept on disk.
    """

    plan: Callable[[], list[Cell]]
    digest: str
    mark: Path
    keep: Keep
    n_devices: int
    on_gpus: bool
    memory_bytes: int | None
    compile_cache: bool


class CellWorker:
    """One worker: a process with its own devices that solves the cells of units.

    Args:
      made_with: the arguments for the workers of a run.
    """

    def __init__(self, made_with: Worker):
        self._made_with = made_with

    def load(self) -> None:
        """Open the stores and the devices, once.

        Raises:
          UserError: if this machine sees other stores, another result folder or no GPU.
        """
        run, host = self._made_with, socket.gethostname()
        if not run.on_gpus:
            # JAX starts NPROC threads, or by default one thread for each core of the machine, although other workers
            # use these cores.
            os.environ["NPROC"] = str(run.n_devices)
        import jax

        from jfewshot.evaluator.compile_cache import use_compile_cache
        from jfewshot.evaluator.devices import default_memory_budget, use_all_cores
        from jfewshot.evaluator.evaluator import Evaluator

        use_all_cores(run.n_devices)
        use_compile_cache(run.compile_cache)
        if run.on_gpus and jax.default_backend() == "cpu":
            raise UserError(
                f"Ray has GPUs on {host}, and JAX sees none there: install 'jfewshot[cuda]' on every machine, or set "
                "JAX_PLATFORMS=cpu where you start the run, to use CPU cores"
            )
        _wait_for(run.mark.exists, _MARK_DELAY_S)
        if not run.mark.exists():
            raise UserError(f"{host} does not see {run.mark.parent}: --out must be on a disk that all machines share")
        self._cells = run.plan()
        if digest_of_cells(self._cells) != run.digest:
            raise UserError(
                f"{host} plans other cells than the machine that started the run: give all machines the same stores and the "
                "same version of jfewshot"
            )
        share = min(1.0, run.n_devices / cores())
        self._evaluator = Evaluator(
            jax.local_devices()[: run.n_devices], run.memory_bytes or default_memory_budget(share)
        )
        self._folder = _WithoutLooking(run.mark.parent, run.keep)

    def evaluate(self, unit: Unit) -> list[str]:
        """Solve the cells of a unit and write their records.

        Args:
          unit: what has to be computed.

        Returns:
          The warnings of the computation, which the first process repeats.
        """
        with _warnings() as said:
            for _ in evaluate_cells(cells_of_unit(unit, self._cells), self._evaluator, self._folder):
                pass
        return said


class _WithoutLooking(ResultFolder):
    """A result folder that does not look up records, because the first process has done this and requests only missing ones."""

    def find(self, key: str) -> dict[str, Any] | None:
        return None


def evaluate_on_ray(
    cells: Sequence[Cell],
    folder: ResultFolder,
    plan: Callable[[], list[Cell]],
    *,
    address: str | None = None,
    keep: Keep = "predictions",
    n_devices: int | None = None,
    memory_bytes: int | None = None,
    compile_cache: bool = True,
    on_progress: Callable[[int], None] = lambda episodes: None,
    on_start: Callable[[str], None] = lambda text: None,
) -> Iterator[tuple[dict[str, Any], bool]]:
    """`evaluate_cells` by the machines of a Ray cluster.

    Args:
      cells: the cells of the run.
      folder: the folder of records, on a disk that all machines share, under the same path.
      plan: a function that returns the same cells on another machine; it is sent there.
      address: address of the cluster; None for RAY_ADDRESS, or else for the cluster of this machine.
      keep: the results that are kept for each cell, as for `folder`.
      n_devices: number of devices of each worker, GPUs if the cluster has any, or else CPU cores; None for 1.
      memory_bytes: memory budget of each worker; None for its share of the default.
      compile_cache: whether workers keep compiled code on disk.
      on_progress: called with the number of episodes of records that were just found.
      on_start: called with a sentence about the workers before they start, unless no record is missing.

    Yields:
      After all records exist, each record, and whether it was computed now.

    Raises:
      UserError: if a worker raised one (after the existing records), if there is no cluster, or if the folder is not
          shared.
    """
    units = missing_units(cells, folder, on_progress)
    if not units:
        yield from ((record, False) for record in found_records(cells, folder))
        return
    folder.check_writable()
    pending = _Pending(units, cells, folder, on_progress)
    with _mark_in(folder.path) as mark, contextlib.closing(Cluster(address, show_logs=False)) as cluster:
        on_gpus = cluster.gpus > 0 and os.environ.get("JAX_PLATFORMS") != "cpu"
        n = n_devices or 1
        most = max(1, (cluster.gpus if on_gpus else cluster.cpus) // n)
        units = largest_first(units, cells, _UNITS_PER_WORKER * most)
        size = min(most, len(units))
        on_start(f"on {size} workers of {n} {'GPU' if on_gpus else 'CPU core'}{'s' * (n > 1)} of a Ray cluster")
        worker = Worker(plan, digest_of_cells(cells), mark, keep, n, on_gpus, memory_bytes, compile_cache)
        needs = {"num_gpus": n, "num_cpus": 1} if on_gpus else {"num_cpus": n}
        words = Words("a worker", lambda unit: _name(unit, cells), "with a smaller --memory-gb")
        workers = Workers(cluster, CellWorker, (worker,), size, needs, words)
        given: set[int] = set()
        said: set[str] = set()

        def send(actor: Any, unit: Unit) -> Any:
            first = unit[0][0]  # each cell is in only one unit
            left = pending.left_of(unit) if first in given else unit
            given.add(first)
            return actor.evaluate.remote(left)

        try:
            for warnings in workers.give(units, send, pending.look, _LOOK_EVERY_S):
                for text in warnings:
                    if text not in said:
                        said.add(text)
                        log.warning("%s", text)
        except UserError:
            pending.look()
            yield from ((record, pending.is_new(record)) for record in found_records(cells, folder))
            raise
        finally:
            workers.close()
    yield from ((record, pending.is_new(record)) for record in pending.all_records())


class _Pending:
    """Follows, in the first process, the records that workers have to write.

    Args:
      units: the units of the run.
      cells: the cells of the run.
      folder: the folder in which records appear.
      on_progress: called with the number of episodes of records that have appeared.
    """

    def __init__(
        self, units: Sequence[Unit], cells: Sequence[Cell], folder: ResultFolder, on_progress: Callable[[int], None]
    ):
        self._cells, self._folder, self._on_progress = cells, folder, on_progress
        self._new = {
            cell.key(strength): cell.protocol.n_episodes
            for unit in units
            for cell in cells_of_unit(unit, cells)
            for strength in cell.spec.strengths
        }
        self._left = set(self._new)

    def is_new(self, record: dict[str, Any]) -> bool:
        """Whether a record did not exist at the start."""
        return record["key"] in self._new

    def look(self) -> None:
        """Look for records that have appeared, and report progress."""
        came = self._left.intersection(self._folder.refresh())
        self._left -= came
        if came:
            self._on_progress(sum(self._new[key] for key in came))

    def left_of(self, unit: Unit) -> Unit:
        """The cells of a unit that are still missing after its worker died."""
        self.look()
        numbers = [number for number, _ in unit]
        left = [missing_of(cell, self._folder) for cell in cells_of_unit(unit, self._cells)]
        return [(number, strengths) for number, strengths in zip(numbers, left, strict=True) if strengths]

    def all_records(self) -> list[dict[str, Any]]:
        """All records of the run, as soon as this machine can read them.

        Raises:
          UserError: if this machine cannot read the records of workers.
        """
        wanted = sum(len(cell.spec.strengths) for cell in self._cells)
        patience = time.monotonic() + _DISK_DELAY_S
        while True:
            self.look()
            is_last = time.monotonic() > patience
            if not self._left or is_last:
                records = list(found_records(self._cells, self._folder))
                if len(records) == wanted:
                    return records
            if is_last:
                raise UserError(
                    f"this machine does not see {wanted - len(records)} records that workers wrote to {self._folder.path}: --out "
                    "must be on a disk that all machines share. Run the same command again; it computes what is missing"
                )
            time.sleep(_LOOK_EVERY_S)


def _name(unit: Unit, cells: Sequence[Cell]) -> str:
    cell = cells[unit[0][0]]
    return f"the cells of {cell.store.upstream} on {cell.store.dataset}, {cell.view},"


@contextlib.contextmanager
def _mark_in(folder: Path) -> Iterator[Path]:
    """Make a file that workers look for; it is removed at the end."""
    path = folder.absolute() / f".run-{uuid.uuid4().hex}"
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects the warnings of this package."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    ours = logging.getLogger("jfewshot")
    ours.addHandler(handler)
    try:
        yield said
    finally:
        ours.removeHandler(handler)


def _wait_for(condition: Callable[[], bool], patience_s: float) -> None:
    end = time.monotonic() + patience_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.2)
