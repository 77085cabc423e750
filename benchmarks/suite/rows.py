"""What is measured: questions (classifier, episode, store), rows (a question put to one competitor), and the grids of rows."""

import dataclasses
import hashlib
import itertools
import json
from typing import Any

OURS = "jfewshot"


@dataclasses.dataclass(frozen=True)
class Question:
    """What is to be solved.

    Attributes:
      classifier: one of ours; competitors solve the same problem.
      n_way, k_shot, n_query: of an episode.
      dim: of the embeddings.
      segments: of the store, one per clip; from `ON_DISK` on it is read from disk as it is needed.
      n_episodes: that ours solves in one go; competitors solve the first of the same.
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
        """Classes of the store, and clips of each: 10 x 40, 20 x 20 for many ways, 100 clips a class in large stores.

        20-way 20-shot episodes need more clips than a store of 400 has, and get the smallest that has enough.
        """
        needed = self.k_shot + self.n_query
        per_class = max(100 if self.segments > 2000 else 40 if self.n_way <= 10 else 20, needed)
        return max(self.segments // per_class, self.n_way), per_class

    @property
    def most_episodes(self) -> int:
        """Episodes that ours solves in seconds; with many supports, thousands of them would take minutes."""
        if self.n_support <= _MANY_SUPPORTS:
            return 10**9
        return 64 if self.classifier == "sgd" else 512

    @property
    def episode(self) -> str:
        """As people say it."""
        return f"{self.n_way}-way {self.k_shot}-shot, {self.n_query} quer{'y' if self.n_query == 1 else 'ies'}"


_MANY_SUPPORTS = 100

# A store of so many segments stays a file for everybody: competitors hold a normalised copy in memory, 3 GB from here on.
ON_DISK = 1_000_000


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
      question: what is solved.
      competitor: whose rate is compared with ours; `OURS` for ours alone, with first call, second process and memory.
    """

    question: Question
    competitor: str = OURS

    def identity(self) -> dict[str, Any]:
        """What its result depends on, machine and versions apart."""
        return {**dataclasses.asdict(self.question), "competitor": self.competitor}

    @property
    def key(self) -> str:
        """Names its file."""
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
# Beside the numbers that people quote: scikit-learn, and PyTorch in the ways that came closest to ours, nearest first.
HEADLINE = (
    "torch Gram, episodes last, compiled",
    "torch Gram, compiled",
    "torch Gram",
    "torch features",
    "scikit-learn",
)
# Calls of so many episodes show the solver; calls of the usual 10,000 also show what one call costs.
LARGE_CALL = 100_000

# Ways and shots of long few-shot curves. Operations are not counted for these: eager loops over a thousand supports take hours.
MANY_SHOTS = ((5, 32), (5, 100), (5, 200), (50, 10))


def competitors_of(classifier: str) -> tuple[str, ...]:
    """Everybody who solves a classifier's problem."""
    return PER_EPISODE[classifier] + BATCHED.get(classifier, ())


def quick_grid() -> list[Row]:
    """One episode for each classifier, beside every competitor; minutes."""
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
    """The numbers that people quote, the most important rows first, so that a run cut off by its time limit has those.

    Small stores in calls of 10,000 and 100,000 episodes, a store of real size, and many shots.
    """
    rows = [Row(Question(), name) for name in HEADLINE]
    # Whoever solves a few thousand episodes a second is as fast in calls of any size.
    rows += [Row(Question(n_episodes=LARGE_CALL), name) for name in HEADLINE if "Gram" in name]
    questions = (Question(k_shot=5), Question(segments=300_000), Question(n_way=20, k_shot=5))
    rows += [Row(question, name) for question in questions for name in HEADLINE]
    rows += [Row(Question("logistic", way, shot), "scikit-learn") for way, shot in MANY_SHOTS]
    rows += [Row(Question(k_shot=5, segments=300_000), name) for name in HEADLINE]
    return rows + [Row(Question(classifier, 5, 32), "scikit-learn") for classifier in ("ridge", "svm", "sgd")]


def full_grid() -> list[Row]:
    """Every competitor on the episodes that papers use, on small stores and on stores of real size, and ours on everything."""
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
