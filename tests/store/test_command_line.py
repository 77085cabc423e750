import json
import subprocess
import sys

import numpy as np

from jfewshot.store.__main__ import main
from tests.synthetic_stores import clip_table, make_store


def test_create_writes_a_store_and_says_what_is_in_it(tmp_path, capsys):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).normal(size=(3, 4)))
    (tmp_path / "labels.csv").write_text("class,group\ncrow,p\nrook,q\ncrow,q\n")
    arguments = ["create", "--embeddings", str(tmp_path / "X.npy"), "--labels", str(tmp_path / "labels.csv")]
    arguments += ["--dataset", "birds", "--upstream", "mine", "--out", str(tmp_path / "s"), "--licence", "CC0"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "birds (CC0)" in said
    assert "3 in 2 classes of 1 to 2 clips, 2 groups" in said
    assert "last.mean: 4-d float32" in said


def test_inspect_tells_clips_segments_splits_and_digests(tmp_path, capsys):
    table = clip_table((6, 4), n_segments=lambda i: 1 + i % 3, groups_of=2, splits=["train", "test"])
    store = make_store(tmp_path / "s", table)
    assert main(["inspect", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "10 in 2 classes of 4 to 6 clips, 5 groups, splits test, train" in said
    assert f"segments  {sum(1 + i % 3 for i in range(10))}, at most 3 a clip" in said
    assert store.digest[:16] in said
    assert table.digest[:16] in said


def test_inspect_prints_manifests_as_json(tmp_path, capsys):
    make_store(tmp_path / "a")
    make_store(tmp_path / "b", upstream="other")
    assert main(["inspect", "--json", str(tmp_path)]) == 0
    assert [manifest["upstream"]["name"] for manifest in json.loads(capsys.readouterr().out)] == ["mine", "other"]


def test_verify_exits_with_one_if_any_store_is_broken(tmp_path, capsys):
    make_store(tmp_path / "a")
    assert main(["verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"ok  {tmp_path / 'a'}\n"
    make_store(tmp_path / "b")
    (tmp_path / "b" / "last.mean.npy").unlink()
    assert main(["verify", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"ok  {tmp_path / 'a'}" in said
    assert f"BROKEN  {tmp_path / 'b'}\n  error: " in said


def test_a_mistake_ends_with_one_line_and_status_two(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jfewshot.store", "inspect", str(tmp_path / "nowhere")], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "does not exist" in done.stderr
