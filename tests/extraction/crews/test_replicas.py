"""Several processes on one machine make the same store as one, and end well when one of them does not."""

import pytest

from extraction.crews.replicas import Replicas
from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.run import main
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from tests.extraction.toy import ToyEncoder, class_folders, files_of

TOY = "tests.extraction.toy:ToyEncoder"
SETTINGS = ExtractionSettings(workers=0, block_clips=2)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("clips"))


def test_two_replicas_make_the_same_store_and_count_everything(clips, tmp_path):
    dataset = load_dataset("folder:birds")
    extract(dataset, clips, [ToyEncoder()], tmp_path / "one", SETTINGS)
    with Replicas([TOY], UpstreamOptions(), SETTINGS, 2) as crew:
        tally = extract(dataset, clips, [ToyEncoder()], tmp_path / "two", SETTINGS, crew=crew)
    assert files_of(tmp_path / "two" / "birds" / "toy") == files_of(tmp_path / "one" / "birds" / "toy")
    assert (tally.clips, tally.processes) == (12, 2)
    assert 0 < tally.encoders_share < 1


def test_a_bad_clip_is_told_by_the_process_that_met_it(tmp_path):
    clips = class_folders(tmp_path / "clips", 2, 2)
    (clips / "class1" / "bad.wav").write_text("not audio")
    common = ["--datasets", "folder:birds", "--upstreams", TOY, "--root", str(clips), "--out", str(tmp_path / "out")]
    common += ["--block-clips", "2", "--replicas", "2"]
    with pytest.raises(UserError, match=r"bad\.wav: cannot be decoded.*--on-error skip"):
        main(common)
    main([*common, "--on-error", "skip"])
    assert (tmp_path / "out" / "birds" / "toy" / "manifest.json").exists()


def test_a_process_that_is_killed_ends_the_run_with_a_line(clips, tmp_path):
    with (
        Replicas(["tests.extraction.toy:FatalToyEncoder"], UpstreamOptions(), SETTINGS, 1) as crew,
        pytest.raises(UserError, match="fewer --replicas"),
    ):
        extract(load_dataset("folder:birds"), clips, [ToyEncoder()], tmp_path, SETTINGS, crew=crew)


def test_encoders_that_differ_from_the_plans_are_refused(clips, tmp_path):
    planned = ToyEncoder()
    planned.revision = "toy-2"
    with (
        Replicas([TOY], UpstreamOptions(), SETTINGS, 1) as crew,
        pytest.raises(UserError, match=r"another toy \(toy-1\) than the run was planned with \(toy-2\)"),
    ):
        extract(load_dataset("folder:birds"), clips, [planned], tmp_path, SETTINGS, crew=crew)


def test_no_replicas_at_all_are_refused(clips, tmp_path):
    with pytest.raises(UserError, match="replicas is 0; it must be at least 1"):
        main(
            [
                "--datasets",
                "folder:a",
                "--upstreams",
                TOY,
                "--root",
                str(clips),
                "--out",
                str(tmp_path),
                "--replicas",
                "0",
            ]
        )
