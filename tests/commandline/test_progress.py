"""Progress: what the lines say, that they come while nothing advances, and that bars cut nothing."""

import io
import logging
import sys
import time

import pytest

from jfewshot.commandline import progress
from jfewshot.commandline.progress import Progress, duration, tracked


def test_a_line_says_how_far_and_how_long_still():
    work = Progress("training", 100, "steps", done=20)
    work._started = 1000.0
    assert work.line(1030.0) == "training: 20 of 100 steps, 30 s so far"
    work.advance(20, "loss 1.2")
    # 20 steps in 40 s, and 60 are left.
    assert work.line(1040.0) == "training: 40 of 100 steps, loss 1.2, about 2 min left"
    work.advance(60)
    assert work.line(1160.0) == "training: 100 of 100 steps, loss 1.2, about 0 s left"


def test_without_a_total_a_line_says_for_how_long():
    work = Progress("loading hubert_base")
    work._started = 0.0
    assert work.line(75.0) == "loading hubert_base: 75 s so far"
    work.advance(3)
    assert work.line(100.0) == "loading hubert_base: 2 min so far, 3 done"


@pytest.mark.parametrize(("seconds", "text"), [(0.1, "0 s"), (89.0, "89 s"), (91.0, "2 min"), (7_200.0, "2.0 h")])
def test_durations_in_two_digits_or_so(seconds, text):
    assert duration(seconds) == text


def test_lines_come_while_one_piece_takes_long_and_end_with_the_work(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.02)
    with caplog.at_level(logging.INFO), Progress("checking", 2, "stores") as work:
        work.advance()
        time.sleep(0.3)
    time.sleep(0.1)
    said = [record.getMessage() for record in caplog.records]
    assert 2 <= len(said) <= 15
    assert all(line.startswith("checking: 1 of 2 stores, about 0 s left") for line in said)
    time.sleep(0.1)
    assert len(caplog.records) == len(said)


def test_tracked_items_are_counted_as_they_are_done(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.02)
    with caplog.at_level(logging.INFO):
        for _ in tracked("abc", "checking", "stores"):
            time.sleep(0.1)
    said = [record.getMessage().split(",")[0] for record in caplog.records]
    assert list(dict.fromkeys(said)) == [f"checking: {done} of 3 stores" for done in range(3)]


@pytest.mark.parametrize("show", [None, False])
def test_quiet_shows_nothing(show, monkeypatch, caplog):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    with caplog.at_level(logging.WARNING if show is None else logging.INFO), Progress("checking", 2, show=show) as work:
        time.sleep(0.1)
        work.advance()
    assert caplog.records == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_share_a_display_and_are_not_cut(monkeypatch, caplog):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    details = "loss 1.234, rate 2.0e-04, 12 h of audio per h, 3% waiting for data"
    with caplog.at_level(logging.INFO), Progress("training", 1000, "steps") as outer:
        outer.advance(40, details)
        with Progress("validating", 10, "batches"):
            time.sleep(0.3)
        assert progress._bars._display is not None
    assert progress._bars._display is None
    shown = "".join(terminal.getvalue().split())
    assert "validating" in shown
    for word in details.split():
        assert word.rstrip(",") in shown
    assert "…" not in shown
    assert caplog.records == []
