"""Solve a few episodes of many shots in a process of its own, for test_many_shots.py: a solver that hangs can be stopped there.

python -m tests.evaluator.solve_many_shots DEVICES WAYS SHOTS OUT.npz CLASSIFIER...
"""

import sys

import jax
import numpy as np

from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.store import ClipTable

N_QUERY, DIM = 3, 64


def store(n_way: int, k_shot: int) -> tuple[np.ndarray, ClipTable]:
    """Embeddings of unit length and their clips, just enough of them for episodes of such a size."""
    per_class = k_shot + N_QUERY + 1
    rng = np.random.default_rng(n_way * 1000 + k_shot)
    x = rng.normal(size=(n_way, 1, DIM)) * 0.3 + rng.normal(size=(n_way, per_class, DIM))
    x = x.reshape(-1, DIM)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    names = np.repeat([f"class {c:03d}" for c in range(n_way)], per_class)
    return x.astype(np.float32), ClipTable.build([f"{i:05d}" for i in range(len(x))], names)


def main(n_devices: int, n_way: int, k_shot: int, out: str, classifiers: list[str]) -> None:
    """Predictions of every classifier, in the order given, with the clips that were drawn."""
    jax.config.update("jax_num_cpu_devices", n_devices)
    x, clips = store(n_way, k_shot)
    protocol = Protocol(n_way, k_shot, N_QUERY, n_episodes=2 * n_devices)
    evaluator = Evaluator()
    specs = [parse_classifier(name) for name in classifiers]
    solved = evaluator.evaluate(x, clips, Transform("none"), protocol, specs)
    predicted = {name: found.predicted for name, found in zip(classifiers, solved, strict=True)}
    drawn = evaluator.draw(clips, protocol).clips
    np.savez(out, drawn=drawn, **predicted)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
