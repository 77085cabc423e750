"""A run that ends at any write, or is killed at any moment, is continued to the same bytes."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from tests.extraction.recordings import REPOSITORY
from tests.extraction.toy import ToyEncoder, class_folders, files_of


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ordinary errors sees it."""


def extract_birds(clips, out):
    return extract(
        load_dataset("folder:birds"), clips, [ToyEncoder()], out, ExtractionSettings(workers=0, block_clips=4)
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def undisturbed(clips, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    extract_birds(clips, out)
    return files_of(out / "birds" / "toy")


class Mortal:
    """Ends this process's work, as far as a test can, at the n-th change to the files below a folder.

    Every file opened for writing, renaming, removal and new folder is a change (they come by Python's audit events, whoever
    asks for them). From then on all further ones fail too: what would tidy up after an error does not run after a kill.
    """

    CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "shutil.rmtree")

    def __init__(self):
        self.folder = ""
        self.seen: list[str] = []
        self.fatal = -1
        sys.addaudithook(self)  # for good: a hook cannot be taken back, only be told to look away

    def __call__(self, event, arguments):
        if not self.folder or not self._changes(event, arguments):
            return
        self.seen.append(f"{event} {arguments[0]}")
        if 0 <= self.fatal < len(self.seen):
            if event == "open" and len(self.seen) - 1 == self.fatal:
                folder, self.folder = self.folder, ""
                open(arguments[0], "ab").close()  # opened, and nothing written yet
                self.folder = folder
            raise Killed

    def _changes(self, event, arguments):
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if mode is None else set("wxa+") & set(mode)
        else:
            path, writes = arguments[0] if arguments else "", event in self.CHANGES
            if event in ("os.remove", "os.rmdir") and arguments[1] != -1:
                return True  # named within an open folder, as `shutil.rmtree` does
        return bool(writes) and not isinstance(path, int) and os.fspath(path).startswith(self.folder)

    @contextlib.contextmanager
    def watching(self, folder, fatal=-1):
        self.folder, self.fatal, self.seen = str(folder), fatal, []
        try:
            yield
        finally:
            self.folder = ""


@pytest.fixture(scope="module")
def mortal():
    return Mortal()


def test_ending_at_every_change_of_a_file_loses_nothing(clips, tmp_path, mortal, undisturbed):
    with mortal.watching(tmp_path):
        extract_birds(clips, tmp_path / "count")
    changes = mortal.seen
    assert sum("block-" in change for change in changes) >= 6
    assert {change.split()[0] for change in changes} >= {"open", "os.rename", "os.mkdir", "os.remove", "shutil.rmtree"}
    for fatal in range(len(changes)):
        out = tmp_path / f"{fatal}"
        with mortal.watching(tmp_path, fatal), pytest.raises(Killed):
            extract_birds(clips, out)
        store = out / "birds" / "toy"
        if store.exists():
            assert files_of(store) == undisturbed, changes[fatal]
        extract_birds(clips, out)
        assert files_of(store) == undisturbed, changes[fatal]
        # Half-written files are hidden, and removed by a run a day later.
        assert {path.name for path in store.parent.iterdir() if not path.name.startswith(".")} == {"toy"}
        assert not (store.parent / ".toy.parts").exists()


def test_a_full_disk_keeps_what_was_finished(clips, tmp_path, monkeypatch, undisturbed):
    original, seen = os.replace, []

    def replace(source, target):
        seen.append(target)
        if len(seen) == 5:
            raise OSError(28, "No space left on device")
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="No space left"):
        extract_birds(clips, tmp_path)
    monkeypatch.undo()
    encoder = ToyEncoder()
    extract(load_dataset("folder:birds"), clips, [encoder], tmp_path, ExtractionSettings(workers=0, block_clips=4))
    assert len(encoder.batches) < 6
    assert files_of(tmp_path / "birds" / "toy") == undisturbed


def test_a_damaged_part_is_named(clips, tmp_path):
    from jfewshot.errors import UserError
    from jfewshot.sharding import Shard

    extract(
        load_dataset("folder:birds"),
        clips,
        [ToyEncoder()],
        tmp_path,
        ExtractionSettings(workers=0, block_clips=4),
        Shard(0, 2),
    )
    part = next((tmp_path / "birds" / ".toy.parts").glob("block-*.npz"))
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(UserError, match=rf"{part.name} is damaged.*remove it"):
        extract_birds(clips, tmp_path)
    part.unlink()
    extract_birds(clips, tmp_path)


@pytest.mark.slow
def test_twenty_real_kills_end_in_the_same_store(tmp_path):
    clips = class_folders(tmp_path / "clips", n_classes=5, clips_per_class=20)
    command = [
        *(sys.executable, "-m", "extraction.run", "--datasets", "folder:birds", "--root", str(clips)),
        *(
            "--upstreams",
            "tests.extraction.toy:SlowToyEncoder",
            "--block-clips",
            "4",
            "--batch-size",
            "1",
            "--workers",
            "1",
        ),
    ]

    def start(out):
        with open(tmp_path / "log.txt", "ab") as log:
            return subprocess.Popen(
                [*command, "--out", str(out)], cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True
            )

    whole = start(tmp_path / "whole")
    began = time.monotonic()
    assert whole.wait(timeout=300) == 0
    duration_s = time.monotonic() - began
    kills = 0
    while kills < 20:
        process = start(tmp_path / "killed")
        try:
            process.wait(timeout=duration_s * (0.3 + 0.7 * (kills * 0.37 % 1)))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        # It got through between two kills: take its store away and go on.
        assert process.returncode == 0, (tmp_path / "log.txt").read_text()[-2000:]
        store = tmp_path / "killed" / "birds" / "toy"
        assert files_of(store) == files_of(tmp_path / "whole" / "birds" / "toy")
        shutil.rmtree(store)
    assert start(tmp_path / "killed").wait(timeout=300) == 0
    assert files_of(tmp_path / "killed" / "birds" / "toy") == files_of(tmp_path / "whole" / "birds" / "toy")
