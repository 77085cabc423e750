"""Every file that the project reads, damaged in ways drawn with a fixed seed: used, or refused in one line.

An input is read by the functions that the commands call, without the last handler of the command line. Any error but `UserError`,
a warning, a changed file, or other predictions than those of the sound file fails the test.
"""

import collections
import contextlib
import hashlib
import io
import json
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from extraction.datasets import load_dataset
from extraction.datasets.base import Columns
from extraction.heads.applying import threshold_of
from extraction.heads.words import expected_words, head_words, unknown_words
from extraction.trying.recommended import read_recommended
from jfewshot.cells.planning import plan_cells
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.commandline.parsing import parse
from jfewshot.downstream.phones.datasets.dirha import sentences_of
from jfewshot.downstream.phones.segments import read_segments
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.preprocessing import fit_transform
from jfewshot.files import canonical_json
from jfewshot.files.arrays import npz_bytes
from jfewshot.files.tables import read_table
from jfewshot.heads import fit_head, read_head, write_head
from jfewshot.heads.folder import scoring_digest
from jfewshot.options import RunOptions
from jfewshot.printable import printable
from jfewshot.reporting.analysis import analyse, pairs_grid, ranks_grid
from jfewshot.reporting.chosen import chosen_grid
from jfewshot.reporting.compare import compare_folders, moves_grid
from jfewshot.reporting.exports import model_index, mteb_json, tidy_csv, tidy_rows
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.outside import read_outside_table
from jfewshot.reporting.tables import render
from jfewshot.reporting.trends import trends
from jfewshot.results import ResultFolder, key_of, read_results
from jfewshot.results.lines import line_of
from jfewshot.simclr.export.folder import read_encoder
from jfewshot.store import open_store, verify_store
from jfewshot.store.__main__ import describe
from jfewshot.store.exporting import export_store
from jfewshot.store.given import load_array
from jfewshot.store.importing import import_store
from jfewshot.store.moments import Moments, moments_of
from jfewshot.store.moments_file import names_of, read_moments, write_moments
from jfewshot.store.view_checks import Wanted, check_view
from jfewshot.suite.board import run_grids
from jfewshot.suite.contribution import contribution_text, read_contribution
from jfewshot.suite.definition import load_suite
from jfewshot.suite.filling import known_digests
from jfewshot.suite.listing import tasks_text
from jfewshot.suite.planning import classifier_of, protocol_of
from jfewshot.suite.validating import validate
from tests.mutations import damaged, damaged_cells, damaged_header, damaged_json, damaged_npy, damaged_npz
from tests.reporting.synthetic import write_results
from tests.results.packed import as_version_1
from tests.suite.synthetic import contribution, small_suite, suite_text
from tests.synthetic_stores import clip_table, make_store

NUMBER = (-2.0, 0.0, np.float32(1e30), np.float16(np.inf))
MOMENTS = ("mean", "deviation", "correlation", "clip_digests", "row_digests")
_LONGEST_S = 20.0  # of one input: a hang, and not a busy machine
_LONGEST_LINE = 3_000


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


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def put(folder, files, before=None):
    """Write files, those alone that differ from what is there."""
    before = {} if before is None else before
    for name in before.keys() - files.keys():
        (folder / name).unlink()
    for name, content in files.items():
        if before.get(name) != content:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


class Manifest:
    """A store whose manifest is damaged."""

    def make(self, folder):
        make_store(folder, clip_table(n_segments=2, splits=["train", "train", "test", "test", "test"]), dim=4)

    def damage(self, files, rng):
        text = files["manifest.json"]
        changed = damaged(text, rng) if rng.random() < 0.3 else damaged_json(json.loads(text), rng)[0].encode()
        return files | {"manifest.json": changed}

    def read(self, folder, sound):
        store = open_store(folder)
        json.dumps(dict(store.manifest))
        printable(describe(store))
        protocol = Protocol(n_way=2, k_shot=1, n_query=2, n_episodes=5)
        assert len(class_pool(store.clips, protocol, "it").names) >= 2
        cells = plan_cells([store], [protocol], [parse_classifier("centroid")], views=store.views)
        assert all(cell.key(None) for cell in cells)
        for name in store.views:
            view = check_view(Wanted(store, name, store.clips))
            assert sha256(view.tobytes()) == sha256(view.copy().tobytes())
        return verify_store(folder).errors


class Clips(Manifest):
    """A store whose table of clips is damaged; in most inputs the manifest has the digest of the damaged table."""

    def damage(self, files, rng):
        text = files["clips.csv"]
        changed = damaged(text, rng) if rng.random() < 0.4 else damaged_cells(text.decode(), rng)
        return signed(files | {"clips.csv": changed}, rng)


