"""Tiers of TextGrids and of ELAN's files: times and labels are those that the programs that wrote them read."""

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from extraction.datasets import load_dataset
from extraction.datasets.base import Columns
from extraction.datasets.tiers import read_elan, read_textgrid
from extraction.planning import find_recordings
from jfewshot.errors import UserError

SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
4
<exists>
1
"IntervalTier"
"calls"
0
4
3
0
0.5
""
0.5
1.25
"owl"
1.25
4
" "
"""


@pytest.fixture
def audio(tmp_path):
    folder = tmp_path / "audio"
    folder.mkdir()
    for name in ("dawn.wav", "dusk.wav"):
        soundfile.write(folder / name, 0.1 * np.random.default_rng(0).standard_normal(4 * 8_000), 8_000)
    return folder


def found(selections):
    return [(one.start_s, one.end_s, one.label) for one in selections]


def test_crowsettas_textgrid_is_read_as_crowsetta_reads_it():
    crowsetta = pytest.importorskip("crowsetta")
    path = Path(crowsetta.__file__).parent / "examples" / "AVO-maea-basic.TextGrid"
    read = crowsetta.formats.seq.TextGrid.from_file(path)
    for tier in ("Samoan", "Gloss"):
        expected = read.to_seq(tier=tier, round_times=False)
        ours = found(read_textgrid(path, Columns(tier=tier)))
        assert ours == list(zip(expected.onsets_s, expected.offsets_s, map(str.strip, expected.labels), strict=True))
        assert len(ours) > 4
    with pytest.raises(UserError, match=r"has 2 tiers \(Samoan, Gloss\); name the one of the classes: --column.tier"):
        list(read_textgrid(path, Columns()))
    with pytest.raises(UserError, match="tier Tones holds points, which have no length; name a tier of intervals"):
        list(read_textgrid(path, Columns(tier="Tones")))
    with pytest.raises(UserError, match="has no tier words; it has Samoan, Gloss, Tones"):
        list(read_textgrid(path, Columns(tier="words")))


@pytest.mark.parametrize("form", ["text", "short text"])
def test_what_praat_writes_is_read_as_praat_reads_it(tmp_path, form):
    call = pytest.importorskip("parselmouth.praat", reason="praat-parselmouth, which is Praat, is not installed").call
    grid = call("Create TextGrid", 0.0, 4.0, "calls tones", "tones")
    for time_s in np.sort(np.random.default_rng(0).uniform(0, 4, 20)):
        call(grid, "Insert boundary", 1, float(time_s))
    for number, text in ((2, 'Übung "a"'), (3, " owl "), (7, "0"), (20, "ʔa")):
        call(grid, "Set interval text", 1, number, text)
    path = tmp_path / "x.TextGrid"
    call(grid, f"Save as {form} file", str(path))  # UTF-16, as Praat writes letters beyond Latin 1
    read = call("Read from file", str(path))
    expected = []
    for number in range(1, call(read, "Get number of intervals", 1) + 1):
        if label := call(read, "Get label of interval", 1, number).strip():
            times = (call(read, f"Get {what} time of interval", 1, number) for what in ("start", "end"))
            expected.append((*times, label))
    ours = list(read_textgrid(path, Columns()))
    assert [label for *_, label in expected] == ['Übung "a"', "owl", "0", "ʔa"]
    assert found(ours) == expected
    assert [one.line for one in ours] == [2, 3, 7, 20]


def test_an_elan_file_is_read_as_its_xml_says(tmp_path, audio):
    eaf = pytest.importorskip("pympi").Eaf()
    eaf.add_linked_file("file:///home/me/film.mp4", mimetype="video/mp4")
    eaf.add_linked_file("file:///home/me/dusk.wav", mimetype="audio/x-wav", time_origin=250)
    eaf.add_tier("calls")
    eaf.add_linguistic_type("about", constraints="Symbolic_Association", timealignable=False)
    eaf.add_tier("kind", "about", "calls")
    for start_ms, end_ms, label in ((1_000, 1_500, "owl"), (0, 700, "wren & owl"), (2_000, 3_001, "")):
        eaf.add_annotation("calls", start_ms, end_ms, label)
    eaf.add_ref_annotation("kind", "calls", 1_200, "song")
    path = tmp_path / "session.eaf"
    eaf.to_file(str(path))

    tree = ElementTree.parse(path)
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in tree.iter("TIME_SLOT")}
    rows = [
        (slots[one.get("TIME_SLOT_REF1")], slots[one.get("TIME_SLOT_REF2")], one.find("ANNOTATION_VALUE").text or "")
        for one in tree.iter("ALIGNABLE_ANNOTATION")
    ]
    expected = [((start + 250) / 1000, (end + 250) / 1000, text) for start, end, text in sorted(rows)]
    assert len(expected) == 3
    assert found(read_elan(path, Columns(tier="calls"))) == expected
    assert found(read_elan(path, Columns(tier="kind"))) == [(1.25, 1.75, "song")]
    with pytest.raises(UserError, match=r"has 2 tiers \(calls, kind\)"):
        list(read_elan(path, Columns()))
    # ELAN leaves out the time of a slot that was never aligned, as in tiers that divide the annotations of another.
    slot = ' TIME_VALUE="3001"'
    (tmp_path / "untimed").mkdir()
    (tmp_path / "untimed" / "dusk.eaf").write_text(path.read_text().replace(slot, ""))
    with pytest.raises(
        UserError, match=r"1 of 3 annotations of the tier calls begin or end at a time slot without a time"
    ):
        list(read_elan(tmp_path / "untimed" / "dusk.eaf", Columns(tier="calls")))
    (tmp_path / "untimed" / "dusk.eaf").unlink()
    clips, left_out = find_recordings(load_dataset(f"elan:{tmp_path}", Columns(tier="calls")), audio)
    assert [(one.clip_id, one.label, one.group) for one in clips] == [
        ("dusk.wav:0.25-0.95", "wren & owl", "dusk.wav"),
        ("dusk.wav:1.25-1.75", "owl", "dusk.wav"),
    ]
    assert left_out == [{"clip_id": "dusk.wav:2.25-3.251", "reason": "has no label (session.eaf, line 3)"}]


def test_clips_of_textgrids_and_a_grid_that_holds_nothing(tmp_path, audio):
    (tmp_path / "dawn.TextGrid").write_text(SHORT)
    (tmp_path / "dusk.TextGrid").write_text(SHORT.replace("owl", ""))
    clips, left_out = find_recordings(load_dataset(f"textgrid:{tmp_path}"), audio)
    assert [(one.clip_id, one.label) for one in clips] == [("dawn.wav:0.5-1.25", "owl")]
    assert left_out == [{"clip_id": "dusk.wav", "reason": "holds no annotation (dusk.TextGrid)"}]


@pytest.mark.parametrize(
    ("kind", "name", "text", "package"),
    [
        ("textgrid", "dawn.TextGrid", SHORT[:-40], "praatio"),
        ("textgrid", "dawn.TextGrid", "", "praatio"),
        ("elan", "dawn.eaf", "<ANNOTATION_DOCUMENT>", "pympi-ling"),
        ("elan", "dawn.eaf", "<A></A>", "pympi-ling"),
    ],
)
def test_a_file_that_cannot_be_read_or_a_package_that_is_missing_ends_in_one_line(
    tmp_path, audio, monkeypatch, kind, name, text, package
):
    (tmp_path / name).write_text(text)
    dataset = load_dataset(f"{kind}:{tmp_path}")
    with pytest.raises(UserError, match=rf"{name} is no .*: {package} says \S|hold no selection"):
        dataset.recordings(audio)
    for module in ("praatio", "pympi", "praatio.textgrid", "pympi.Elan"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UserError,
        match=rf"needs the Python package {package}: pip install {package}, or pip ",
    ):
        dataset.recordings(audio)
