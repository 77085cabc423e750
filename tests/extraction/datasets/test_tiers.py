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
    with pytest.raises(UserError, match=r"has 2 tiers \(Samoan, Gloss\); name the tier of the classes: --column.tier"):
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


def elan_file(tiers, slots):
    """An ELAN file by hand: aligned tiers of (start slot, end slot, text), or referring ones of (parent, text, previous)."""
    schema = {"{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation": "EAFv3.0.xsd"}
    root = ElementTree.Element("ANNOTATION_DOCUMENT", schema, FORMAT="3.0", VERSION="3.0", AUTHOR="", DATE="")
    header = ElementTree.SubElement(root, "HEADER", TIME_UNITS="milliseconds", MEDIA_FILE="")
    ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL="file:///dusk.wav", MIME_TYPE="audio/x-wav")
    order = ElementTree.SubElement(root, "TIME_ORDER")
    for slot, value in slots.items():
        time = {} if value is None else {"TIME_VALUE": str(value)}
        ElementTree.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot} | time)
    for tier, rows in tiers.items():
        parent = ElementTree.SubElement(root, "TIER", TIER_ID=tier, LINGUISTIC_TYPE_REF="any")
        for identity, row in rows.items():
            one = ElementTree.SubElement(parent, "ANNOTATION")
            if row[0] in slots:
                names = {"TIME_SLOT_REF1": row[0], "TIME_SLOT_REF2": row[1]}
                found = ElementTree.SubElement(one, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": identity, **names})
                text = row[2]
            else:
                names = {"ANNOTATION_REF": row[0]} | ({"PREVIOUS_ANNOTATION": row[2]} if row[2] else {})
                found = ElementTree.SubElement(one, "REF_ANNOTATION", {"ANNOTATION_ID": identity, **names})
                text = row[1]
            ElementTree.SubElement(found, "ANNOTATION_VALUE").text = text
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="any")
    return ElementTree.tostring(root, encoding="unicode")


DIVIDED = {
    "phrases": {"a1": ("ts1", "ts4", "a phrase"), "a2": ("ts5", "ts6", "another")},
    # Three words of a phrase between its ends, the second and third time left open; the other phrase is one word.
    "words": {
        "a3": ("ts1", "ts2", "oh"),
        "a4": ("ts2", "ts3", "my"),
        "a5": ("ts3", "ts4", "owl"),
        "a6": ("ts5", "ts6", "wren"),
    },
    # The order is that of the references, not of the file.
    "syllables": {"a8": ("a6", "two", "a7"), "a7": ("a6", "one", None), "a9": ("a4", "all", None)},
    "phones": {"a11": ("a8", "z", "a10"), "a10": ("a8", "y", None)},
}
TIMES = {"ts1": 0, "ts2": None, "ts3": None, "ts4": 900, "ts5": 1_000, "ts6": 2_000}


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        ("words", [(0, 0.3, "oh"), (0.3, 0.6, "my"), (0.6, 0.9, "owl"), (1, 2, "wren")]),
        ("syllables", [(0.3, 0.6, "all"), (1, 1.5, "one"), (1.5, 2, "two")]),
        ("phones", [(1.5, 1.75, "y"), (1.75, 2, "z")]),
    ],
)
def test_annotations_without_times_of_their_own_are_equally_long(tmp_path, tier, expected):
    pytest.importorskip("pympi")
    path = tmp_path / "session.eaf"
    path.write_text(elan_file(DIVIDED, TIMES))
    assert found(read_elan(path, Columns(tier=tier))) == expected


def test_times_that_nothing_tells_are_refused(tmp_path):
    pytest.importorskip("pympi")
    path = tmp_path / "session.eaf"
    path.write_text(elan_file(DIVIDED, TIMES | {"ts4": None}))
    with pytest.raises(
        UserError, match=r"3 of 4 annotations of the tier words begin or end at a time slot without a time"
    ):
        list(read_elan(path, Columns(tier="words")))
    # Slots that follow each other in a circle, and annotations that divide themselves.
    circle = {"words": {"a1": ("ts1", "ts2", "x"), "a2": ("ts2", "ts3", "y"), "a3": ("ts3", "ts2", "z")}}
    path.write_text(elan_file(circle, {"ts1": 0, "ts2": None, "ts3": None}))
    with pytest.raises(UserError, match=r"3 of 3 annotations"):
        list(read_elan(path, Columns()))
    path.write_text(elan_file({"words": {"a1": ("a2", "x", None), "a2": ("a1", "y", None)}}, {}))
    with pytest.raises(UserError, match=r"is no ELAN file .* refers to itself"):
        list(read_elan(path, Columns()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (SHORT.partition("<exists>")[0] + "<absent>\n", "has no tiers"),
        (SHORT.partition("0\n4")[0] + "xmin = 0\nxmax = 4\ntiers? <exists>\nsize = 0\n", "has no tiers"),
    ],
)
def test_a_textgrid_without_tiers_is_refused_in_our_words(tmp_path, text, said):
    pytest.importorskip("praatio")
    path = tmp_path / "dawn.TextGrid"
    path.write_text(text)
    with pytest.raises(UserError, match=rf"dawn\.TextGrid {said}; save it again in Praat with a tier of intervals"):
        list(read_textgrid(path, Columns()))


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
    with pytest.raises(UserError, match=rf"{name} is no .*: {package} says \S|hold no selection|{name} is empty; "):
        dataset.recordings(audio)
    for module in ("praatio", "pympi", "praatio.textgrid", "pympi.Elan"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        UserError,
        match=rf"needs the Python package {package}: pip install {package}, or pip ",
    ):
        dataset.recordings(audio)