class Embeddings(Manifest):
    """A store whose array is damaged; in most inputs the manifest has the digest of the damaged array."""

    def damage(self, files, rng):
        data = files["last.mean.npy"]
        return signed(
            files | {"last.mean.npy": damaged(data, rng) if rng.random() < 0.3 else damaged_npy(data, rng)}, rng
        )


def signed(files, rng):
    if rng.random() < 0.2:
        return files
    manifest = json.loads(files["manifest.json"])
    manifest["clips_sha256"] = sha256(files["clips.csv"])
    manifest["views"]["last.mean"]["sha256"] = sha256(files["last.mean.npy"])
    return files | {"manifest.json": json.dumps(manifest).encode()}


class Records:
    """A result folder with a damaged file of records; in most inputs the keys fit what the damaged records say."""

    def make(self, folder):
        write_results(
            folder,
            {"alpha": 0.5, "beta": 1.0},
            ["birds"],
            shots=(1, 2),
            n_query=3,
            n_episodes=20,
            n_classes=6,
            n_per_class=8,
        )

    def damage(self, files, rng):
        name = next(name for name in files if name.startswith("records/"))
        lines = files[name].splitlines(keepends=True)
        if rng.random() < 0.3:
            return files | {name: damaged(files[name], rng)}
        at = int(rng.integers(len(lines)))
        text, value = damaged_json(json.loads(lines[at]), rng)
        if isinstance(value, dict) and isinstance(value.get("identity"), dict):
            with contextlib.suppress(ValueError):  # a surrogate has no digest
                text = line_of(value | {"key": key_of(value["identity"])}).decode()
        lines[at] = text.strip("\n").encode() + b"\n"
        return files | {name: b"".join(lines)}

    def read(self, folder, sound):
        results = read_results(folder)
        problems = list(results.problems)
        again = ResultFolder(folder)
        for record in results.records:
            again.find(record["key"])
            for part in (results.predictions, results.right_of_slot, results.draws):
                try:
                    found = part(record)
                except UserError as error:
                    problems.append(str(error))
                    continue
                expected = sound["predictions"].get(record["key"])
                if part == results.predictions and expected is not None:
                    np.testing.assert_array_equal(found, expected)
        again.close()
        if not results.records:
            raise UserError(problems[0])  # as `jfewshot report` does
        for board in leaderboards(results.records):
            for form in ("terminal", "markdown", "latex", "csv", "json"):
                render(board, form)
            analysis = analyse(results, board, problems)
            pairs_grid(analysis), ranks_grid(analysis)
        trends(results.records)
        chosen_grid(results.records)
        tidy_csv(tidy_rows(results.records))
        model_index(results.records)
        mteb_json(results.records)
        moves_grid(compare_folders(sound["results"], results), "Fuzz")
        return problems


class SingleFiles(Records):
    """A result folder of format version 1 with a damaged record."""

    def make(self, folder):
        super().make(folder)
        as_version_1(folder)

    def damage(self, files, rng):
        names = [name for name in files if name.startswith("cells/")]
        name = names[rng.integers(len(names))]
        raw = rng.random() < 0.4
        changed = damaged(files[name], rng) if raw else damaged_json(json.loads(files[name]), rng)[0].encode()
        return files | {name: changed}


class Predictions(Records):
    """A result folder with a damaged file of predictions; in half of the inputs the records have its digests."""

    def damage(self, files, rng):
        name = next(name for name in files if name.startswith("predictions/"))
        lines = next(name for name in files if name.startswith("records/"))
        changed = damaged(files[name], rng)
        if rng.random() < 0.5:
            records = [json.loads(line) for line in files[lines].splitlines()]
            for record in records:
                block = record["predictions"]
                # Packed again, so that a block is whole and of other values or of another length.
                data = changed[block["offset"] :][: block["bytes"]]
                block["sha256"] = sha256(data)
            files = files | {lines: b"".join(map(line_of, records))}
        return files | {name: changed}

    def read(self, folder, sound):
        return super().read(folder, sound | {"predictions": {}})


class Draws(Records):
    """A result folder with a damaged file of drawn clips."""

    def damage(self, files, rng):
        names = [name for name in files if name.startswith("draws/")]
        name = names[rng.integers(len(names))]
        data = files[name]
        lines = next(name for name in files if name.startswith("records/"))
        if rng.random() < 0.7:
            records = [json.loads(line) for line in files[lines].splitlines()]
            for record in records:
                record.pop("draws_sha256", None)  # as earlier versions wrote them
            files = files | {lines: b"".join(map(line_of, records))}
        return files | {name: damaged(data, rng) if rng.random() < 0.4 else damaged_npz(data, rng)}


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


