import collections
import gzip
import json
import re
import time

import jax
import numpy as np
import pytest

from jfewshot import profiling
from jfewshot.errors import UserError
from jfewshot.evaluator.programs import PROGRAMS
from jfewshot.profiling import STAGES, Profile, finished, profile, seconds_since_start, stage
from jfewshot.run import main
from tests.synthetic_stores import make_store


def test_a_stage_within_a_stage_is_charged_to_the_inner_one_alone(monkeypatch):
    now = iter([1.0, 3.0, 6.0, 10.0, 15.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    spent = Profile(began=0.0)
    spent.enter("Gram")
    spent.enter("compiling")
    spent.leave()
    spent.leave()
    spent.enter("writing")
    assert spent.seconds == {"other": 1.0 + 5.0, "Gram": 2.0 + 4.0, "compiling": 3.0}
    assert spent.total() == 15.0


def test_a_stage_that_is_none_is_refused():
    with pytest.raises(KeyError, match="'gram' is no stage of a run; there are start-up, reading"):
        Profile(0.0).enter("gram")


def test_without_a_profile_nothing_is_timed_and_nothing_waited_for(monkeypatch):
    monkeypatch.setattr(jax, "block_until_ready", lambda x: pytest.fail("it was waited for"))
    assert stage("Gram") is stage("solving")
    with stage("Gram"):
        assert finished(3) == 3


def test_a_process_knows_how_long_it_runs():
    first = seconds_since_start()
    time.sleep(0.05)
    assert 0.03 < seconds_since_start() - first < 60
    assert first > 0.2


def test_a_run_tells_where_the_time_went_and_leaves_a_trace(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "unused")
    make_store(tmp_path / "s")
    out, folder = tmp_path / "r", tmp_path / "profile"
    options = [
        "--stores",
        str(tmp_path / "s"),
        "--out",
        str(out),
        "--ways",
        "2",
        "--n-query",
        "2",
        "--episodes",
        "60000",
    ]
    # As in a new process: another test may have had the same programs compiled.
    monkeypatch.setattr(PROGRAMS, "_kept", collections.OrderedDict())
    before = seconds_since_start()
    assert main([*options, "--classifiers", "centroid", "--devices", "1", "--profile", str(folder), "--quiet"]) == 0
    printed = capsys.readouterr().out
    table = (folder / "stages.txt").read_text()
    assert printed.endswith(table)
    seconds = {name: float(number) for name, number in re.findall(r"^([A-Za-z-]+) +([0-9.]+) +[0-9.]+%", table, re.M)}
    whole = seconds.pop("all")
    assert list(seconds) == list(STAGES)
    assert sum(seconds.values()) == pytest.approx(whole, abs=0.0005 * len(seconds) + 0.0005)
    # What happened before, importing this test for instance, was starting up.
    assert seconds["start-up"] >= before - 0.1
    assert whole <= seconds_since_start() + 0.1
    for name in ("reading", "compiling", "sampling", "Gram", "solving", "scoring", "statistics", "writing"):
        assert seconds[name] > 0, name
    # JAX's tools read these: XProf and TensorBoard the first, Perfetto and chrome://tracing the others.
    (written,) = (folder / "plugins" / "profile").iterdir()
    assert next(written.glob("*.xplane.pb")).stat().st_size > 1000
    for file in written.glob("*.json.gz"):
        with gzip.open(file, "rt") as trace:
            names = {event.get("name") for event in json.load(trace)["traceEvents"]}
        assert {"Gram", "solving", "sampling", "writing"} <= names
    assert len(list(written.glob("*.json.gz"))) == 2
    # The run is over, and so is the timing.
    assert profiling._current is None


def test_a_profile_ends_with_an_error_in_it(tmp_path):
    with pytest.raises(ZeroDivisionError), profile(tmp_path), stage("solving"):
        np.float64(1 // 0)
    assert profiling._current is None


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write a profile"), profile(tmp_path / "file" / "folder"):
        pytest.fail("it began")
