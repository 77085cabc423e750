import errno
import os
import re
import subprocess
import sys
import time

import pytest

from jfewshot.commandline import explain_os_error
from jfewshot.errors import UserError
from jfewshot.files import (
    atomic_folder,
    atomic_write,
    canonical_json,
    files_below,
    remove_stale_partials,
    scratch_folder,
    sha256_of_json,
    writable_folder,
)


def test_a_file_appears_with_its_whole_content(tmp_path):
    with atomic_write(tmp_path / "a", "w") as file:
        file.write("first\n")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"first\n"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path, error):
    (tmp_path / "a").write_text("old")

    def fail():
        with atomic_write(tmp_path / "a") as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_full_disk_is_told_by_the_files_own_name(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught, atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert caught.value.filename == str(tmp_path / "a")
    assert "no space left while writing" in explain_os_error(caught.value)
    assert os.listdir(tmp_path) == []


def everything(folder):
    return frozenset(os.listdir(folder))


def write_folder(path, name, **options):
    with atomic_folder(path, **options) as folder:
        (folder / name).touch()


def test_a_folder_appears_whole_and_replaces_one_of_its_own_files_alone_where_that_is_asked(tmp_path):
    write_folder(tmp_path / "f", "old")
    with pytest.raises(UserError, match=r"a finished folder is there already.*--replace"):
        write_folder(tmp_path / "f", "new", own_files=everything)
    write_folder(tmp_path / "f", "new", own_files=everything, replace=True)
    assert os.listdir(tmp_path) == ["f"]
    assert os.listdir(tmp_path / "f") == ["new"]


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("there", ["thesis.txt", ".git/", "old.partial", "a/b/c.npy"])
def test_a_folder_that_holds_anything_else_is_never_replaced(tmp_path, there, replace):
    path = tmp_path / "f" / there
    (path if there.endswith("/") else path.parent).mkdir(parents=True)
    if not there.endswith("/"):
        path.write_text("work")
    with pytest.raises(UserError, match=f"it holds '{there.split('/')[0]}.*nothing was changed"):
        write_folder(tmp_path / "f", "new", replace=replace, own_files=lambda _: frozenset({"new"}))
    assert path.exists()
    assert os.listdir(tmp_path) == ["f"]


def test_what_appears_while_a_folder_is_filled_is_not_replaced_either(tmp_path):
    def fill():
        with atomic_folder(tmp_path / "f") as folder:
            (folder / "new").touch()
            (tmp_path / "f").mkdir()
            (tmp_path / "f" / "other").touch()

    with pytest.raises(UserError, match="it holds 'other'"):
        fill()
    assert os.listdir(tmp_path) == ["f"]
    assert os.listdir(tmp_path / "f") == ["other"]


@pytest.mark.parametrize("out", ["", ".", "..", "sub/.."])
def test_the_current_folder_and_those_above_it_are_no_place_for_a_finished_folder(tmp_path, monkeypatch, out):
    (tmp_path / "here" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="is the current folder or one above it; name a new folder"):
        write_folder(out, "new", replace=True, own_files=everything)
    assert os.listdir(tmp_path / "here") == ["sub"]


def test_a_folder_goes_where_a_link_leads(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk", target_is_directory=True)
    write_folder(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "disk") == ["new"]


def test_a_replacement_that_fails_half_way_brings_the_old_folder_back(tmp_path, monkeypatch):
    write_folder(tmp_path / "f", "old")
    calls = []

    def fail_at_the_third(source, target, replace=os.replace):
        calls.append(target)
        if len(calls) == 3:
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_at_the_third)
    with pytest.raises(OSError, match="Input/output"):
        write_folder(tmp_path / "f", "new", own_files=everything, replace=True)
    assert os.listdir(tmp_path) == ["f"]
    assert os.listdir(tmp_path / "f") == ["old"]


def test_a_folder_replaces_another_where_the_system_denies_access_to_folders_that_stand_there(tmp_path, monkeypatch):
    # Windows: WinError 5, which Python calls EACCES.
    def replace_as_on_windows(source, target, replace=os.replace):
        if os.path.isdir(target):
            raise PermissionError(errno.EACCES, "Access is denied", str(source))
        replace(source, target)

    (tmp_path / "f").mkdir()
    monkeypatch.setattr(os, "replace", replace_as_on_windows)
    with atomic_folder(tmp_path / "f") as folder:
        (folder / "new").touch()
    assert os.listdir(tmp_path) == ["f"]
    assert os.listdir(tmp_path / "f") == ["new"]


def test_a_failed_folder_leaves_an_old_one(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "old").touch()

    def fail():
        with atomic_folder(tmp_path / "f", everything, replace=True) as folder:
            (folder / "new").touch()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert os.listdir(tmp_path) == ["f"]
    assert os.listdir(tmp_path / "f") == ["old"]


def test_old_leftovers_are_removed_and_young_ones_stay(tmp_path):
    (tmp_path / ".old.partial").mkdir()
    (tmp_path / ".file.partial").touch()
    (tmp_path / ".young.partial").touch()
    (tmp_path / "kept").touch()
    for name in (".old.partial", ".file.partial", "kept"):
        os.utime(tmp_path / name, (0, time.time() - 2 * 24 * 3600))
    remove_stale_partials(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".young.partial", "kept"]


def test_what_a_killed_process_of_this_machine_left_goes_at_once(tmp_path, monkeypatch):
    program = (
        "import os, signal, sys; from pathlib import Path; from jfewshot.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "left")], check=False, timeout=60)
    (left,) = os.listdir(tmp_path)
    with atomic_write(tmp_path / "alive"):
        (alive,) = set(os.listdir(tmp_path)) - {left}
        # A process of another machine may have the same number, and live.
        elsewhere = re.sub(r"\.[0-9a-f]{12}\.partial", ".000000abcdef.partial", left)
        assert elsewhere != left
        (tmp_path / elsewhere).touch()
        remove_stale_partials(tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted([alive, elsewhere])


def test_a_scratch_folder_goes_with_what_killed_processes_left(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path; from jfewshot.files import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "store")], check=False, timeout=60)
    (left,) = os.listdir(tmp_path)
    with scratch_folder(tmp_path / "store") as scratch:
        assert scratch.is_dir()
        assert os.listdir(tmp_path) == [scratch.name] != [left]
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot write results to"):
            writable_folder(path, "results")
    assert os.listdir(writable_folder(tmp_path / "new" / "deep", "results")) == []


def test_equal_values_have_equal_json_whatever_their_order():
    assert canonical_json({"b": [1, 2.0], "a": "ä"}) == '{"a":"ä","b":[1,2.0]}'
    assert sha256_of_json({"a": 1, "b": 2}) == sha256_of_json({"b": 2, "a": 1}) != sha256_of_json({"a": 1.0, "b": 2})
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_linked_folders_are_followed_and_loops_are_not(tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for path in (here / "b" / "2.wav", here / "1.wav", here / ".hidden" / "3.wav", elsewhere / "deep" / "4.wav"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (here / ".5.wav").touch()
    (here / "a").symlink_to(elsewhere, target_is_directory=True)
    (here / "c").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "deep" / "up").symlink_to(here, target_is_directory=True)
    (elsewhere / "itself").symlink_to(elsewhere, target_is_directory=True)
    names = [path.relative_to(here).as_posix() for path in files_below(here)]
    assert names == ["1.wav", "a/deep/4.wav", "b/2.wav", "c/deep/4.wav"]
    hidden = {path.relative_to(here).as_posix() for path in files_below(str(here), hidden=True)} - set(names)
    assert hidden == {".5.wav", ".hidden/3.wav"}
    assert files_below(tmp_path / "nothing") == []
