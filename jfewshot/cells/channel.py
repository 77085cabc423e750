"""Messages between the processes of one run: process 0 listens on a port, and each other process opens one connection to it.

If a process ends, its connection closes immediately; if a machine fails, it stops to send. JAX's own
coordinator detects this after 100 s, and then ends every process with the trace of a C++ check.
"""

import collections
import contextlib
import io
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from jfewshot.errors import UserError
from jfewshot.files.arrays import npz_bytes

log = logging.getLogger(__name__)

PATIENCE_S = 300.0  # how long we wait for the other processes, and for the plan
_SILENCE_S = 20.0  # a process that sends nothing for so long counts as ended
_BEAT_S = 4.0
_GREETING = "jfewshot run 1"
_SIZES = struct.Struct("<QQ")
_LONGEST = 2**36  # bytes; a longer message is not one of ours
Message = tuple[str, dict[str, Any], dict[str, np.ndarray]]


class Hub:
    """The end of the connections in process 0.

    Args:
      port: the port to listen on.
      count: number of processes, including process 0.

    Raises:
      UserError: if the port cannot be opened.
    """

    index = 0

    def __init__(self, port: int, count: int):
        self.count = count
        self._plan: Mapping[str, Any] | None = None
        self._claimed = 0
        self._inbox: list[collections.deque[Message]] = [collections.deque() for _ in range(count)]
        self._hosts: dict[int, str] = {}
        self._connections: set[socket.socket] = set()
        self._began = time.monotonic()
        self._lock = threading.Lock()
        both = socket.has_dualstack_ipv6()
        try:
            self._listening = socket.create_server(
                ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both
            )
        except OSError as error:
            raise UserError(
                f"process 0 cannot listen on port {port} ({error.strerror}): name another port in --coordinator, or end the "
                "run that uses this one"
            ) from error
        threading.Thread(target=self._accept, name="jfewshot-hub", daemon=True).start()

    def publish_plan(self, plan: Mapping[str, Any]) -> None:
        """Publish the plan of the run to the other processes."""
        self._plan = plan

    def claim(self) -> int:
        """The number of the next piece of work, which is nobody else's."""
        with self._lock:
            self._claimed += 1
            return self._claimed - 1

    def receive(self, sender: int) -> Message | None:
        """A process's next message (kind, facts, arrays), or None if there is none yet.

        Args:
          sender: the process's number.
        """
        return self._inbox[sender].popleft() if self._inbox[sender] else None

    def missing(self) -> list[int]:
        """The processes that have not connected within five minutes."""
        if time.monotonic() - self._began < PATIENCE_S:
            return []
        return [index for index in range(1, self.count) if index not in self._hosts]

    def close(self) -> None:
        """Stop listening, and close all connections."""
        with contextlib.suppress(OSError):  # ends the wait of the thread that accepts connections
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="jfewshot-hub", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        """Answer a process until its connection ends."""
        index, has_ended = None, False
        try:
            with connection:
                connection.settimeout(_SILENCE_S)
                greeting, _ = _receive(connection)
                refusal = self._refusal(greeting)
                if refusal is None:
                    index = greeting["process"]
                _send(connection, {"refused": refusal})
                while refusal is None:
                    request, data = _receive(connection)
                    _send(connection, {"answer": self._answer(greeting["process"], request, data)})
                    has_ended = has_ended or request.get("kind") in ("finished", "trouble")
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            log.debug("a connection ended: %r", error)
        finally:
            with self._lock:
                self._connections.discard(connection)
        if index is not None and not has_ended:
            self._inbox[index].append(("lost", {"host": self._hosts[index]}, {}))

    def _refusal(self, greeting: dict[str, Any]) -> str | None:
        index = greeting.get("process")
        if greeting.get("greeting") != _GREETING:
            return "process 0 is of another version of jfewshot; install the same version everywhere"
        if greeting.get("count") != self.count or not isinstance(index, int) or not 0 < index < self.count:
            return f"process 0 was started with --processes {self.count}; give all processes the same number"
        with self._lock:
            if index in self._hosts:
                return f"there is a process {index} already, on {self._hosts[index]}; give each process a --process of its own"
            self._hosts[index] = str(greeting.get("host"))
        return None

    def _answer(self, index: int, request: dict[str, Any], data: bytes) -> Any:
        what = request["do"]
        if what == "claim":
            return self.claim()
        if what == "plan":
            return self._plan
        if what == "send":
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                self._inbox[index].append((request["kind"], request["facts"], dict(archive)))
        return None


