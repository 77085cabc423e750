"""Damaged stores, arrays, statistics, and containers of other programs."""

import contextlib
import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np

from jfewshot.cells.planning import plan_cells
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.preprocessing import fit_transform
from jfewshot.files import canonical_json
from jfewshot.files.arrays import npz_bytes
from jfewshot.printable import printable
from jfewshot.store import open_store, verify_store
from jfewshot.store.__main__ import describe
from jfewshot.store.exporting import export_store
from jfewshot.store.given import load_array
from jfewshot.store.importing import import_store
from jfewshot.store.moments import Moments, moments_of
from jfewshot.store.moments_file import names_of, read_moments, write_moments
from jfewshot.store.view_checks import Wanted, check_view
from tests.fuzzing.folders import sha256
from tests.mutations import damaged, damaged_cells, damaged_json, damaged_npy, damaged_npz
from tests.synthetic_stores import clip_table, make_store

NUMBER = (-2.0, 0.0, np.float32(1e30), np.float16(np.inf))
MOMENTS = ("mean", "deviation", "correlation", "clip_digests", "row_digests")


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


class Container:
    """What another program keeps embeddings in, with one of its files damaged; of text files, values of JSON in most inputs."""

    def __init__(self, fixture=None, exported=None, below=""):
        self._fixture, self._exported, self._below = fixture, exported, below

    def make(self, folder):
        if self._fixture:
            zipped = Path(__file__).parents[1] / "store" / "containers" / f"{self._fixture}.zip"
            with zipfile.ZipFile(zipped) as archive:
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
