"""A store described in Croissant: the properties that version 1.0 of the format asks for, and MLCommons' own reader."""

import hashlib
import json

import pytest

from jfewshot.errors import UserError
from jfewshot.store import ClipTable, write_store
from jfewshot.store.__main__ import main
from tests.synthetic_stores import embeddings

FACTS = {
    "name": "birds",
    "licence": "CC BY 4.0",
    "source": "https://example.org/birds",
    "citation": "A. Author. Birds. 2020.",
}


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    folder = tmp_path_factory.mktemp("croissant")
    labels = [f"class {number % 3}" for number in range(9)]
    clips = ClipTable.build([f"clip, {number}" for number in range(9)], labels, further={"site": ["A"] * 9})
    views = {"last.mean": embeddings(clips)}
    write_store(folder / "stores" / "mine", views=views, clips=clips, dataset=FACTS, upstream={"name": "mine"})
    path = folder / "mine.croissant.json"
    assert main(["export", str(folder / "stores" / "mine"), "--out", str(path)]) == 0
    return path


def test_the_description_has_what_the_format_asks_for(described):
    value = json.loads(described.read_text("utf-8"))
    assert value["@type"] == "sc:Dataset"
    assert value["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert (value["license"], value["url"], value["citeAs"]) == tuple(
        FACTS[n] for n in ("licence", "source", "citation")
    )
    assert value["name"] == "birds, embeddings of mine"
    files = {one["@id"]: one for one in value["distribution"]}
    assert set(files) == {"manifest.json", "clips.csv", "last.mean.npy"}
    for one in files.values():
        assert {"@type", "name", "contentUrl", "encodingFormat", "sha256"} <= set(one)
        data = (described.parent / one["contentUrl"]).read_bytes()  # relative to the description
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert one["contentSize"] == f"{len(data)} B"
    (records,) = value["recordSet"]
    columns = (described.parent / files["clips.csv"]["contentUrl"]).read_text("utf-8").splitlines()[0].split(",")
    assert [one["source"]["extract"]["column"] for one in records["field"]] == columns
    assert all(one["source"]["fileObject"] == {"@id": "clips.csv"} for one in records["field"])
    assert columns[-1] == "site"


@pytest.mark.filterwarnings("ignore")  # of mlcroissant's own packages
def test_mlcroissant_validates_the_description_and_reads_the_clips(described):
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=described)
    assert not dataset.metadata.issues.errors
    records = list(dataset.records("clips"))
    assert [one["clips/clip_id"].decode() for one in records] == [f"clip, {number}" for number in range(9)]
    assert [one["clips/class"].decode() for one in records] == [f"class {number % 3}" for number in range(9)]
    assert {one["clips/n_segments"] for one in records} == {1}


def test_a_description_is_of_all_views_and_replaces_nothing(described):
    store = str(described.parent / "stores" / "mine")
    with pytest.raises(UserError, match="is there already"):
        main(["export", store, "--out", str(described)])
    with pytest.raises(UserError, match="leave --views out"):
        main(["export", store, "--out", str(described), "--replace", "--views", "last.mean"])
    with pytest.raises(UserError, match=r"\.parquet or \.npz, or described in \.json"):
        main(["export", store, "--out", "store.txt"])
