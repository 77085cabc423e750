"""Damaged tables, annotations, phones, options, suites and contributions."""

import json

import numpy as np

from extraction.datasets import load_dataset
from extraction.datasets.base import Columns
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.commandline.parsing import parse
from jfewshot.downstream.phones.datasets.dirha import sentences_of
from jfewshot.downstream.phones.segments import read_segments
from jfewshot.files.tables import read_table
from jfewshot.options import RunOptions
from jfewshot.reporting.outside import read_outside_table
from jfewshot.suite.board import run_grids
from jfewshot.suite.contribution import contribution_text, read_contribution
from jfewshot.suite.definition import load_suite
from jfewshot.suite.filling import known_digests
from jfewshot.suite.listing import tasks_text
from jfewshot.suite.planning import classifier_of, protocol_of
from jfewshot.suite.validating import validate
from tests.mutations import damaged, damaged_cells, damaged_json
from tests.suite.synthetic import contribution, small_suite, suite_text

TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

0\n8\n<exists>\n1\n"IntervalTier"\n"calls"\n0\n8\n3
0\n0.5\n""\n0.5\n1.25\n"owl"\n1.25\n8\n"wren"
"""
ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="2.8" VERSION="2.8"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv2.8.xsd">
<HEADER><MEDIA_DESCRIPTOR MEDIA_URL="file:///x/dawn.wav" MIME_TYPE="audio/x-wav" TIME_ORIGIN="250" /></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500" /><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250" /></TIME_ORDER>
<TIER TIER_ID="calls" LINGUISTIC_TYPE_REF="default-lt"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>owl</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true" />
</ANNOTATION_DOCUMENT>
"""


class JsonOptions:
    """A file of options in JSON."""

    name = "options.json"
    content = json.dumps(
        {
            "shots": [1, 5],
            "n-query": 3,
            "group_aware": True,
            "memory_gb": 1.5,
            "split": "test",
            "classifiers": ["knn:k=3"],
        }
    ).encode()

    def make(self, folder):
        folder.mkdir()
        (folder / self.name).write_bytes(self.content)

    def damage(self, files, rng):
        raw = rng.random() < 0.4
        changed = damaged(self.content, rng) if raw else damaged_json(json.loads(self.content), rng)[0].encode()
        return {self.name: changed}

    def read(self, folder, sound):
        options = parse(RunOptions, ["--config", str(folder / self.name)])
        for text in options.classifiers or ():
            parse_classifier(text)


class TomlOptions(JsonOptions):
    """A file of options in TOML."""

    name = "options.toml"
    content = (
        b'shots = [1, 5]\nn-query = 3\ngroup_aware = true\nmemory_gb = 1.5\nsplit = "test"\nclassifiers = ["knn:k=3"]\n'
    )

    def damage(self, files, rng):
        return {self.name: damaged(self.content, rng)}


class Scores:
    """A table of scores from elsewhere."""

    name = "scores.csv"
    content = "upstream,wer,score\nalpha,6.4,0.8\nbeta gamma,7.9,0.7\nÉ 2,,0.1\n".encode()

    make = JsonOptions.make

    def damage(self, files, rng):
        raw = rng.random() < 0.5
        return {self.name: damaged(self.content, rng) if raw else damaged_cells(self.content.decode(), rng)}

    def read(self, folder, sound):
        table = read_outside_table(folder / self.name)
        assert table.values.shape == (len(table.upstreams), len(table.metrics))
        assert not np.isinf(table.values).any()


class Labels(Scores):
    """A table of labels, from which `store create` makes a store."""

    name = "labels.csv"
    content = "path,label,group\na/1.wav,owl,s1\na/2.wav,Uhu – ü,s1\nb/3.wav,owl,s2\n".encode()

    def read(self, folder, sound):
        rows = read_table(folder / self.name, ["path", "label"], "give a table")
        assert all(isinstance(cell, str) for row in rows for cell in row.values())


class Phones(Scores):
    """A file of phones with their times."""

    name = "SI1027.PHN"
    content = b"0 2210 h#\n2210 3090 iy\n3090 4000 gcl\n4000 4210 g\n4210 9000 h#\n"

    def damage(self, files, rng):
        return {self.name: damaged(self.content, rng)}

    def read(self, folder, sound):
        segments = read_segments(folder / self.name)
        assert (segments.begin < segments.end).all()
        instants = segments.scored_instants()
        assert len(segments.labels_at(instants, {"iy": 0})) == len(instants)


class Dirha(Phones):
    """DIRHA's description of the sentences of a recording."""

    name = "LA6.xml"
    content = (
        "<?xml version='1.0' encoding='UTF-8'?>\n<ANNOTATION><SOURCE><name>440c0201</name><spk_id>F1</spk_id><gender>f</gender>"
        "<begin_sample>1001</begin_sample><end_sample>52000</end_sample><txt>some words – here</txt></SOURCE></ANNOTATION>\n"
    ).encode()

    def read(self, folder, sound):
        for name, speaker, begin, end in sentences_of(folder / self.name):
            assert name
            assert speaker
            assert 1 <= begin < end


class Annotated(Scores):
    """A file of annotations of a recording, and the recording."""

    def __init__(self, name, content, kind):
        self.name, self.content, self._kind = name, content.encode(), kind

    def make(self, folder):
        import soundfile

        folder.mkdir()
        (folder / self.name).write_bytes(self.content)
        soundfile.write(folder / "dawn.wav", 0.1 * np.random.default_rng(3).standard_normal(800), 100)

    def damage(self, files, rng):
        return files | {self.name: damaged(self.content, rng)}

    def read(self, folder, sound):
        clips = load_dataset(f"{self._kind}:{folder}", Columns(tier="calls")).recordings(folder)
        times = [(one.start_s, one.end_s) for one in clips if one.start_s is not None]
        assert np.isfinite(times).all()
        assert all(isinstance(one.label, str) for one in clips)


class JsonLines(Labels):
    """A table of labels as JSON lines."""

    name = "labels.jsonl"
    content = b'{"path": "a.wav", "label": "owl", "group": 1}\n{"path": "b.wav", "label": "owl", "group": null}\n'

    def damage(self, files, rng):
        lines = self.content.splitlines()
        lines[rng.integers(2)] = damaged_json(json.loads(lines[0]), rng)[0].encode()
        return {self.name: damaged(self.content, rng) if rng.random() < 0.4 else b"\n".join(lines)}


class SuiteFile(JsonOptions):
    """A suite."""

    name = "suite.json"
    content = suite_text(small_suite()).encode()

    def read(self, folder, sound):
        suite = load_suite(folder / self.name)
        tasks_text(suite)
        for track in suite.tracks:
            protocol_of(track, None)
            classifier_of(track)


class ContributedFile(JsonOptions):
    """An encoder's contribution to a suite."""

    name = "contribution.json"
    content = contribution_text(contribution(small_suite())).encode()

    def read(self, folder, sound):
        one, suite = read_contribution(folder / self.name), small_suite()
        found = validate(one, suite, known_digests(suite, [one]))
        if not found.errors:
            list(run_grids(suite, [one]))
        return found.errors
