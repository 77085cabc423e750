"""What results say about strengths."""

from jfewshot.reporting.strengths import shares, strength_advice
from tests.reporting.synthetic import record_of


def of(accuracies, upstream="alpha", width=0.01, **protocol):
    """A record for each strength of `logistic`; None is the nearest centroid."""
    found = []
    for strength, mean in accuracies.items():
        classifier = {"name": "centroid", "metric": "euclidean"} if strength is None else {"name": "logistic"}
        accuracy = {"mean": mean, "std": 0.2, "ci95": width, "pool_ci95": 0.05, "pool_ci95_classes_fixed": 0.03}
        found.append(record_of(upstream, classifier=classifier, strength=strength, accuracy=accuracy, **protocol))
    return found


def test_an_accuracy_that_still_rises_at_the_edge_is_told_with_what_to_type():
    (said,) = strength_advice(of({0.1: 0.5, 1.0: 0.55, 10.0: 0.6}) + of({0.1: 0.4, 1.0: 0.55, 10.0: 0.7}, "beta"))
    assert said.startswith(
        "logistic, 5-way 1-shot: accuracy still rises at the largest strength that was tried, C = 10"
    )
    assert "in 2 results (most: beta on esc, 70.0 against 55.0)" in said
    assert "--classifiers logistic:C=auto, or add logistic:C=100,1000." in said


def test_the_other_edge_says_that_the_penalty_is_too_weak():
    (said,) = strength_advice(of({1.0: 0.6, 10.0: 0.5}))
    assert "the smallest strength that was tried, C = 1" in said
    assert "too weak" in said
    assert "logistic:C=0.1,0.01" in said


def test_no_advice_where_the_best_is_inside_the_gain_is_small_or_auto_was_run_too():
    assert strength_advice(of({0.1: 0.5, 1.0: 0.6, 10.0: 0.5})) == []
    assert strength_advice(of({1.0: 0.6, 10.0: 0.605})) == []
    assert strength_advice(of({1.0: 0.5, 10.0: 0.6, "auto": 0.7})) == []
    assert strength_advice(of({1.0: 0.5})) == []


def test_a_centroid_that_beats_every_strength_says_that_c_is_too_small():
    (said,) = strength_advice(of({None: 0.6, 1.0: 0.5}))
    assert said.startswith(
        "logistic, 5-way 1-shot: centroid is better by more than the interval in 1 result (most: alpha"
    )
    assert said.endswith("--classifiers logistic:C=auto.")
    assert strength_advice(of({None: 0.51, 1.0: 0.5})) == []  # 1 point, where the difference is known to 1.4
    assert strength_advice(of({None: 0.6, 1.0: 0.5}, k_shot=5) + of({None: 0.4, 1.0: 0.5})) != []


def test_shares_are_of_the_episodes():
    assert shares([{"value": 0.1, "episodes": 1}, {"value": 10.0, "episodes": 499}]) == "10 (100%)"
    assert shares([{"value": 1.0, "episodes": 25}, {"value": 10.0, "episodes": 75}]) == "1 (25%), 10 (75%)"