class GivenArray:
    """An array that `store create` is given."""

    def make(self, folder):
        folder.mkdir()
        np.save(folder / "x.npy", np.arange(120, dtype=np.float32).reshape(30, 4))
        np.savez(folder / "x.npz", x=np.arange(12.0, dtype=np.float32).reshape(3, 4))

    def damage(self, files, rng):
        return {
            "x.npy": damaged(files["x.npy"], rng) if rng.random() < 0.4 else damaged_npy(files["x.npy"], rng),
            "x.npz": damaged(files["x.npz"], rng) if rng.random() < 0.4 else damaged_npz(files["x.npz"], rng),
        }

    def read(self, folder, sound):
        problems = []
        for name in ("x.npy", "x.npz"):
            try:
                load_array(folder / name)
            except UserError as error:
                problems.append(str(error))
        return problems


def damaged_weights(files, described_in, rng):
    """A folder of weights with either file damaged; in most inputs the other has the digest of damaged weights."""
    manifest = json.loads(files[described_in])
    if rng.random() < 0.4:
        weights = files["weights.npz"]
        weights = damaged(weights, rng) if rng.random() < 0.4 else damaged_npz(weights, rng)
        if rng.random() < 0.8:
            manifest["weights_sha256"] = sha256(weights)
        return files | {"weights.npz": weights, described_in: json.dumps(manifest).encode()}
    raw = rng.random() < 0.3
    changed = damaged(files[described_in], rng) if raw else damaged_json(manifest, rng)[0].encode()
    return files | {described_in: changed}


class Encoder:
    """The folder of an exported encoder; in most inputs encoder.json has the digest of the damaged weights."""

    def make(self, folder):
        from jfewshot.simclr.encoder import EncoderConfig
        from jfewshot.simclr.export.folder import EncoderFolder, write_encoder
        from jfewshot.simclr.features import FbankSettings

        arrays = {"a/kernel": np.zeros((4, 3), np.float32), "b/bias": np.zeros(3, np.float32)}
        mean = np.zeros(80, np.float32)
        write_encoder(
            folder, EncoderFolder("tiny", EncoderConfig(), arrays, fbank=FbankSettings(), mean=mean, std=mean + 1)
        )

    def damage(self, files, rng):
        return damaged_weights(files, "encoder.json", rng)

    def read(self, folder, sound):
        read_encoder(folder)


