"""Ray: a cluster of two nodes in processes of this machine, of which one is killed at work."""

import importlib.util
import threading
import time

import pytest

from extraction.crews.on_ray import RayCrew
from extraction.datasets import load_dataset
from extraction.pipeline import extract
from extraction.run import main
from extraction.settings import ExtractionSettings
from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction.toy import ToyEncoder, class_folders, files_of
from tests.ray_cluster import needs_ray, two_nodes

TOY = "tests.extraction.toy:ToyEncoder"
SLOW = "tests.extraction.toy:SlowToyEncoder"
SETTINGS = ExtractionSettings(workers=0, block_clips=2, batch_size=1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("clips"), n_classes=4, clips_per_class=10)


@pytest.fixture(scope="module")
def cluster():
    with two_nodes() as cluster:
        yield cluster


@needs_ray
def test_a_node_killed_at_work_loses_nothing(cluster, clips, tmp_path, caplog):
    dataset = load_dataset("folder:birds")
    extract(dataset, clips, [ToyEncoder()], tmp_path / "whole", SETTINGS)
    parts = tmp_path / "ray" / "birds" / ".toy.parts"
    seen: dict[str, int] = {}

    def kill_a_node():
        while len(list(parts.glob("block-*.npz"))) < 4:
            time.sleep(0.02)
        cluster.remove_node(cluster.second, allow_graceful=False)
        seen["when_killed"] = len(list(parts.glob("block-*.npz")))

    with RayCrew([SLOW], UpstreamOptions(), SETTINGS) as crew:
        assert crew.size == 2
        crew.workers.wait_until_loaded()  # until both nodes have their encoder
        killer = threading.Thread(target=kill_a_node)
        killer.start()
        tally = extract(dataset, clips, [ToyEncoder()], tmp_path / "ray", SETTINGS, crew=crew)
        killer.join()
    assert 4 <= seen["when_killed"] < 20
    assert "a process of the cluster is gone" in caplog.text
    assert tally.clips <= 40  # what the killed node had finished but not told is not counted
    assert files_of(tmp_path / "ray" / "birds" / "toy") == files_of(tmp_path / "whole" / "birds" / "toy")


@needs_ray
def test_the_command_line_on_what_is_left_of_the_cluster(cluster, clips, tmp_path):
    common = ["--datasets", "folder:birds", "--upstreams", TOY, "--root", str(clips), "--out", str(tmp_path / "out")]
    main([*common, "--ray", "--block-clips", "8"])
    assert len(open_store(tmp_path / "out" / "birds" / "toy").clips) == 40


@needs_ray
def test_errors_of_a_clip_come_as_they_were_raised(cluster, tmp_path):
    clips = class_folders(tmp_path / "clips", 2, 2)
    (clips / "class1" / "bad.wav").write_text("not audio")
    with (
        RayCrew([TOY], UpstreamOptions(), SETTINGS) as crew,
        pytest.raises(UserError, match=r"^clip .*bad\.wav: cannot be decoded"),
    ):
        extract(load_dataset("folder:birds"), clips, [ToyEncoder()], tmp_path / "out", SETTINGS, crew=crew)


@needs_ray
def test_parts_that_end_every_process_are_given_up_with_a_line(cluster, clips, tmp_path):
    with (
        RayCrew(["tests.extraction.toy:FatalToyEncoder"], UpstreamOptions(), SETTINGS) as crew,
        pytest.raises(UserError, match="ended 4 processes"),
    ):
        extract(load_dataset("folder:birds"), clips, [ToyEncoder()], tmp_path, SETTINGS, crew=crew)


@needs_ray
def test_no_cluster_is_said_in_a_line(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UserError, match=r"no Ray cluster at '127\.0\.0\.1:1'.*ray start --head"):
        RayCrew([TOY], UpstreamOptions(), SETTINGS)


def test_without_the_package_the_extra_is_named(monkeypatch):
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else original(name))
    with pytest.raises(UserError, match=r"pip install 'jfewshot\[ray\]'"):
        RayCrew([TOY], UpstreamOptions(), SETTINGS)