class Member:
    """The end of the connection in process 1, 2, ...

    Attributes:
      is_lost: whether process 0 is known to have ended.

    Args:
      host: host of process 0.
      port: port of process 0.
      index: number of this process.
      count: number of processes.

    Raises:
      UserError: if process 0 does not answer, or refuses this process.
    """

    def __init__(self, host: str, port: int, index: int, count: int):
        self.index, self.count = index, count
        self._where = f"{host}:{port}"
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.is_lost = False
        self._connection = _connected(host, port)
        greeting = {"greeting": _GREETING, "process": index, "count": count, "host": socket.gethostname()}
        refused = self._exchange(greeting, b"")["refused"]
        if refused is not None:
            self.close()
            raise UserError(refused)
        threading.Thread(target=self._beat, name="jfewshot-beat", daemon=True).start()

    def plan(self) -> dict[str, Any]:
        """Wait for the plan of process 0, and return it."""
        until = time.monotonic() + PATIENCE_S
        while (plan := self._ask({"do": "plan"})) is None:
            if time.monotonic() > until:
                raise UserError(f"process 0 at {self._where} has no plan after {PATIENCE_S:.0f} s; see its log")
            time.sleep(0.05)
        return plan

    def claim(self) -> int:
        """The number of the next piece of work, which is nobody else's."""
        return self._ask({"do": "claim"})

    def send(self, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """Send a message to process 0.

        Args:
          kind: kind of the message.
          facts: the contents of the message that JSON can represent.
          arrays: arrays of the message by name; None for none.
        """
        self._ask({"do": "send", "kind": kind, "facts": facts}, npz_bytes(arrays or {}))

    def check(self) -> None:
        """Raise an error if process 0 has ended.

        Raises:
          UserError: if process 0 has ended.
        """
        if self.is_lost:
            raise UserError(
                f"process 0 at {self._where} has ended or cannot be reached; its own log says why. What it had written is "
                "kept: start all processes again, and they continue from there"
            )

    def close(self) -> None:
        """End the connection."""
        self._closed.set()
        self._connection.close()

    def _ask(self, request: Mapping[str, Any], data: bytes = b"") -> Any:
        return self._exchange(request, data)["answer"]

    def _exchange(self, request: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        with self._lock:
            self.check()
            try:
                _send(self._connection, request, data)
                return _receive(self._connection)[0]
            except BaseException as error:
                # Also after ^C between a request and its answer: otherwise the next request would receive this answer.
                self.is_lost = True
                self._connection.close()
                if not isinstance(error, OSError | EOFError | ValueError):
                    raise
        self.check()
        raise AssertionError

    def _beat(self) -> None:
        """Regularly tell process 0 that this process is alive, and notice if process 0 has ended."""
        while not self._closed.wait(_BEAT_S):
            try:
                self._ask({"do": "beat"})
            except UserError:
                return


def _connected(host: str, port: int) -> socket.socket:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection((host, port), _SILENCE_S)
        except OSError as error:
            if time.monotonic() > until:
                raise UserError(
                    f"process 0 does not answer at {host}:{port} ({error.strerror or error}): start it there with the same "
                    "options and --process 0"
                ) from error
        time.sleep(0.2)


def _send(connection: socket.socket, head: Mapping[str, Any], data: bytes = b"") -> None:
    text = json.dumps(head).encode()
    connection.sendall(_SIZES.pack(len(text), len(data)) + text)
    connection.sendall(data)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    lengths = _SIZES.unpack(_exactly(connection, _SIZES.size))
    if max(lengths) > _LONGEST:
        raise ValueError("no message of jfewshot")
    text, data = (_exactly(connection, length) for length in lengths)
    head = json.loads(text)
    if not isinstance(head, dict):
        raise ValueError("no message of jfewshot")
    return head, data


def _exactly(connection: socket.socket, n: int) -> bytes:
    parts = []
    while n:
        part = connection.recv(min(n, 2**20))
        if not part:
            raise EOFError("the connection ended")
        parts.append(part)
        n -= len(part)
    return b"".join(parts)