class FittedHead:
    """The folder of a head; in most inputs head.json has the digests of what was damaged."""

    def make(self, folder):
        write_head(folder, fit_head(make_store(folder.parent / "store of a head", clip_table((4, 4, 4))), "knn").head)

    def damage(self, files, rng):
        files = damaged_weights(files, "head.json", rng)
        if rng.random() < 0.2:
            return files
        try:
            manifest = json.loads(files["head.json"])
            manifest["scoring_sha256"] = scoring_digest(manifest)
            return files | {"head.json": json.dumps(manifest).encode()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return files

    def read(self, folder, sound):
        head = read_head(folder)
        head.scores(np.ones((2, len(head.origin)), np.float32))
        head_words(head)
        expected_words(head, (20,))
        unknown_words(head)
        threshold_of("head", head)


class Statistics:
    """A file of statistics; in most inputs its digest is that of what was damaged."""

    def make(self, folder):
        store = make_store(folder.parent / "store of statistics", clip_table((4, 4, 4)), dim=4)
        write_moments(folder / "s.npz", moments_of([store], "last.mean", {"name": "pond"}))

    def damage(self, files, rng):
        data = files["s.npz"]
        if rng.random() < 0.3:
            return {"s.npz": damaged(data, rng)}
        with np.load(io.BytesIO(data)) as archive:
            arrays = dict(archive)
        if rng.random() < 0.6:
            text = damaged_json(json.loads(str(arrays["about"])), rng)[0]
            arrays["about"] = np.array(text.encode("utf-8", "replace").decode())
        else:
            name = MOMENTS[rng.integers(len(MOMENTS))]
            arrays[name] = arrays[name][1:] if rng.random() < 0.3 else arrays[name] * NUMBER[rng.integers(4)]
        with contextlib.suppress(ValueError, TypeError, RecursionError, AttributeError, KeyError):
            about = json.loads(str(arrays["about"]))
            about.pop("format"), about.pop("format_version")
            digest = Moments(about, **{name: arrays[name] for name in MOMENTS}).digest
            arrays["sha256"] = np.array(digest)
        return {"s.npz": npz_bytes(arrays)}

    def read(self, folder, sound):
        moments = read_moments(folder / "s.npz")
        store = open_store(folder.parent / "store of statistics")
        names_of([moments])
        for name in ("whiten_l2", "standardize"):
            transform = fit_transform(name, store, "last.mean", center_from=moments, transductive=True)
            assert len(transform(store.view("last.mean"))) == len(store.clips)
            canonical_json(transform.identity())


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


class TryFolder:
    """What a try recommends."""

    def make(self, folder):
        folder.mkdir()
        found = {
            "encoder": "fbank",
            "load": "fbank",
            "classifier": "knn",
            "view": "last.mean",
            "store": "stores/a/fbank",
        }
        found |= {"format": "jfewshot-try", "shots": 5, "accuracy": 0.8, "segment": "upstream"}
        found |= {"group_from": None, "cautions": ["copies"]}
        (folder / "recommended.json").write_text(json.dumps(found))

    def damage(self, files, rng):
        text = files["recommended.json"]
        changed = damaged(text, rng) if rng.random() < 0.3 else damaged_json(json.loads(text), rng)[0].encode()
        return {"recommended.json": changed}

    def read(self, folder, sound):
        read_recommended(folder)


class Recording:
    """A recording; in half of the inputs the damage is a hostile number in the first hundred bytes, where headers stand."""

    def __init__(self, suffix, subtype=None, rate=16_000, channels=1):
        self._name, self._subtype, self._rate, self._channels = f"sound.{suffix}", subtype, rate, channels

    def make(self, folder):
        import soundfile

        folder.mkdir()
        noise = 0.1 * np.random.default_rng(3).standard_normal((self._rate // 5, self._channels))
        soundfile.write(folder / self._name, noise, self._rate, subtype=self._subtype)

    def damage(self, files, rng):
        data = files[self._name]
        return {self._name: damaged(data, rng) if rng.random() < 0.5 else damaged_header(data, rng)}

    def read(self, folder, sound):
        from jfewshot.audio import decode, duration_s, read_audio

        path = folder / self._name
        before = path.read_bytes()
        wave, rate = decode(path)
        assert wave.ndim == 1
        assert np.isfinite(wave).all()
        # By the header, or by what is there: a lossy coder's last block is the most by which these may differ.
        assert abs(duration_s(path) - len(wave) / rate) <= 0.1 + 0.01 * len(wave) / rate
        assert len(read_audio(path, 8000)) == pytest.approx(len(wave) / rate * 8000, abs=2)
        again, _ = decode(path, content=before)
        if path.suffix == ".mp3":
            # The decoder resynchronises at other places after a damaged frame where it reads from memory.
            assert abs(len(again) - len(wave)) <= 1152
        else:
            np.testing.assert_array_equal(again, wave)


class Container:
    """What another program keeps embeddings in, with one of its files damaged; of text files, values of JSON in most inputs."""

    def __init__(self, fixture=None, exported=None, below=""):
        self._fixture, self._exported, self._below = fixture, exported, below

    def make(self, folder):
        if self._fixture:
            with zipfile.ZipFile(Path(__file__).parent / "store" / "containers" / f"{self._fixture}.zip") as archive:
                for name in archive.namelist():
                    if name.startswith(self._below):
                        (folder / name.removeprefix(self._below)).parent.mkdir(parents=True, exist_ok=True)
                        (folder / name.removeprefix(self._below)).write_bytes(archive.read(name))
            return
        store = make_store(folder.with_name("of_container"), clip_table(n_segments=2), dim=4)
        export_store(store, folder, kind=self._exported)

    def damage(self, files, rng):
        name = sorted(files)[rng.integers(len(files))]
        data = files[name]
        if name.endswith(".json") and json.loads(data) and rng.random() < 0.6:
            return files | {name: damaged_json(json.loads(data), rng)[0].encode()}
        if data.startswith(b"\x93NUMPY") and rng.random() < 0.6:
            return files | {name: damaged_npy(data, rng)}
        return files | {name: damaged(data, rng)}

    def read(self, folder, sound):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            store = import_store(
                sound["elsewhere"], folder, dataset="d", upstream="u", kind=self._kind, unlabelled=True, replace=True
            )
        assert np.isfinite(store.view(store.default_view)[:]).all()

    @property
    def _kind(self):
        return self._exported or self._fixture.partition("_")[0]


KINDS = {
    "manifest": Manifest(),
    "clips": Clips(),
    "embeddings": Embeddings(),
    "records": Records(),
    "single files": SingleFiles(),
    "predictions": Predictions(),
    "draws": Draws(),
    "options in JSON": JsonOptions(),
    "options in TOML": TomlOptions(),
    "scores": Scores(),
    "labels": Labels(),
    "JSON lines": JsonLines(),
    "TextGrid": Annotated("dawn.TextGrid", TEXTGRID, "textgrid"),
    "ELAN": Annotated("dawn.eaf", ELAN, "elan"),
    "CSV": Annotated("dawn.csv", "label,start_s,end_s,low_hz\nowl,0.5,1.25,100\nwren,2,3.5,\n", "csv"),
    "phones": Phones(),
    "DIRHA": Dirha(),
    "given arrays": GivenArray(),
    "encoder": Encoder(),
    "head": FittedHead(),
    "statistics": Statistics(),
    "suite": SuiteFile(),
    "contribution": ContributedFile(),
    "try": TryFolder(),
    "Hoplite": Container("hoplite_one", below="database/"),
    "exported Hoplite": Container(exported="hoplite"),
    "saved dataset": Container(exported="hf"),
    "bacpipe": Container("bacpipe", below="2024-05-17_04-30___birdnet-birds/"),
    "heareval": Container("hear", below="embeddings/encoder/tags-v1/"),
    "WAV": Recording("wav"),
    "FLAC": Recording("flac", rate=22_050),
    "MP3": Recording("mp3"),
    "OGG": Recording("ogg", "VORBIS"),
    "AIFF": Recording("aiff", "PCM_24", channels=2),
}
# Reading and reporting a result folder takes longest.
FEW = {"records": 20, "single files": 8, "predictions": 8, "draws": 10, "options in JSON": 30, "options in TOML": 30}
FEW |= dict.fromkeys(("Hoplite", "exported Hoplite", "saved dataset", "bacpipe", "heareval"), 25)
SLOW = {"records": 1500, "single files": 500, "predictions": 500, "draws": 700}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def one_line(text):
    """What a person reads: one line of bearable length."""
    assert text, "an error without words"
    assert "\n" not in text, text
    assert len(text) < _LONGEST_LINE, text[:500]


def try_inputs(kind, n_inputs, tmp_path, seed):
    """Read damaged inputs of a kind.

    Returns:
      How many were used, used with problems, and refused.
    """
    made, folder, elsewhere = KINDS[kind], tmp_path / "input", tmp_path / "elsewhere"
    made.make(folder)
    original = files_of(folder)
    sound = {"elsewhere": elsewhere, "predictions": {}}
    if isinstance(made, Records):
        put(tmp_path / "sound", original)
        sound["results"] = read_results(tmp_path / "sound")
        sound["predictions"] = {one["key"]: sound["results"].predictions(one) for one in sound["results"].records}
        assert len(sound["predictions"]) == 4
    assert not made.read(folder, sound)  # the sound input is taken as it is
    counts, before = collections.Counter(), original
    for number in range(n_inputs):
        rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), number])
        files = made.damage(original, rng)
        put(folder, files, before)
        started = time.monotonic()
        try:
            problems = made.read(folder, sound) or ()
            outcome = "used with problems" if problems else "used"
        except UserError as error:
            problems, outcome = (str(error),), "refused"
        except Exception as error:
            error.add_note(f"{kind}, input {number} of seed {seed}")
            raise
        for problem in problems:
            one_line(problem)
        assert time.monotonic() - started < _LONGEST_S, f"{kind}, input {number} of seed {seed}"
        before = files_of(folder)
        assert before == files, f"{kind}, input {number} of seed {seed}: a file was changed"
        counts[outcome] += 1
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_used_or_refused_in_one_line(kind, tmp_path):
    n_inputs = FEW.get(kind, 100)
    counts = try_inputs(kind, n_inputs, tmp_path, seed=0)
    assert counts.total() == n_inputs
    assert counts["refused"] + counts["used with problems"] > n_inputs / 10, counts


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_damaged_files_are_used_or_refused_in_one_line(kind, tmp_path, capsys):
    n_inputs = SLOW.get(kind, 800)
    counts = try_inputs(kind, n_inputs, tmp_path, seed=1)
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}: {dict(counts)}\n")
    assert counts.total() == n_inputs
    assert counts["refused"] + counts["used with problems"] > n_inputs / 10, counts
