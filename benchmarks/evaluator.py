"""How much faster is the evaluator than scikit-learn, one episode after the other?

    python -m benchmarks.evaluator [--json FILE]

Both get the same embeddings (768-d, L2-normalised, 400 clips of 10 classes) and the same episodes. Ours is counted from
drawing the episodes to the predictions on the host, compilation apart; scikit-learn's from fitting to predicting, on one BLAS
thread (more make it slower on problems of this size), measured on a sample of the episodes. Before anything is timed,
predictions are compared. The two are measured in turns; the ratio is the median over rounds.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from benchmarks.measuring import in_turns, machine, markdown_table, ratio, timed, write_json
from jfewshot.devices import use_all_cores

SGD = {"loss": "log_loss", "alpha": 0.0, "learning_rate": "adaptive", "eta0": 0.1, "tol": 1e-4, "n_iter_no_change": 2}
# (our classifier, ways, shots, queries per class, scikit-learn's, least share of equal predictions; None where it is random)
QUESTIONS = [
    ("logistic", 5, 1, 15, lambda: LogisticRegression(C=1.0), 0.99),
    ("logistic", 5, 1, 1, lambda: LogisticRegression(C=1.0), 0.99),
    ("logistic", 5, 5, 15, lambda: LogisticRegression(C=1.0), 0.99),
    ("logistic", 20, 5, 15, lambda: LogisticRegression(C=1.0), 0.99),
    ("sgd", 5, 1, 1, lambda: SGDClassifier(**SGD, max_iter=100), None),
    ("ridge", 5, 1, 15, lambda: RidgeClassifier(alpha=1.0), 0.99),
    ("svm", 5, 1, 15, lambda: LinearSVC(C=1.0), 0.99),
    ("centroid", 5, 5, 15, NearestCentroid, 0.99),
    ("centroid", 5, 1, 15, lambda: KNeighborsClassifier(1), 0.99),
    ("knn", 5, 1, 15, lambda: KNeighborsClassifier(1), 0.99),
]


def embeddings(n_classes: int, per_class: int, dim: int, seed: int = 0):
    """Clips around class centres around a shared mean: mean cosine about 0.9, as speech encoders' have."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes, 1, dim))
    x = (0.4 * centres + rng.normal(size=(n_classes, per_class, dim))).reshape(-1, dim) / np.sqrt(1.16)
    x = np.sqrt(0.9) * rng.normal(size=dim) + np.sqrt(0.1) * x
    return x.astype(np.float32), np.repeat([f"class {c:03d}" for c in range(n_classes)], per_class)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10_000, help="episodes of ours per round")
    parser.add_argument("--sample", type=int, default=100, help="episodes of scikit-learn's per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="measure the questions about this classifier only")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    options = parser.parse_args()
    use_all_cores()
    before = machine()
    rows = [answer(question, options) for question in QUESTIONS if options.only in (None, question[0])]
    headings = [
        "classifier",
        "episode",
        "ours, episodes/s",
        "scikit-learn, episodes/s",
        "ratio",
        "smallest–largest",
        "agree",
    ]
    print(markdown_table(headings, [_row(row) for row in rows]))
    print(f"\n{before['cores']} cores of {before['processor']}; load before: {before['load_before']}")
    write_json(options.json, {"question": __doc__.splitlines()[0], "machine": before, "rows": rows})


def answer(question, options) -> dict:
    """Measure one question."""
    from jfewshot.classifiers.specs import parse_classifier
    from jfewshot.episodes import Protocol
    from jfewshot.evaluator import Evaluator
    from jfewshot.preprocessing import Transform
    from jfewshot.store import ClipTable

    name, n_way, k_shot, n_query, reference, least = question
    x, labels = embeddings(max(10, n_way), 40, 768)
    clips = ClipTable.build([f"{i:05d}" for i in range(len(x))], labels)
    l2 = Transform("l2", unit_length=True)
    protocol = Protocol(n_way=n_way, k_shot=k_shot, n_query=n_query, n_episodes=options.episodes)
    evaluator = Evaluator()
    spec = [parse_classifier(name)]

    def ours():
        evaluator.forget_draws()
        return next(iter(evaluator.evaluate(x, clips, l2, protocol, spec))).predicted

    predicted = ours()
    drawn = evaluator.draw(clips, protocol).clips.astype(np.int64)
    unit = l2(x)
    slots = np.repeat(np.arange(n_way), k_shot)

    def theirs():
        answers = []
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", UserWarning)
            for episode in drawn[: options.sample]:
                support = unit[episode[:, :k_shot].ravel()]
                answers.append(reference().fit(support, slots).predict(unit[episode[:, k_shot:].ravel()]))
        return np.stack(answers)

    agreement = float((theirs() == predicted[: options.sample]).mean())
    if least is not None and agreement < least:
        raise SystemExit(f"{name}: only {agreement:.1%} of predictions agree with scikit-learn; not worth timing")
    sample = min(options.sample, options.episodes)
    measured = in_turns(
        {"ours": lambda: timed(ours, options.episodes), "theirs": lambda: timed(theirs, sample)}, options.rounds
    )
    median, smallest, largest = ratio(measured["ours"], measured["theirs"])
    return {
        "classifier": name,
        "n_way": n_way,
        "k_shot": k_shot,
        "n_query": n_query,
        "ours_episodes_per_s": float(np.median(measured["ours"])),
        "reference_episodes_per_s": float(np.median(measured["theirs"])),
        "ratio": median,
        "ratio_smallest": smallest,
        "ratio_largest": largest,
        "agreement": agreement,
        "all": measured,
    }


def _row(row: dict) -> list[str]:
    return [
        row["classifier"],
        f"{row['n_way']}-way {row['k_shot']}-shot, {row['n_query']} queries",
        f"{row['ours_episodes_per_s']:,.0f}",
        f"{row['reference_episodes_per_s']:,.0f}",
        f"**{row['ratio']:,.0f}**",
        f"{row['ratio_smallest']:,.0f}–{row['ratio_largest']:,.0f}",
        f"{row['agreement']:.1%}",
    ]


if __name__ == "__main__":
    main()
