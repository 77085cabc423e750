"""Writes a CPU's predictions to a file, and compares a GPU's predictions with them.

A prediction is *clear* if the score of the best class is larger than the second largest score by more than `MARGIN` on the CPU. A
clear prediction must be the same on the GPU. All other predictions are near-ties, which can depend on the order of a sum. If a
near-tie differs, it is only counted. If each episode chooses its strength, the choice can be a near-tie as well. Episodes with
another choice are counted, and their predictions are not compared.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.gpu.stores import SAMPLES, Embeddings, exact, sample
from jfewshot.classifiers.auto import Auto
from jfewshot.classifiers.specs import AUTO, parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.evaluator.devices import episode_mesh
from jfewshot.evaluator.evaluator import Evaluator, Solved
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.evaluator.solver_programs import jit_solve
from jfewshot.files import atomic_write
from jfewshot.randomness import stream_key

MARGIN = 1e-4
CLASSIFIERS = ("logistic", "sgd", "ridge", "svm", "centroid", "knn")
EPISODES = ((5, 1), (5, 5), (20, 5))
# Classifiers whose strength each episode chooses, and episodes with many supports: both use other solvers.
FURTHER_CLASSIFIERS = ("logistic:C=auto", "ridge:alpha=auto", "svm:C=auto")
FURTHER_EPISODES = ((5, 1), (5, 5), (5, 20))
# A small choice of problems, for a test on a CPU.
TINY: dict[str, Any] = {
    "n_episodes": 8,
    "episodes": ((5, 1),),
    "stores": (),
    "classifiers": ("centroid", "ridge"),
    "further": (),
}
_UNIT = Transform("l2", unit_length=True)


class Problem(NamedTuple):
    """Embeddings, a protocol and a classifier, whose predictions the reference holds."""

    store: Embeddings
    protocol: Protocol
    classifier: str

    @property
    def name(self) -> str:
        """Name of the problem's arrays in the file."""
        return f"{self.store.name}|{self.protocol.n_way}x{self.protocol.k_shot}|{self.classifier}"


def problems(
    n_episodes: int = 200,
    episodes=EPISODES,
    classifiers=CLASSIFIERS,
    stores=SAMPLES,
    further=FURTHER_CLASSIFIERS,
    further_episodes=FURTHER_EPISODES,
) -> Iterator[Problem]:
    """Yield every classifier on every kind of episode and every store with enough classes.

    `further` classifiers are combined with `further_episodes` in the same way. Problems with the same compiled program follow
    each other, so that little is compiled.
    """
    loaded = [exact(), *map(sample, stores)]
    pairs = [(episode, classifiers) for episode in episodes] + [(episode, further) for episode in further_episodes]
    for (n_way, k_shot), several in pairs:
        protocol = Protocol(n_way, k_shot, 5, n_episodes)
        for classifier in several:
            for store in loaded:
                if len(np.unique(store.clips.class_name)) >= n_way:
                    yield Problem(store, protocol, classifier)


def predict(problem: Problem, evaluator: Evaluator) -> Solved:
    """Solve a problem with the evaluator."""
    spec = parse_classifier(problem.classifier)
    found = evaluator.evaluate(problem.store.view, problem.store.clips, _UNIT, problem.protocol, [spec])
    return next(iter(found))


def draw_digest(problem: Problem, evaluator: Evaluator) -> str:
    """A digest of the clips that the evaluator draws."""
    clips = evaluator.draw(problem.store.clips, problem.protocol).clips
    return hashlib.sha256(np.ascontiguousarray(clips, np.int32).tobytes()).hexdigest()


def margins(problem: Problem, evaluator: Evaluator) -> np.ndarray:
    """Score of the best class minus score of the second best class, episodes x queries.

    The scores are those of the classifier on inner products that NumPy computes in float64.
    """
    store, protocol = problem.store, problem.protocol
    spec = parse_classifier(problem.classifier)
    used = np.arange(len(store.view))
    transform = _UNIT.with_origin(store.view, used) if spec.classifier.translation_invariant else _UNIT
    x = transform(store.view).astype(np.float64)
    rows = store.clips.first_segment[evaluator.draw(store.clips, protocol).clips]
    n = protocol.n_episodes
    support, query = x[rows[:, :, : protocol.k_shot]], x[rows[:, :, protocol.k_shot :]]
    support, query = (part.reshape(n, -1, x.shape[1]) for part in (support, query))
    # The evaluator's layout: one block of all episodes, the episodes last.
    gram_ss, gram_qs = (
        np.moveaxis(part @ support.swapaxes(1, 2), 0, -1)[None].astype(np.float32) for part in (support, query)
    )
    mesh = episode_mesh(jax.local_devices()[:1])
    classifier = Auto(spec.classifier) if AUTO in spec.strengths else spec.classifier
    solve = jit_solve(mesh, classifier, protocol.n_way, protocol.k_shot, True)
    key = np.asarray(stream_key(protocol.seed, store.clips.digest, "classifier", spec.name))
    strengths = np.array([1.0 if value in (None, AUTO) else value for value in spec.strengths], np.float32)
    scores = solve(gram_ss, gram_qs, np.arange(n, dtype=np.uint32)[None], key, strengths)[0]
    first_and_second = np.sort(np.asarray(scores)[0, 0], axis=1)[:, -2:]
    return (first_and_second[:, 1] - first_and_second[:, 0]).T


def make_reference(path: Path, **choice: Any) -> int:
    """Write predictions, which of them are clear, and digests of the draws. The file is rewritten after every problem.

    Returns:
      The number of problems.
    """
    evaluator = Evaluator()
    arrays: dict[str, Any] = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    for problem in problems(**choice):
        found = predict(problem, evaluator)
        arrays[f"{problem.name}|predicted"] = found.predicted
        if found.chosen is not None:
            arrays[f"{problem.name}|chosen"] = found.chosen
        arrays[f"{problem.name}|clear"] = np.packbits(margins(problem, evaluator) > MARGIN)
        arrays[f"{problem.name}|draws"] = np.array(draw_digest(problem, evaluator))
        with atomic_write(path) as file:
            np.savez_compressed(file, **arrays)
    return sum(name.endswith("|predicted") for name in arrays)


def compare(problem: Problem, reference: dict[str, np.ndarray], evaluator: Evaluator) -> dict[str, Any]:
    """Predict again, and count the differences.

    Raises:
      UserError: if the reference does not hold the problem.
    """
    if f"{problem.name}|predicted" not in reference:
        raise UserError(
            f"the reference has no '{problem.name}'; write the reference again with --make-reference at this commit"
        )
    expected = reference[f"{problem.name}|predicted"]
    clear = np.unpackbits(reference[f"{problem.name}|clear"], count=expected.size).reshape(expected.shape).astype(bool)
    same_draws = draw_digest(problem, evaluator) == str(reference[f"{problem.name}|draws"])
    found = predict(problem, evaluator)
    different = found.predicted != expected
    choices = {}
    if found.chosen is not None:
        other = found.chosen != reference[f"{problem.name}|chosen"]
        different &= ~other[:, None]
        choices = {"different_choices": int(other.sum())}
    return choices | {
        "predictions": int(expected.size),
        "clear": int(clear.sum()),
        "different_clear": int((different & clear).sum()),
        "different_near_ties": int((different & ~clear).sum()),
        "same_draws": bool(same_draws),
    }
