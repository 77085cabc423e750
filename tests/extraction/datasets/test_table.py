"""Tables of paths and labels, as pandas, spreadsheets and Hugging Face's hub write them."""

import os

import pandas as pd
import pytest

from extraction.datasets import load_dataset
from extraction.options import LoadingOptions
from extraction.planning import find_recordings
from jfewshot.errors import UserError
from tests.extraction.recordings import write

LABELS = ["owl", "owl", "wren", "wren"]


@pytest.fixture
def root(tmp_path):
    for number in range(1, 5):
        write(tmp_path / "data" / "audio" / f"{number}.wav", number)
    return tmp_path / "data"


def frame(paths="audio/{}.wav", **more):
    return pd.DataFrame({"path": [paths.format(n) for n in range(1, 5)], "label": LABELS, **more})


def read(table, root, unlabelled=False, columns=None):
    return find_recordings(load_dataset(f"table:{table}", *([columns] if columns else [])), root, None, unlabelled)[0]


@pytest.mark.parametrize(
    ("name", "write_table"),
    [
        ("t.csv", lambda p: frame().to_csv(p, index=False)),
        ("t.csv", lambda p: frame().to_csv(p, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")),
        ("t.csv", lambda p: frame().to_csv(p, index=False, sep="\t")),
        ("t.TSV", lambda p: frame().to_csv(p, index=False, sep="\t")),
        ("t.csv", lambda p: frame().to_csv(p, quoting=1)),
        (
            "metadata.jsonl",
            lambda p: frame().rename(columns={"path": "file_name"}).to_json(p, orient="records", lines=True),
        ),
        ("t.parquet", lambda p: frame().astype({"label": "category"}).to_parquet(p)),
        ("t.parquet", lambda p: frame(audio=[{"bytes": b"x" * 10_000, "path": "x"}] * 4).to_parquet(p)),
    ],
)
def test_a_table_is_read_whoever_wrote_it(tmp_path, root, name, write_table):
    write_table(tmp_path / name)
    assert [(r.clip_id, r.label) for r in read(tmp_path / name, root)] == [
        (f"audio/{number}.wav", label) for number, label in enumerate(LABELS, 1)
    ]


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ("audio\\{}.wav", r"the first: 'audio\1.wav'. The path has backslashes, and 'audio/1.wav' is there: write /"),
        (
            "C:\\birds\\{}.wav",
            r"the first: 'C:\birds\1.wav'. 'audio/1.wav' is there: write the paths relative to --root",
        ),
        ("{}.wav", "the first: '1.wav'. 'audio/1.wav' is there: write the paths relative to --root"),
        ("/home/ann/{}.wav", "'audio/1.wav' is there: write the paths relative"),
        ("audio/{}", "'audio/1.wav' is there: write the paths relative"),
        ("data/audio/{}.wav", "It is there relative to the table's own folder: pass --root"),
        ("no/{}.mp3", "Paths are relative to --root: name the folder that holds them"),
    ],
)
def test_where_no_file_is_there_the_first_and_the_likely_fix_are_named(tmp_path, root, paths, said):
    frame(paths).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError) as error:
        read(tmp_path / "t.csv", root)
    assert f"none of the 4 files that {tmp_path / 't.csv'} names is below {root}" in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "write_table", "said"),
    [
        ("t.csv", lambda p: p.write_text("Path,Label\naudio/1.wav,owl\n"), "Did you mean 'Path'? Name the right one with"),
        ("t.csv", lambda p: p.write_text("path,label, Group\naudio/1.wav,owl,a\n"), "has a column ' Group'; rename it to group"),
        ("t.csv", lambda p: p.write_text("path,label\naudio/1.wav,Owl, barn\n"), "line 2 has 3 fields, the header has 2"),
        ("t.csv", lambda p: p.write_text("path,label\n,owl\n"), "line 2 has no path"),
        ("t.csv", lambda p: p.write_text("path,label\naudio/1.wav,owl\naudio/2.wav,\n"), "'audio/2.wav' has no class; label it"),
        ("t.csv", lambda p: p.write_text("path,label\naudio/1.wav,owl\naudio/2.wav, owl\n"), "differ in white space"),
        ("t.jsonl", lambda p: p.write_text('{"path": "audio/1.wav", "label": null}\n'), "'audio/1.wav' has no class"),
        ("t.jsonl", lambda p: p.write_text('{"path": "audio/1.wav", "label": ["a", "b"]}\n'), "is a list"),
        ("t.parquet", lambda p: frame(path=[{"bytes": b"x" * 10_000, "path": "x"}] * 4).to_parquet(p), "holds the audio itself"),
        ("t.parquet", lambda p: frame(path=[b"x" * 10_000] * 4).to_parquet(p), "hf:FOLDER: datasets.load_dataset('parquet'"),
        ("t.parquet", lambda p: frame(path=[[0.0] * 1000] * 4).to_parquet(p), "holds the audio itself"),
        ("t.parquet", lambda p: frame(label=[[0], [0, 1], [], [1]]).to_parquet(p), "name another column with --column.label"),
        ("t.parquet", lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        ("t.parquet", lambda p: p.write_bytes(b"PAR1" + bytes(100)), "is not a whole Parquet file"),
        ("t.csv", lambda p: frame(label=["é", "e", "f", "g"]).to_csv(p, index=False, encoding="latin-1"), "is 'é' in Latin-1"),
        ("t.csv", lambda p: frame().to_csv(p, index=False, encoding="utf-16"), "it is in UTF-16"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_refused_in_a_short_line(tmp_path, root, name, write_table, said):
    write_table(tmp_path / name)
    with pytest.raises(UserError) as error:
        read(tmp_path / name, root)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_clips_without_a_class_are_kept_where_that_is_asked(tmp_path, root):
    frame(group=[None, "s1", "s1", None]).assign(label=["owl", None, "wren", None]).to_csv(
        tmp_path / "t.csv", index=False
    )
    found = read(tmp_path / "t.csv", root, unlabelled=True)
    assert [(r.label, r.group) for r in found] == [("owl", ""), ("", "s1"), ("wren", "s1"), ("", "")]


@pytest.mark.skipif(os.name != "posix", reason="names of files are text elsewhere")
def test_a_file_name_that_is_not_utf_8_is_refused_before_anything_is_encoded(tmp_path):
    write(tmp_path / "owl" / "a.wav", 0)
    os.rename(tmp_path / "owl" / "a.wav", os.fsencode(tmp_path / "owl") + b"/caf\xe9.wav")
    with pytest.raises(UserError, match=r"is not UTF-8 text: b'owl/caf\\xe9\.wav'; rename it"):
        find_recordings(load_dataset("folder:birds"), tmp_path)


def test_a_checkpoint_that_git_lfs_did_not_fetch_is_refused_by_name(tmp_path):
    (tmp_path / "w.pt").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(UserError, match=r"w\.pt is not a checkpoint: it is a Git LFS pointer"):
        LoadingOptions(checkpoint=(str(tmp_path / "w.pt"),)).for_upstreams(["hubert_base"])
