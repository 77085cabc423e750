"""Processes on the machines of a Ray cluster: they are given orders, and an order whose process dies is given to another one.

    ray start --head                      # on one machine; on the others: ray start --address=HEAD:6379

Nothing travels through Ray but orders and short answers. Results go to a disk that all machines share, in files that appear
whole or that a single process appends to.
"""

import collections
import contextlib
import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from jfewshot.errors import UserError

log = logging.getLogger(__name__)
Order = TypeVar("Order")

# An order that ended this many processes is to blame itself, most likely by the memory it needs.
_ATTEMPTS = 4
_REMIND_EVERY_S = 30.0


class Cluster:
    """A connection to a Ray cluster; close it at the end.

    Args:
      address: of the cluster; None for what RAY_ADDRESS says, or else the cluster of this machine.
      show_logs: whether what Ray and its processes print is printed here, on standard output. If not, this process
        prints nothing on standard output until `close`: Ray prints from a thread, a page of text where a node dies.

    Attributes:
      ray: the module.
      address: where the cluster was found.
      cpus, gpus: how many the cluster has now.

    Raises:
      UserError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, address: str | None = None, show_logs: bool = True):
        if importlib.util.find_spec("ray") is None:
            raise UserError("--ray needs the Python package ray, on every machine: pip install 'jfewshot[ray]'")
        import ray

        self.ray: Any = ray
        self.address = address or os.environ.get("RAY_ADDRESS", "auto")
        self._is_own = not ray.is_initialized()
        if self._is_own:
            try:
                _knock(self.address)
                with _same_sigterm():
                    ray.init(
                        address=self.address,
                        logging_level=logging.WARNING,
                        log_to_driver=show_logs,
                        namespace="jfewshot",
                    )
            except (OSError, RuntimeError, ValueError) as error:
                raise UserError(
                    f"no Ray cluster at '{self.address}' ({first_line(error)}). On one machine `ray start --head`, on the others "
                    "`ray start --address=HEAD:6379`; run on one of them, or set RAY_ADDRESS"
                ) from error
        resources = ray.cluster_resources()
        self._silence = contextlib.ExitStack()
        if not show_logs:
            nowhere = self._silence.enter_context(open(os.devnull, "w"))  # noqa: SIM115
            self._silence.enter_context(contextlib.redirect_stdout(nowhere))
        self.cpus, self.gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))

    def close(self) -> None:
        """Leave the cluster, unless this process was in it before."""
        if self._is_own:
            self.ray.shutdown()
        self._silence.close()


class Words(NamedTuple):
    """What messages call things.

    Attributes:
      worker: what a process needs room for, for instance "an encoder".
      order: names an order, for instance "parts 3 to 6".
      smaller: what to do where an order needs too much memory, for instance "with a smaller --batch-size".
    """

    worker: str
    order: Callable[[Any], str]
    smaller: str


class Workers:
    """Processes of a cluster, each with an object of one class; they start where the cluster has room for them.

    Args:
      cluster: where.
      kind: class of the object. Its method `load` is called once, before the first order.
      arguments: of the class.
      size: how many processes.
      needs: of each process, `num_cpus` and `num_gpus`.
      words: for messages.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: type,
        arguments: tuple[Any, ...],
        size: int,
        needs: Mapping[str, int],
        words: Words,
    ):
        self.size = size
        self._ray, self._arguments, self._words = cluster.ray, arguments, words
        self._kind = self._ray.remote(max_restarts=0, **needs)(kind)
        self._room = ", ".join(f"{number} {what[4:-1].upper()}" for what, number in needs.items())
        self._idle: list[Any] = []
        # What is under way: by Ray's reference to the answer, the process and the number of its order (None while it loads).
        self._busy: dict[Any, tuple[Any, int | None]] = {}
        self._failed_starts = 0  # since a process last loaded
        self._last_loss = ""
        for _ in range(size):
            self._start_one()

    def close(self) -> None:
        """End all processes, also those that are working."""
        for actor in [*self._idle, *(actor for actor, _ in self._busy.values())]:
            self._ray.kill(actor)
        self._idle, self._busy = [], {}

    def wait_until_loaded(self) -> None:
        """Wait until every process has loaded; for tests and measurements."""
        while any(order is None for _, order in self._busy.values()):
            self._collect([], _REMIND_EVERY_S)

    def give(
        self,
        orders: Sequence[Order],
        send: Callable[[Any, Order], Any],
        on_wait: Callable[[], None] = lambda: None,
        wait_s: float = _REMIND_EVERY_S,
    ) -> Iterator[Any]:
        """Give orders to the processes, and yield their answers.

        Args:
          orders: the first ones are given out first.
          send: gives an order to a process, and returns Ray's reference to the answer.
          on_wait: called after each wait for answers.
          wait_s: longest time of a wait, in seconds.

        Yields:
          The answers, in the order in which they come.

        Raises:
          UserError: an order ended several processes, or no process can be started.
          Exception: what a process raised.
        """
        waiting = collections.deque(range(len(orders)))
        attempts: collections.Counter[int] = collections.Counter()
        waited_s = 0.0
        while waiting or any(number is not None for _, number in self._busy.values()):
            while waiting and self._idle:
                actor, number = self._idle.pop(), waiting.popleft()
                attempts[number] += 1
                self._busy[send(actor, orders[number])] = (actor, number)
            answers, lost = self._collect(orders, wait_s)
            for number in lost:
                waiting.appendleft(number)
                if attempts[number] >= _ATTEMPTS:
                    raise UserError(
                        f"{self._words.order(orders[number])} ended {_ATTEMPTS} processes ({self._last_loss}), most likely for "
                        f"want of memory. What was finished is kept: run again {self._words.smaller}"
                    )
            yield from answers
            on_wait()
            waited_s = 0.0 if answers or lost else waited_s + wait_s
            if waited_s >= _REMIND_EVERY_S and not any(number is not None for _, number in self._busy.values()):
                waited_s = 0.0
                log.info("waiting for the cluster to have room for %s (%s asked for)", self._words.worker, self._room)

    def _collect(self, orders: Sequence[Any], wait_s: float) -> tuple[list[Any], list[int]]:
        """Wait for answers; returns those of orders, and the numbers of orders whose process died."""
        if not self._busy:
            raise UserError(
                f"no process of the cluster could be started ({self._last_loss}). What was finished is kept; mend the "
                "cluster's machines and run again"
            )
        answers, lost = [], []
        done, _ = self._ray.wait(list(self._busy), timeout=wait_s)
        for reference in done:
            actor, number = self._busy.pop(reference)
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                # Raised by our own code there, where it would have been raised here.
                raise error.cause from error
            except self._ray.exceptions.RayError as error:
                self._replace(actor, None if number is None else orders[number], error)
                if number is not None:
                    lost.append(number)
                continue
            self._idle.append(actor)
            self._failed_starts = 0
            if number is not None:
                answers.append(answer)
        return answers, lost

    def _start_one(self) -> None:
        actor = self._kind.remote(*self._arguments)
        self._busy[actor.load.remote()] = (actor, None)

    def _replace(self, actor: Any, order: Any | None, error: Exception) -> None:
        self._last_loss = first_line(error)
        what = "it was still loading" if order is None else f"{self._words.order(order)} go to another"
        log.warning("a process of the cluster is gone (%s); %s", self._last_loss, what)
        self._ray.kill(actor)
        self._failed_starts += order is None
        if self._failed_starts <= _ATTEMPTS:
            self._start_one()


@contextlib.contextmanager
def _same_sigterm() -> Iterator[None]:
    """Keeps what this process does about SIGTERM: Ray would end it with another status and without a line."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _knock(address: str) -> None:
    """Ray itself tries for eight minutes to reach an address at which nobody answers.

    Raises:
      OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=10).close()


def first_line(error: Exception) -> str:
    """The first line of what an error says, without the full stop; its type where it says nothing.

    Args:
      error: any.
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
