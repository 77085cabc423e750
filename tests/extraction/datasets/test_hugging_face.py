"""Folders that `datasets` wrote with save_to_disk, read without it: bytes in Arrow files, files beside them, splits, classes."""

import json

import numpy as np
import pytest

from extraction.datasets import load_dataset
from extraction.datasets.base import Columns
from extraction.decoding import decode_clip
from extraction.run import main
from jfewshot.audio import read_audio
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction.recordings import write

datasets = pytest.importorskip(
    "datasets", reason="the package datasets, which writes what is read here, is not installed"
)
pyarrow = pytest.importorskip("pyarrow", reason="the package pyarrow is not installed")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return [write(folder / f"clip{number}.x", number, 0.4, kind=number) for number in range(6)]


def as_dataset(files, outside=()):
    """Rows of (audio, emotion, speaker); the files whose numbers are in `outside` stay files."""
    cells = [
        {"bytes": None if number in outside else path.read_bytes(), "path": str(path)}
        for number, path in enumerate(files)
    ]
    table = pyarrow.table(
        {
            "sound": pyarrow.array(cells, pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})),
            "emotion": [number % 2 for number in range(len(files))],
            "speaker": [number // 2 for number in range(len(files))],
        }
    )
    features = datasets.Features(
        {
            "sound": datasets.Audio(),
            "emotion": datasets.ClassLabel(names=["calm", "angry"]),
            "speaker": datasets.Value("int64"),
        }
    )
    info = datasets.DatasetInfo(features=features, license="CC0")
    return datasets.Dataset(datasets.table.InMemoryTable(table), info=info)


@pytest.fixture(autouse=True)
def _no_bars():
    datasets.disable_progress_bars()


COLUMNS = Columns(label="emotion", group="speaker")


def test_rows_of_several_arrow_files_decode_to_the_recordings(files, tmp_path):
    as_dataset(files, outside=(4,)).save_to_disk(tmp_path / "emotions", num_shards=2)
    dataset = load_dataset(f"hf:{tmp_path / 'emotions'}", COLUMNS)
    assert (dataset.info.name, dataset.info.licence) == ("emotions", "CC0")
    found = dataset.recordings(tmp_path)
    assert [recording.clip_id for recording in found] == [f"{row:08d}" for row in range(6)]
    assert [recording.label for recording in found] == ["calm", "angry"] * 3
    assert [recording.group for recording in found] == ["0", "0", "1", "1", "2", "2"]
    for recording, path in zip(found, files, strict=True):
        decoded = decode_clip(recording.path, [16_000])
        np.testing.assert_array_equal(decoded.waves[16_000], read_audio(path, 16_000))


def test_parts_of_a_dataset_dict_are_splits_and_go_through_the_command_line(files, tmp_path):
    parts = {"train": as_dataset(files[:4]), "valid": as_dataset(files[4:])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "emotions")
    arguments = ["--datasets", f"hf:{tmp_path / 'emotions'}", "--column.label", "emotion", "--column.group", "speaker"]
    arguments += ["--upstreams", "tests.extraction.toy:ToyEncoder", "--out", str(tmp_path / "out"), "--workers", "1"]
    main([*arguments, "--root", str(tmp_path)])
    clips = open_store(tmp_path / "out" / "emotions" / "toy").clips
    assert list(clips.clip_id) == [f"train/{row:08d}" for row in range(4)] + [f"valid/{row:08d}" for row in range(2)]
    assert list(clips.split) == ["train"] * 4 + ["validation"] * 2


def test_cells_that_name_a_file_are_read_from_there(files, tmp_path):
    """save_to_disk puts every file that it finds into the table; earlier versions left paths."""
    as_dataset(files[:3]).save_to_disk(tmp_path / "emotions")
    (data,) = (tmp_path / "emotions").glob("*.arrow")
    table = pyarrow.ipc.open_stream(data.read_bytes()).read_all()
    cells = [{"bytes": None, "path": path} for path in (str(files[0]), "beside.wav", "gone.wav")]
    table = table.set_column(0, "sound", pyarrow.array(cells, table.schema.field("sound").type))
    with pyarrow.ipc.new_stream(data, table.schema) as stream:
        stream.write_table(table)
    beside = write(tmp_path / "emotions" / "beside.wav", 0)
    found = load_dataset(f"hf:{tmp_path / 'emotions'}", COLUMNS).recordings(tmp_path)
    assert [recording.path for recording in found[:2]] == [files[0], beside]
    assert [recording.left_out for recording in found] == ["", "", "file is missing"]


def test_a_damaged_file_is_named(files, tmp_path):
    as_dataset(files).save_to_disk(tmp_path / "emotions")
    (data,) = (tmp_path / "emotions").glob("*.arrow")
    data.write_bytes(b"no arrow")
    with pytest.raises(UserError, match="cannot be read as an Arrow file"):
        load_dataset(f"hf:{tmp_path / 'emotions'}", COLUMNS).recordings(tmp_path)


