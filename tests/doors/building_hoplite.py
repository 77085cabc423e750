"""Hoplite databases and what their own package reads in them. Needs one of these, in an environment without jfewshot:

    perch-hoplite 1.x                                   builds `one`
    perch-hoplite 0.1.x, with birdnet-analyzer 2.4      builds `zero` and `birdnet`

`python tests/doors/building_hoplite.py FOLDER` writes FOLDER/NAME/database and FOLDER/NAME/expected.json;
`python tests/doors/building_hoplite.py tests/store/containers --zip` writes the fixtures hoplite_NAME.zip.
"""

import importlib.metadata
import json
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
from perch_hoplite.db import sqlite_usearch_impl  # type: ignore[import-not-found]

DIM = 6
WHEN = (2024, 5, 17, 4, 30, 0)  # of the files in an archive, so that it does not change from day to day


def vectors(n, seed):
    """Embeddings; values of float16, and some that float16 rounds."""
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def build_one(folder):
    """The schema of 1.x: names that occur twice, all types of labels, overlapping windows, a window without embedding."""
    from perch_hoplite.db import datatypes  # type: ignore[import-not-found]

    positive, negative, uncertain = (
        datatypes.LabelType.POSITIVE,
        datatypes.LabelType.NEGATIVE,
        datatypes.LabelType.UNCERTAIN,
    )
    config = sqlite_usearch_impl.get_default_usearch_config(DIM)
    database = sqlite_usearch_impl.SQLiteUSearchDB.create(str(folder), config)
    model = {"model_key": "perch_v2", "embedding_dim": DIM}
    inner = {"sample_rate": 32_000, "window_size_s": 5.0, "hop_size_s": 2.5, "model_path": "somewhere"}
    config_dict = type(config)
    database.insert_metadata("model_config", config_dict({**model, "model_config": inner}))
    sites = [database.insert_deployment(name, "forest", latitude=1.5) for name in ("site A", "site B")]
    recordings = [
        database.insert_recording(name, deployment_id=place, mic=mic)
        for name, place, mic in (
            ("day 1/dawn.wav", sites[0], "m1"),
            ("day 1/dawn.wav", sites[1], "m2"),
            ("loose.wav", None, "m1"),
        )
    ]
    database.add_extra_table_column("windows", "quality", float)
    for at, recording in enumerate(recordings):
        for number, vector in enumerate(vectors(8, at)):
            start = 2.5 * number
            given = None if (at, number) == (2, 7) else vector
            database.insert_window(recording, [start, start + 5.0], given, quality=float(number))
    database.remove_window(3)
    a, b, c = recordings
    for recording, start, end, label, kind, source in (
        (a, 0.5, 1.0, "owl", positive, "Ann"),
        (a, 0.6, 1.4, "owl", positive, "Bob"),
        (a, 5.0, 7.5, "007", positive, "Ann"),
        (a, 11.0, 12.0, "wren", positive, "Ann"),
        (a, 11.0, 11.5, "owl", negative, "Ann"),
        (a, 14.0, 16.0, "owl", positive, "Ann"),
        (a, 15.5, 20.0, "wren", positive, "model"),
        (b, 1.0, 2.0, "owl", negative, "Ann"),
        (b, 10.0, 12.5, "wren", positive, "Ann"),
        (b, 17.0, 18.0, "lark – 鳥", uncertain, "Ann"),
        (c, 0.0, 30.0, "lark – 鳥", positive, "Ann"),
    ):
        database.insert_annotation(recording, [start, end], label, kind, source)
    database.commit()
    rows = []
    for window in database.get_all_windows():
        recording = database.get_recording(window.recording_id)
        place = database.get_deployment(recording.deployment_id) if recording.deployment_id else None
        heard = database.get_window_annotations(window.id)
        try:
            embedding = database.get_embedding(window.id).astype(float).tolist()
        except KeyError:
            embedding = None
        rows.append(
            {
                "recording": recording.filename,
                "deployment": place.name if place else "",
                "project": place.project if place else "",
                "mic": recording.mic,
                "quality": window.quality,
                "start_s": window.offsets[0],
                "end_s": window.offsets[1],
                "labels": [[one.label, one.provenance] for one in heard if one.label_type == positive],
                "embedding": embedding,
            }
        )
    database.db.close()
    return rows


