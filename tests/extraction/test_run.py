"""The command line: what it makes, and what it says when it cannot."""

import subprocess
import sys
import weakref

import pytest

from extraction.run import main
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction.recordings import REPOSITORY
from tests.extraction.toy import ToyEncoder, class_folders

TOY = "tests.extraction.toy:ToyEncoder"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    class_folders(root / "birds", 2, 3)
    class_folders(root / "frogs", 2, 2)
    return root


def test_a_grid_of_datasets_in_a_common_root(data, tmp_path):
    main(
        [
            "--datasets",
            "folder:birds,folder:frogs",
            "--upstreams",
            TOY,
            "--root",
            str(data),
            "--out",
            str(tmp_path),
            "--workers",
            "0",
            "--pooling",
            "mean",
            "std",
            "--layers",
            "all",
        ]
    )
    birds, frogs = (open_store(tmp_path / name / "toy") for name in ("birds", "frogs"))
    assert (len(birds.clips), len(frogs.clips)) == (6, 4)
    assert set(birds.manifest["views"]) == {"0.mean", "0.std", "1.mean", "1.std"}


def test_encoders_that_do_not_fit_beside_others_come_after_them(data, tmp_path, monkeypatch, caplog):
    held: set[int] = set()

    def load(name, options):
        if len(held) == 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        encoder = ToyEncoder()
        encoder.name = name
        held.add(id(encoder))
        weakref.finalize(encoder, held.discard, id(encoder))
        return encoder

    monkeypatch.setattr("extraction.launching.load_upstream", load)
    common = ["--datasets", "folder:birds,folder:frogs", "--root", str(data), "--out", str(tmp_path), "--workers", "0"]
    main([*common, "--upstreams", "fbank,mfcc,yamnet,tera_960hr,npc_960hr"])
    assert [record.getMessage() for record in caplog.records if "no memory" in record.getMessage()] == [
        "no memory for yamnet together with 2 other encoders: it runs after them",
        "no memory for npc_960hr together with 2 other encoders: it runs after them",
    ]
    for dataset in ("birds", "frogs"):
        assert sorted(path.name for path in (tmp_path / dataset).iterdir()) == [
            "fbank",
            "mfcc",
            "npc_960hr",
            "tera_960hr",
            "yamnet",
        ]
    held.update((-1, -2))
    with pytest.raises(RuntimeError, match="out of memory"):
        main([*common, "--upstreams", "s3prl_mel"])


def test_standard_output_stays_empty(data, tmp_path, capfd):
    main(["--datasets", "folder:birds", "--upstreams", TOY, "--root", str(data / "birds"), "--out", str(tmp_path)])
    assert capfd.readouterr().out == ""


def test_shards_and_merge_from_the_command_line(data, tmp_path):
    common = ["--datasets", "folder:birds", "--upstreams", TOY, "--root", str(data / "birds"), "--out", str(tmp_path)]
    for shard in ("0/2", "1/2"):
        main([*common, "--shard", shard, "--workers", "0", "--block-clips", "2"])
    main(["--merge", "--out", str(tmp_path)])
    assert len(open_store(tmp_path / "birds" / "toy").clips) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--datasets", "esc50"], "no upstreams"),
        (["--upstreams", "fbank"], "no datasets"),
        (["--datasets", "esc50", "--upstreams", "hubertt_base"], "unknown upstream 'hubertt_base'"),
        (["--datasets", "esc51", "--upstreams", "fbank"], "unknown dataset 'esc51'"),
        (["--datasets", "folder:a,folder:b", "--upstreams", TOY], "must be in ROOT/<name>"),
        (
            ["--datasets", "folder:x", "--upstreams", f"{TOY},fbank", "--checkpoint", "a.pt"],
            "the weights of one upstream",
        ),
        (["--datasets", "folder:x", "--upstreams", TOY, "--layers", "7"], "no layer '7'"),
        (["--datasets", "folder:x", "--upstreams", TOY, "--pooling", "median"], "unknown pooling 'median'"),
        (["--datasets", "folder:x", "--upstreams", TOY, "--shard", "4"], "--shard is '4'; write i/n"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(data, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        main([*arguments, "--root", str(data / "birds"), "--out", str(tmp_path), "--workers", "0"])
    assert "\n" not in str(caught.value)


def test_errors_end_with_status_2_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "extraction.run", "--datasets", "esc50", "--upstreams", "nonsense"]
    done = subprocess.run(
        [*command, "--root", str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: unknown upstream 'nonsense'")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("at_once", ["0", "1"])
def test_what_is_left_out_is_said_once_a_dataset_and_the_next_command_last(tmp_path, caplog, at_once):
    pytest.importorskip("torch")
    class_folders(tmp_path / "birds", 2, 3)
    broken = next((tmp_path / "birds").rglob("*.wav"))
    broken.write_bytes(b"no audio")
    out = tmp_path / "stores"
    arguments = ["--datasets", "folder:birds", "--root", str(tmp_path / "birds"), "--out", str(out), "--workers", "0"]
    with caplog.at_level("INFO"):
        main([*arguments, "--upstreams", TOY, "s3prl_mel", "--on-error", "skip", "--at-once", at_once])
    said = [record.getMessage() for record in caplog.records]
    (line,) = [line for line in said if line.startswith("left out")]
    assert str(broken) in line
    assert said[-1] == f"wrote {out}; next: jfewshot run --stores {out}"
    for store in ("toy", "s3prl_mel"):
        assert len(open_store(out / "birds" / store).manifest["left_out"]) == 1
