"""Transcribed speech for the tests: tones for words, strung together, by three speakers."""

import csv

import jax
import numpy as np
import pytest

WORDS = {"low": 300.0, "mid": 700.0, "high": 1500.0}


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly():
    """Programs that run once are not worth optimising: the tests take half as long."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """36 utterances of two or three words, 12 of each speaker, with a table."""
    import soundfile

    root = tmp_path_factory.mktemp("tones")
    rng, rows = np.random.default_rng(0), []
    for speaker, pitch in (("ann", 1.1), ("bob", 0.9), ("eve", 1.0)):
        for number in range(12):
            said = rng.choice(list(WORDS), 2 + number % 2).tolist()
            parts = []
            for word in said:
                t = np.arange(int(16_000 * rng.uniform(0.12, 0.16))) / 16_000
                parts += [0.3 * np.sin(2 * np.pi * WORDS[word] * pitch * t), np.zeros(800)]
            wave = np.concatenate(parts) + 0.003 * rng.standard_normal(sum(map(len, parts)))
            name = f"{speaker}-{number}.wav"
            soundfile.write(root / name, wave, 16_000)
            rows.append({"path": name, "text": " ".join(said), "speaker": speaker})
    with open(root / "tones.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "text", "speaker"])
        writer.writeheader()
        writer.writerows(rows)
    return root
