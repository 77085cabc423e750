"""Decoding ahead: the order is kept, reasons come back, and no process is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from extraction.decoding import Decoder
from jfewshot.errors import UserError
from tests.extraction.recordings import REPOSITORY, write


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [write(folder / f"{number}.x", number, kind=number) for number in range(10)]


@pytest.mark.parametrize("workers", [0, 2])
def test_blocks_and_clips_come_in_order_at_every_rate(paths, workers):
    blocks = [paths[:4], paths[4:8], paths[8:], []]
    with Decoder([16_000, 8_000], workers) as decoder:
        decoded = list(decoder.stream(blocks))
    assert [len(block) for block in decoded] == [4, 4, 2, 0]
    with Decoder([8_000], 0) as one:
        for path, clip in zip(paths, [clip for block in decoded for clip in block], strict=True):
            assert set(clip.waves) == {8_000, 16_000}
            assert clip.duration_s == pytest.approx(0.3, abs=0.1)
            (((alone,),)) = list(one.stream([[path]]))
            np.testing.assert_array_equal(alone.waves[8_000], clip.waves[8_000])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_clip_comes_back_with_its_reason(paths, tmp_path, workers):
    (tmp_path / "bad.wav").write_text("not audio")
    with Decoder([16_000], workers) as decoder:
        ((good, bad),) = list(decoder.stream([[paths[0], tmp_path / "bad.wav"]]))
    assert good.reason == ""
    assert bad.reason.startswith("cannot be decoded")
    assert bad.waves == {}


def test_a_worker_that_dies_is_an_error_with_a_way_out(paths):
    with Decoder([16_000], 1) as decoder:
        decoder._pool.submit(os._exit, 1)
        with pytest.raises(UserError, match=r"a decoding process died.*fewer --workers"):
            list(decoder.stream([paths]))


def test_a_script_without_a_guard_runs_once_and_decodes(paths, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        f"""
from extraction.decoding import Decoder
print("started", flush=True)
with Decoder([16_000], 1) as decoder:
    ((clip,),) = list(decoder.stream([[__import__("pathlib").Path({str(paths[0])!r})]]))
print(len(clip.waves[16_000]))
"""
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=120)
    with Decoder([16_000], 0) as one:
        (((alone,),)) = list(one.stream([[paths[0]]]))
    assert (done.stdout, done.stderr) == (f"started\n{len(alone.waves[16_000])}\n", "")


def test_a_process_that_imports_the_script_says_where_the_guard_belongs(monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(UserError, match=r"put the call under `if __name__ == '__main__':`.*workers=0"):
        Decoder([16_000], 1)


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(paths):
    script = f"""
import time
from pathlib import Path
from extraction.decoding import Decoder
if __name__ == "__main__":
    decoder = Decoder([16_000], 2)
    list(decoder.stream([[Path({str(paths[0])!r})] * 20]))
    print("ready", flush=True)
    time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout.readline() == b"ready\n"
        os.killpg(parent.pid, 0)
        os.kill(parent.pid, signal.SIGKILL)
    for _ in range(100):
        try:
            os.killpg(parent.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.killpg(parent.pid, signal.SIGKILL)
    pytest.fail("decoding processes outlived their parent by 10 s")