def build_zero(folder):
    """The schema of 0.1.x as its own tools fill it: where windows begin, and labels of windows."""
    from perch_hoplite.db import interface  # type: ignore[import-not-found]

    config = sqlite_usearch_impl.get_default_usearch_config(DIM)
    database = sqlite_usearch_impl.SQLiteUsearchDB.create(str(folder), config)
    ids = []
    for source in ("a.wav", "b.wav", "12"):
        for number, vector in enumerate(vectors(4, len(ids))):
            place = interface.EmbeddingSource("reef", source, np.array([5.0 * number]))
            ids.append(database.insert_embedding(vector, place))
    for at, label, kind, source in (
        (0, "shrimp", 1, "Ann"),
        (0, "shrimp", 1, "Bob"),
        (1, "fish", 1, "Ann"),
        (2, "shrimp", 0, "Ann"),
        (4, "fish", 1, "model"),
        (4, "shrimp", 1, "Ann"),
        (5, "fish", 1, "Ann"),
        (8, "shrimp", 1, "Ann"),
    ):
        database.insert_label(interface.Label(ids[at], label, interface.LabelType(kind), source))
    database.commit()
    return read_zero(database)


def build_birdnet(folder):
    """What BirdNET-Analyzer writes: its own functions on two files, with another encoder in place of the network."""
    chunks = types.ModuleType("birdnet_analyzer.analyze.utils")  # the real one loads TensorFlow

    def iterate_audio_chunks(path, embeddings):
        seed = len(Path(path).stem)
        for number in range(4):
            coarse = np.random.default_rng(seed + number).integers(-3, 4, 1024) / 8  # it packs well
            yield 3.0 * number, 3.0 * number + 3.0, coarse

    chunks.iterate_audio_chunks = iterate_audio_chunks  # type: ignore[attr-defined]
    sys.modules[chunks.__name__] = chunks
    from birdnet_analyzer.embeddings import utils  # type: ignore[import-not-found]

    sounds = folder.parent / "sounds"
    for name in ("site 1/dawn.wav", "site 2/evening.wav"):
        (sounds / name).parent.mkdir(parents=True)
        (sounds / name).write_bytes(b"")
    utils.extract_embeddings(str(sounds), str(folder), 0.0, 1.0, 0, 15_000, 1, 1, None)
    shutil.rmtree(sounds)
    return read_zero(sqlite_usearch_impl.SQLiteUsearchDB.create(str(folder)))


def read_zero(database):
    """What the package reads in a database of 0.1.x."""
    rows = []
    for key in database.get_embedding_ids().tolist():
        source = database.get_embedding_source(key)
        offsets = source.offsets.astype(float).tolist()
        heard = database.get_labels(key)
        rows.append(
            {
                "recording": source.source_id,
                "project": source.dataset_name,
                "start_s": offsets[0],
                "end_s": offsets[1] if len(offsets) > 1 else None,
                "labels": [[one.label, one.provenance] for one in heard if one.type.value == 1],
                "embedding": database.get_embedding(key).astype(float).tolist(),
            }
        )
    database.db.close()
    return rows


def main():
    """Build the databases of the version that is installed."""
    version = importlib.metadata.version("perch-hoplite")
    builders = {"one": build_one} if version.startswith("1.") else {"zero": build_zero, "birdnet": build_birdnet}
    out = Path(sys.argv[1])
    for name, build in builders.items():
        folder = out / name
        folder.mkdir(parents=True)
        expected = {"perch-hoplite": version, "windows": build(folder / "database")}
        (folder / "expected.json").write_text(json.dumps(expected))
        if "--zip" in sys.argv:
            with zipfile.ZipFile(out / f"hoplite_{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        about = zipfile.ZipInfo(path.relative_to(folder).as_posix(), WHEN)
                        archive.writestr(about, path.read_bytes(), zipfile.ZIP_DEFLATED)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
