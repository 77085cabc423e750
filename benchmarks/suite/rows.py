"""What the suite measures: questions (classifier, episode, store), rows (a question and a competitor), and grids of rows."""

import dataclasses
import hashlib
import itertools
import json
from typing import Any

OURS = "jfewshot"


@dataclasses.dataclass(frozen=True)
class Question:
    """A problem to solve: a classifier, a kind of episode and a store.

    Attributes:
      classifier: name of jfewshot's classifier. Competitors solve the same problem.
      n_way, k_shot, n_query: sizes of an episode.
      dim: dimension of the embeddings.
      segments: number of segments of the store, one per clip. A store of `ON_DISK` or more segments is read from disk.
      n_episodes: number of episodes that jfewshot solves in one call. Competitors solve the first of these episodes.
    """

    classifier: str = "logistic"
    n_way: int = 5
    k_shot: int = 1
    n_query: int = 15
    dim: int = 768
    segments: int = 400
    n_episodes: int = 10_000

    @property
    def n_support(self) -> int:
        return self.n_way * self.k_shot

    @property
    def n_queries(self) -> int:
        return self.n_way * self.n_query

    @property
    def classes(self) -> tuple[int, int]:
        """Number of classes of the store, and number of clips of each class.

        A store of 400 has 10 x 40 clips, or 20 x 20 for many ways. A large store has 100 clips per class. 20-way 20-shot episodes
        need more clips than a store of 400 has, and get the smallest store that has enough.
        """
        needed = self.k_shot + self.n_query
        per_class = max(100 if self.segments > 2000 else 40 if self.n_way <= 10 else 20, needed)
        return max(self.segments // per_class, self.n_way), per_class

    @property
    def most_episodes(self) -> int:
        """Number of episodes that jfewshot solves in seconds. With many supports, thousands of episodes would take minutes."""
        if self.n_support <= _MANY_SUPPORTS:
            return 10**9
        return 64 if self.classifier == "sgd" else 512

    @property
    def episode(self) -> str:
        """The episode in words, such as 5-way 1-shot, 15 queries."""
        return f"{self.n_way}-way {self.k_shot}-shot, {self.n_query} quer{'y' if self.n_query == 1 else 'ies'}"


_MANY_SUPPORTS = 100

# A store of this many segments stays on disk for all sides. Competitors would need 3 GB or more for a normalised copy in memory.
ON_DISK = 1_000_000


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
      question: the problem.
      competitor: the competitor whose rate is compared with jfewshot's. `OURS` measures jfewshot alone: also its first call, a
        second process, and memory.
    """

    question: Question
    competitor: str = OURS

    def identity(self) -> dict[str, Any]:
        """Everything that the result depends on, except the machine and versions."""
        return {**dataclasses.asdict(self.question), "competitor": self.competitor}

    @property
    def key(self) -> str:
        """Name of the file of the result."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:16]


PER_EPISODE = {
    "logistic": ("scikit-learn", "scikit-learn, all cores", "torch Adam", "torch L-BFGS", "cuML"),
    "sgd": ("scikit-learn", "scikit-learn, all cores"),
    "ridge": ("scikit-learn",),
    "svm": ("scikit-learn",),
    "centroid": ("scikit-learn", "easyfsl"),
    "knn": ("scikit-learn",),
}
BATCHED = {
    "logistic": (
        "torch features",
        "torch features, TF32",
        "torch features, compiled",
        "torch features, CUDA graphs",
        "torch Gram",
        "torch Gram, TF32",
        "torch Gram, compiled",
        "torch Gram, CUDA graphs",
        "torch Gram, episodes last",
        "torch Gram, episodes last, compiled",
        "torch Gram, episodes last, CUDA graphs",
    ),
    "centroid": ("torch features", "torch features, compiled"),
}
# Competitors in the rows that the documentation quotes: scikit-learn, and the PyTorch versions that were fastest, fastest first.
HEADLINE = (
    "torch Gram, episodes last, compiled",
    "torch Gram, compiled",
    "torch Gram",
    "torch features",
    "scikit-learn",
)
# A call of this many episodes measures the solver. A call of the usual 10,000 also measures the fixed cost of a call.
LARGE_CALL = 100_000

# Ways and shots of episodes with many supports. Their operations are not counted, because that would take hours (see
# counting.py).
MANY_SHOTS = ((5, 32), (5, 100), (5, 200), (50, 10))


def competitors_of(classifier: str) -> tuple[str, ...]:
    """All competitors that solve a classifier's problem."""
    return PER_EPISODE[classifier] + BATCHED.get(classifier, ())


def quick_grid() -> list[Row]:
    """One kind of episode for each classifier, with every competitor, which takes minutes."""
    questions = [
        Question("logistic"),
        Question("sgd", n_query=1),
        Question("centroid"),
        Question("ridge"),
        Question("svm"),
        Question("knn"),
    ]
    return [row for question in questions for row in _beside_everybody(question)]


def headline_grid() -> list[Row]:
    """The rows that the documentation quotes, the most important first, because a run may end at its time limit.

    They cover small stores in calls of 10,000 and 100,000 episodes, a store of real size, and many shots.
    """
    rows = [Row(Question(), name) for name in HEADLINE]
    # Slow competitors are left out here: one that solves a few thousand episodes per second is equally fast in calls of any size.
    rows += [Row(Question(n_episodes=LARGE_CALL), name) for name in HEADLINE if "Gram" in name]
    questions = (Question(k_shot=5), Question(segments=300_000), Question(n_way=20, k_shot=5))
    rows += [Row(question, name) for question in questions for name in HEADLINE]
    rows += [Row(Question("logistic", way, shot), "scikit-learn") for way, shot in MANY_SHOTS]
    rows += [Row(Question(k_shot=5, segments=300_000), name) for name in HEADLINE]
    return rows + [Row(Question(classifier, 5, 32), "scikit-learn") for classifier in ("ridge", "svm", "sgd")]


def full_grid() -> list[Row]:
    """Every competitor on the episodes that papers use, on small stores and stores of real size; jfewshot on all episodes."""
    rows = quick_grid()
    for question in (
        Question(n_episodes=LARGE_CALL),
        *(
            Question("logistic", way, shot, query)
            for way, shot, query in ((5, 1, 1), (5, 5, 15), (5, 20, 15), (20, 1, 15), (20, 5, 15))
        ),
        *(Question(dim=dim) for dim in (256, 1024)),
        *(Question(segments=segments) for segments in (20_000, 300_000)),
        *(Question(k_shot=5, segments=segments) for segments in (20_000, 300_000)),
        *(Question("sgd", k_shot=shot, n_query=query) for shot, query in ((1, 15), (5, 1), (5, 15))),
        *(Question(classifier, k_shot=5) for classifier in ("ridge", "svm", "centroid", "knn")),
    ):
        rows += _beside_everybody(question)
    rows += [
        Row(Question(classifier, way, shot), "scikit-learn")
        for (way, shot), classifier in itertools.product(MANY_SHOTS, ("logistic", "ridge", "svm", "sgd"))
    ]
    rows += [
        Row(Question("logistic", way, shot), name)
        for (way, shot), name in itertools.product(MANY_SHOTS, ("torch features", "torch Gram"))
    ]
    rows += [
        Row(Question("logistic", way, shot, query, dim, segments))
        for segments, dim, way, shot, query in itertools.product(
            (400, 20_000, 300_000), (256, 768, 1024), (5, 20), (1, 5, 20), (1, 15)
        )
    ]
    return list(dict.fromkeys(rows))


GRIDS = {"quick": quick_grid, "headline": headline_grid, "full": full_grid}


def _beside_everybody(question: Question) -> list[Row]:
    return [Row(question, name) for name in (OURS, *competitors_of(question.classifier))]
