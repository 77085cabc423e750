"""Windows without any annotation: as long as the clips, nowhere near an annotation, the same every time."""

import collections
import dataclasses

import numpy as np
import pytest
import soundfile

from extraction.datasets import load_dataset
from extraction.datasets.background import add_background
from extraction.datasets.base import Recording
from extraction.planning import find_recordings
from extraction.run import main
from extraction.settings import ExtractionSettings
from jfewshot.errors import UserError
from jfewshot.store import open_store


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    for number, name in enumerate(("dawn.wav", "dusk.wav", "noon.wav", "lost.wav")):
        wave = 0.1 * np.random.default_rng(number).standard_normal(20 * 2_000)
        soundfile.write(folder / name, wave, 2_000)
    return folder


def annotations(audio, folder):
    folder.mkdir(exist_ok=True)
    (folder / "dawn.txt").write_text("1\t2\towl\n1.5\t2.5\twren\n6\t7.5\towl\n9\t9.4\t\n12\t13\twren\n")
    (folder / "dusk.txt").write_text("0\t2\twren\n4\t5\towl\n")
    (folder / "noon.txt").write_text("")  # somebody listened, and there was nothing
    return load_dataset(f"audacity:{folder}")


def spans(clips, label=None):
    of_file = collections.defaultdict(list)
    for one in clips:
        if label in (None, one.label) and one.start_s is not None:
            of_file[one.path.name].append((one.start_s, one.end_s))
    return of_file


def overlap(one, other):
    return min(one[1], other[1]) - max(one[0], other[0]) > 1e-9


@pytest.mark.parametrize("windows", [{}, {"pad_s": 0.5}, {"fixed_s": 1.5}])
def test_background_windows_hold_no_annotation_and_nothing_of_another_clip(audio, tmp_path, windows):
    dataset = annotations(audio, tmp_path / "notes")
    settings = ExtractionSettings(background=4, **windows)
    clips, _ = find_recordings(dataset, audio, settings=settings)
    background = spans(clips, "background")
    assert {name: len(found) for name, found in background.items()} == {"dawn.wav": 4, "dusk.wav": 4, "noon.wav": 4}
    without = ExtractionSettings(**windows)
    others = spans([*find_recordings(dataset, audio, settings=without)[0], *dataset.recordings(audio)])
    lengths = {
        round(end - start, 3)
        for found in spans(find_recordings(dataset, audio, settings=without)[0]).values()
        for start, end in found
    }
    for name, found in background.items():
        for number, window in enumerate(found):
            assert not any(overlap(window, other) for other in [*others[name], *found[number + 1 :]])
            assert 0 <= window[0] < window[1] <= 20
            assert round(window[1] - window[0], 3) in lengths
    again, _ = find_recordings(dataset, audio, settings=settings)
    assert again == clips
    groups = {one.group for one in clips if one.path.name == "dawn.wav"}
    assert groups == {"dawn.wav"}


def test_every_start_is_equally_likely(audio):
    # Room for starts at 0 to 0.5 s and at 10 to 11.5 s: a quarter of the windows begins in the first gap.
    given = [
        Recording("a", audio / "dawn.wav", "owl", start_s=1.5, end_s=10.0),
        Recording("b", audio / "dawn.wav", "owl", start_s=12.5, end_s=20.0),
        Recording("c", audio / "lost.wav", "owl", start_s=0.0, end_s=1.0),
    ]
    used = [dataclasses.replace(one, left_out="x") for one in given[:2]] + given[2:]
    starts = []
    for number in range(400):
        path = audio / f"{number}.wav"
        path.hardlink_to(audio / "dawn.wav")
        moved = [dataclasses.replace(one, path=path) for one in given[:2]]
        clips = add_background(
            [*moved, given[2]], [*(dataclasses.replace(one, left_out="x") for one in moved), used[2]], audio, 1
        )
        starts += [one.start_s for one in clips if one.path == path and one.label == "background"]
        path.unlink()
    starts = np.array(starts)
    assert len(starts) == 400
    assert np.all((starts <= 0.5) | ((starts >= 10) & (starts <= 11.5)))
    assert abs((starts < 1).mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)
    assert abs(starts[starts > 1].mean() - 10.75) < 4 * 1.5 / np.sqrt(12 * 300)


def test_what_has_no_place_for_a_background_is_refused(audio, tmp_path):
    owl = Recording("a", audio / "dawn.wav", "owl", start_s=0.0, end_s=15.0)
    for clips, at_most, message in (
        ([Recording("a", audio / "dawn.wav", "owl")], 2, "no clip here is a stretch"),
        ([dataclasses.replace(owl, label="background")], 2, "there is one already"),
        ([owl], 2, "found no room between the annotations of 1 recording; the shortest window is 15 s"),
        ([owl], -1, "--background is -1"),
    ):
        with pytest.raises(UserError, match=message):
            add_background(clips, clips, audio, at_most)


def test_a_store_has_the_class_background_with_the_split_of_the_recording(audio, tmp_path):
    table = tmp_path / "birds.csv"
    rows = ["path,label,start_s,end_s,split,site", "dawn.wav,owl,1,2,train,a", "dawn.wav,wren,4,5,train,b"]
    table.write_text("\n".join([*rows, "dusk.wav,owl,1,2,test,c\n"]))
    asked = ["--datasets", f"table:{table}", "--root", str(audio), "--column.further", "site", "--background", "3"]
    toy = ["--upstreams", "tests.extraction.toy:ToyEncoder", "--out", str(tmp_path / "stores"), "--workers", "0"]
    main([*asked, *toy])
    clips = open_store(tmp_path / "stores" / "birds" / "toy").clips
    background = clips.class_name == "background"
    found = list(zip(clips.group[background], clips.split[background], clips.further["site"][background], strict=True))
    assert found == [("dawn.wav", "train", "")] * 3 + [("dusk.wav", "test", "c")] * 3
