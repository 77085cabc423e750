"""Damaged encoders, heads, folders of a try, and recordings."""

import json

import numpy as np
import pytest

from extraction.heads.applying import threshold_of
from extraction.heads.words import expected_words, head_words, unknown_words
from extraction.trying.recommended import read_recommended
from jfewshot.heads import fit_head, read_head, write_head
from jfewshot.heads.folder import scoring_digest
from jfewshot.simclr.export.folder import read_encoder
from tests.fuzzing.folders import damaged_weights
from tests.mutations import damaged, damaged_header, damaged_json
from tests.synthetic_stores import clip_table, make_store


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
