"""Computes readouts of a Speech SimCLR encoder, and their few-shot accuracy on the tasks of studies.simclr_development.

A readout is a way to make one embedding of a clip from the encoder's states:

| readout | embedding of a clip |
|---|---|
| A | mean over time of the last layer |
| last | mean and deviation of the last layer, whitened |
| B | mean and deviation of all hidden states side by side, whitened |
| C | mean and deviation of the encoder's filter bank and of its last layer, side by side, whitened |
| FBANK mean, FBANK mean_std | mean, or mean and deviation, of the filter bank alone, not whitened |
| FBANK whitened | mean and deviation of the filter bank alone, whitened |

Whitening is that of `whiten_l2`, with statistics from clips of the pretraining corpus. As in extraction, clips are cut to five
seconds, and shorter clips are repeated to five seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from jfewshot import evaluate_arrays
from jfewshot.audio import read_audio
from jfewshot.evaluator.whitening import SHRINKAGE, whitening_matrix
from jfewshot.files.atomic import atomic_write
from jfewshot.simclr.data import read_utterances
from jfewshot.simclr.data.labelled import read_labelled
from jfewshot.simclr.export import LoadedEncoder
from jfewshot.simclr.features import fbank, normalise

RATE, SEGMENT_S = 16_000, 5
TASKS = {
    "emodb_texts": "words",
    "syllables": "words",
    "synthetic_words": "words",
    "notes": "sounds",
    "emodb_speakers": "voices",
    "held_out_voices": "voices",
}
# The weights follow the sample tasks: two tasks of words, one of sounds, one of voices.
WEIGHTS = {"words": 0.5, "sounds": 0.25, "voices": 0.25}
WHITENED = ("last", "B", "C", "FBANK whitened")
SCORED = ("B", "C")  # the score of a recipe is the mean accuracy of these readouts
SHOTS = (1, 5)
STATISTICS_CLIPS = 800
_ROWS = 32


@dataclass(frozen=True)
class Task:
    """A development task.

    Args:
      name: name of the task.
      rows: rows of the task's clips in `Clips.features`.
      labels: class of each clip.
      n_query: queries of each class in an episode: 15, or fewer if the smallest class has fewer than 20 clips.
    """

    name: str
    rows: slice
    labels: list[str]
    n_query: int


@dataclass(frozen=True)
class Clips:
    """Filter banks of the development tasks and of the clips that give the statistics for whitening.

    Args:
      features: log-mel frames of five seconds of each clip, not normalised.
      tasks: the tasks, with the rows of their clips.
      statistics: rows of the clips that give the statistics for whitening.
    """

    features: Float32[np.ndarray, "clips frames mels"]
    tasks: list[Task]
    statistics: slice


def five_seconds(path: Path) -> Float32[np.ndarray, " samples"]:
    """The first five seconds of a recording. A shorter recording is repeated."""
    return np.resize(read_audio(path, RATE)[: SEGMENT_S * RATE], SEGMENT_S * RATE).astype(np.float32)


def read_clips(development: Path, names: tuple[str, ...] = tuple(TASKS)) -> Clips:
    """Filter banks of all clips, which are kept in DEVELOPMENT/features.npy.

    Args:
      development: folder that studies.simclr_development wrote.
      names: names of the tasks.
    """
    paths: list[Path] = []
    tasks = []
    for name in names:
        found = read_labelled(development / f"{name}.csv", 2)
        labels = [each.class_name for each in found]
        n_query = min(15, min(map(labels.count, set(labels))) - max(SHOTS))
        tasks.append(Task(name, slice(len(paths), len(paths) + len(found)), labels, n_query))
        paths += [each.path for each in found]
    utterances = read_utterances(development / "pretraining.jsonl", 0.3)
    every = max(1, len(utterances) // STATISTICS_CLIPS)
    statistics = slice(len(paths), len(paths) + len(utterances[::every][:STATISTICS_CLIPS]))
    paths += [Path(each.path) for each in utterances[::every][:STATISTICS_CLIPS]]
    kept = development / "features.npy"
    if not kept.exists():
        features = np.concatenate(
            [
                np.asarray(fbank(np.stack([five_seconds(path) for path in paths[start : start + _ROWS]]))[0])
                for start in range(0, len(paths), _ROWS)
            ]
        )
        with atomic_write(kept, "wb") as file:
            np.save(file, features)
    return Clips(np.load(kept, mmap_mode="r"), tasks, statistics)


def mean_std(frames: Any) -> Float32[np.ndarray, "clips pooled"]:
    """Mean and standard deviation over time, side by side."""
    return np.asarray(jnp.concatenate([frames.mean(1), frames.std(1)], axis=1))


def readouts(encoder: LoadedEncoder, features: np.ndarray) -> dict[str, Float32[np.ndarray, "clips dim"]]:
    """Embeddings of clips by readout, before whitening.

    Args:
      encoder: an exported encoder, with its filter bank.
      features: log-mel frames of the clips, (clips, frames, mels).
    """
    folder = encoder.folder
    assert folder.mean is not None
    assert folder.std is not None
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(features), _ROWS):
        of_part = features[start : start + _ROWS]
        padded = np.zeros((_ROWS, *features.shape[1:]), np.float32)
        padded[: len(of_part)] = of_part
        counts = jnp.full(_ROWS, features.shape[1], jnp.int32)
        normal = normalise(jnp.asarray(padded), counts, folder.mean, folder.std)
        states = encoder.hidden_states(normal, counts)
        filter_bank, last = mean_std(normal), mean_std(states[-1])
        found = {
            "A": last[:, : last.shape[1] // 2],
            "last": last,
            "B": mean_std(jnp.concatenate(states, axis=-1)),
            "C": np.concatenate([filter_bank, last], axis=1),
            "FBANK mean": np.asarray(jnp.asarray(padded).mean(1)),
            "FBANK mean_std": mean_std(jnp.asarray(padded)),
            "FBANK whitened": filter_bank,
        }
        for name, rows in found.items():
            parts.setdefault(name, []).append(rows[: len(of_part)])
    return {name: np.concatenate(rows) for name, rows in parts.items()}


def whiten(embeddings: np.ndarray, statistics: np.ndarray) -> Float32[np.ndarray, "clips dim"]:
    """Whiten embeddings by the mean and covariance of the embeddings `statistics`."""
    background = statistics.astype(np.float64)
    matrix = whitening_matrix(np.cov(background.T, bias=True), SHRINKAGE)
    return (embeddings - background.mean(0)).astype(np.float32) @ matrix


def development_scores(encoder: LoadedEncoder, clips: Clips, episodes: int = 600) -> dict[str, Any]:
    """Few-shot accuracy of each readout.

    Args:
      encoder: an exported encoder.
      clips: the clips of the development tasks.
      episodes: number of episodes for each task and number of shots.

    Returns:
      the mean accuracy in percent by readout, task and number of shots, and the score of the recipe.
    """
    embeddings = readouts(encoder, clips.features)
    found: dict[str, Any] = {}
    for name, rows in embeddings.items():
        if name in WHITENED:
            rows = whiten(rows, rows[clips.statistics])
        for task, shots, mean in accuracies(rows, clips.tasks, episodes):
            found.setdefault(name, {}).setdefault(task, {})[str(shots)] = mean
    return {"score": score(found), "accuracy": found}


def accuracies(rows: np.ndarray, tasks: list[Task], episodes: int) -> Iterator[tuple[str, int, float]]:
    for task in tasks:
        records = evaluate_arrays(
            rows[task.rows],
            task.labels,
            classifiers="logistic:C=1",
            shots=SHOTS,
            n_query=task.n_query,
            n_episodes=episodes,
        )
        for record in records:
            yield task.name, record["k_shot"], round(100 * record["accuracy"]["mean"], 2)


def family(accuracy: dict[str, Any], readout: str, kind: str, shots: int) -> float:
    """Mean accuracy over the tasks of a kind (words, sounds, voices), in percent."""
    return float(np.mean([accuracy[readout][task][str(shots)] for task, of in TASKS.items() if of == kind]))


def score(accuracy: dict[str, Any]) -> float:
    """The score by which a recipe is chosen.

    It is the mean over numbers of shots and over the readouts B and C, where words count half, sounds a quarter and voices a
    quarter.
    """
    values = [
        sum(weight * family(accuracy, readout, kind, shots) for kind, weight in WEIGHTS.items())
        for readout in SCORED
        for shots in SHOTS
    ]
    return round(float(np.mean(values)), 2)
