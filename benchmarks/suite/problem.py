"""The embeddings and episodes of a question, which are the same for all competitors."""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from benchmarks.suite.rows import ON_DISK, Question
from benchmarks.tools.embeddings import Synthetic
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.evaluator.preprocessing import Transform
from jfewshot.files import PARTIAL
from jfewshot.store import ClipTable


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A question with its embeddings and its episodes.

    Attributes:
      question: ways, shots, queries, classifier.
      view: embeddings as stored, segments x dim; a memory map for stores on disk.
      clips: the clip table, with one segment per clip, in the order of the view's rows.
      transform: the preprocessing, which is L2 normalisation.
      protocol: jfewshot's protocol of the episodes.
      support: rows of the supports' embeddings, episodes x n_support, class-major.
      query: rows of the queries' embeddings, episodes x n_queries, class-major.
    """

    question: Question
    view: np.ndarray
    clips: ClipTable
    transform: Transform
    protocol: Protocol
    support: np.ndarray
    query: np.ndarray

    @functools.cached_property
    def embeddings(self) -> np.ndarray | None:
        """All embeddings, normalised and in memory; None if the store is too large and stays on disk."""
        return None if self.question.segments >= ON_DISK else self.transform(self.view)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Normalised embeddings of some rows (rows.shape x dim, float32), from memory or, for a large store, from disk."""
        if self.embeddings is not None:
            return self.embeddings[rows]
        taken = self.transform(self.view[rows.ravel()])
        return taken.reshape(*rows.shape, -1)

    @property
    def targets(self) -> np.ndarray:
        """The class slot of each support of an episode."""
        return np.repeat(np.arange(self.question.n_way), self.question.k_shot)

    def accuracy(self, predicted: np.ndarray) -> float:
        """Share of queries whose predicted class slot is the true one."""
        truth = np.repeat(np.arange(self.question.n_way), self.question.n_query)
        return float((predicted == truth).mean())


def embeddings_file(question: Question, scratch: Path) -> Path:
    """The path of the question's embeddings in the scratch folder, a `.npy` file, which is written if it does not exist."""
    n_classes, per_class = question.classes
    path = scratch / f"embeddings-{n_classes}x{per_class}x{question.dim}.npy"
    if not path.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        labels = np.repeat(np.arange(n_classes), per_class)
        partial = path.with_name(path.name + PARTIAL)
        Synthetic(labels, np.ones(len(labels), np.int64), question.dim).save(partial)
        partial.replace(path)
    return path


def load_problem(question: Question, scratch: Path) -> Problem:
    """Load a question's embeddings and draw its episodes."""
    path = embeddings_file(question, scratch)
    view = np.load(path, mmap_mode="r" if question.segments >= ON_DISK else None)
    n_classes, per_class = question.classes
    labels = np.repeat([f"class {c:05d}" for c in range(n_classes)], per_class)
    clips = ClipTable.build([f"{i:07d}" for i in range(len(labels))], labels)
    protocol = Protocol(question.n_way, question.k_shot, question.n_query, question.n_episodes)
    drawn = Evaluator().draw(clips, protocol).clips.astype(np.int64)
    n = len(drawn)
    return Problem(
        question=question,
        view=view,
        clips=clips,
        transform=Transform("l2", unit_length=True),
        protocol=protocol,
        support=drawn[:, :, : question.k_shot].reshape(n, -1),
        query=drawn[:, :, question.k_shot :].reshape(n, -1),
    )
