"""Messages between processes, here between threads of one."""

import socket
import threading
import time

import numpy as np
import pytest

from jfewshot.cells import channel
from jfewshot.cells.channel import Hub, Member
from jfewshot.errors import UserError


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def hub(port):
    hub = Hub(port, 3)
    yield hub
    hub.close()


@pytest.fixture
def join(hub, port):
    members = []

    def join(index, count=3):
        members.append(Member("127.0.0.1", port, index, count))
        return members[-1]

    yield join
    for member in members:
        member.close()


def received(hub, sender, seconds=5.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (message := hub.receive(sender)) is not None:
            return message
        time.sleep(0.01)
    raise AssertionError("nothing came")


def test_what_is_claimed_is_claimed_once(hub, join):
    claimed = []

    def claim(group):
        claimed.extend(group.claim() for _ in range(100))

    threads = [threading.Thread(target=claim, args=(group,)) for group in (hub, join(1), join(2))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(300))


def test_plans_and_messages_arrive_whole_and_in_order(hub, join):
    member = join(2)
    threading.Timer(0.2, hub.publish_plan, ({"units": [[0, [None, 1.5]]]},)).start()
    assert member.plan() == {"units": [[0, [None, 1.5]]]}
    large = np.random.default_rng(0).integers(5, size=(1000, 3000)).astype(np.int8)
    member.send("cell", {"name": "ä"}, {"predicted": large})
    member.send("finished", {})
    kind, facts, arrays = received(hub, 2)
    assert (kind, facts) == ("cell", {"name": "ä"})
    np.testing.assert_array_equal(arrays["predicted"], large)
    assert received(hub, 2) == ("finished", {}, {})
    member.close()
    time.sleep(0.2)
    assert hub.receive(2) is None  # one that has said that it ended is not missed
    assert hub.receive(1) is None


def test_a_process_whose_connection_ends_is_lost(hub, join):
    join(1).close()
    kind, facts, _ = received(hub, 1)
    assert (kind, facts) == ("lost", {"host": socket.gethostname()})


def test_a_process_that_falls_silent_is_lost(port, monkeypatch):
    monkeypatch.setattr(channel, "_SILENCE_S", 0.3)
    hub = Hub(port, 2)
    member = Member("127.0.0.1", port, 1, 2)  # its next beat comes after seconds
    assert received(hub, 1)[0] == "lost"
    with pytest.raises(UserError, match=r"process 0 at 127\.0\.0\.1:.* has ended or cannot be reached"):
        member.claim()
    member.close()
    hub.close()


def test_beats_keep_a_busy_process(port, monkeypatch):
    monkeypatch.setattr(channel, "_SILENCE_S", 0.5)
    monkeypatch.setattr(channel, "_BEAT_S", 0.05)
    hub = Hub(port, 2)
    member = Member("127.0.0.1", port, 1, 2)
    time.sleep(1.5)
    assert hub.receive(1) is None
    # Process 0 ends: the next beat notices, also while nothing is asked.
    hub.close()
    until = time.monotonic() + 5
    while not member.is_lost and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(UserError, match="has ended or cannot be reached"):
        member.check()
    member.close()


def test_processes_that_do_not_fit_are_refused_in_a_line(hub, join, port):
    with pytest.raises(UserError, match="started with --processes 3"):
        join(1, 4)
    join(1)
    with pytest.raises(UserError, match="there is a process 1 already, on "):
        join(1)
    with pytest.raises(UserError, match=f"cannot listen on port {port} .*name another port"):
        Hub(port, 2)


def test_strangers_on_the_port_do_no_harm(hub, join, port):
    for said in (b"GET / HTTP/1.1\r\n\r\n" * 9, b"\xff" * 64, b"\2" + b"\0" * 15 + b"[]", b""):
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(said)
    member = join(1)
    assert member.claim() == 0
    assert hub.receive(1) is hub.receive(2) is None


def test_no_process_0_is_said(port, monkeypatch):
    monkeypatch.setattr(channel, "PATIENCE_S", 0.3)
    with pytest.raises(UserError, match=r"process 0 does not answer at 127\.0\.0\.1:"):
        Member("127.0.0.1", port, 1, 2)


def test_those_that_never_appear_are_named_after_a_while(hub, join, monkeypatch):
    assert hub.missing() == []
    join(2)
    monkeypatch.setattr(channel, "PATIENCE_S", 0.0)
    assert hub.missing() == [1]