def with_facts(change):
    """A change of `dataset_info.json`."""

    def changed(folder):
        facts = json.loads((folder / "dataset_info.json").read_text())
        change(facts["features"])
        (folder / "dataset_info.json").write_text(json.dumps(facts))

    return changed


def with_column(name, values):
    """A change of a column of the Arrow file."""

    def changed(folder):
        (data,) = folder.glob("*.arrow")
        table = pyarrow.ipc.open_stream(data.read_bytes()).read_all()
        place = table.column_names.index(name)
        table = table.remove_column(place) if values is None else table.set_column(place, name, pyarrow.array(values))
        with pyarrow.ipc.new_stream(data, table.schema) as stream:
            stream.write_table(table)

    return changed


def with_text(name, text):
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "columns", "said"),
    [
        (with_text("state.json", "[]"), COLUMNS, "state.json holds no JSON object; save the dataset again"),
        (with_text("state.json", "{}"), COLUMNS, "state.json lists no Arrow files in '_data_files'"),
        (with_text("dataset_info.json", '{"features": [1]}'), COLUMNS, "has no valid 'features'"),
        (with_text("dataset_info.json", "{}"), COLUMNS, "has no column of audio; it has no columns"),
        (with_text("dataset_dict.json", "{}"), COLUMNS, "dataset_dict.json lists no splits"),
        (
            with_facts(lambda all_: all_["emotion"].pop("names")),
            COLUMNS,
            "does not name the classes of column 'emotion'",
        ),
        (with_facts(lambda all_: all_["emotion"]["names"].pop()), COLUMNS, "holds class 1, and .* classes 0 to 0"),
        (with_column("emotion", ["calm"] * 6), COLUMNS, "column 'emotion' holds class 'calm', and .* classes 0 to 1"),
        (with_column("speaker", [[1, 2]] * 6), COLUMNS, r"column 'speaker' holds list<.*>, but a class, group, split"),
        (with_column("speaker", [b"a"] * 6), COLUMNS, "column 'speaker' holds binary"),
        (with_column("speaker", None), COLUMNS, "should have one column 'speaker'.*it has sound, emotion"),
        (with_column("sound", ["a.wav"] * 6), COLUMNS, r"column 'sound' holds string, .*type Audio \(bytes and path\)"),
        (lambda folder: None, Columns(audio="speaker", label="emotion"), "column 'speaker' holds int64"),
    ],
)
def test_a_dataset_that_does_not_fit_its_description_is_refused_in_a_line(files, tmp_path, change, columns, said):
    as_dataset(files).save_to_disk(tmp_path / "emotions")
    change(tmp_path / "emotions")
    with pytest.raises(UserError, match=said) as refused:
        load_dataset(f"hf:{tmp_path / 'emotions'}", columns).recordings(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_file_whose_offsets_point_outside_of_its_data_is_refused(files, tmp_path):
    as_dataset(files).save_to_disk(tmp_path / "emotions")
    (data,) = (tmp_path / "emotions").glob("*.arrow")
    cells = pyarrow.ipc.open_stream(data.read_bytes()).read_all().column("sound").combine_chunks().field("bytes")
    offsets = np.frombuffer(cells.buffers()[1], np.int32)[: len(files) + 1]
    broken = offsets + np.array([0] * len(files) + [1 << 30], np.int32)
    whole = data.read_bytes()
    assert whole.count(offsets.tobytes()) == 1
    data.write_bytes(whole.replace(offsets.tobytes(), broken.tobytes()))
    with pytest.raises(UserError, match="cannot be read as an Arrow file"):
        load_dataset(f"hf:{tmp_path / 'emotions'}", COLUMNS).recordings(tmp_path)


def test_a_feature_that_is_a_list_does_not_hide_the_column_of_audio(files, tmp_path):
    """Older versions of `datasets` describe a column of sequences by a list."""
    as_dataset(files).save_to_disk(tmp_path / "emotions")
    path = tmp_path / "emotions" / "dataset_info.json"
    facts = json.loads(path.read_text())
    facts["features"] = {"tags": [{"dtype": "string", "_type": "Value"}], **facts["features"]}
    path.write_text(json.dumps(facts))
    found = load_dataset(f"hf:{tmp_path / 'emotions'}", COLUMNS).recordings(tmp_path)
    assert [recording.label for recording in found] == ["calm", "angry"] * 3


def test_what_is_missing_is_said(files, tmp_path):
    as_dataset(files[:1]).save_to_disk(tmp_path / "emotions")
    with pytest.raises(
        UserError, match=r"has no column 'label'; it has sound, emotion, speaker\. Name .*--column\.label"
    ):
        load_dataset(f"hf:{tmp_path / 'emotions'}").recordings(tmp_path)
    with pytest.raises(UserError, match="save_to_disk of `datasets` wrote"):
        load_dataset(f"hf:{tmp_path}")
