"""The report answers first: what it says fits what was put into the results."""

import json
import shutil

import numpy as np
import pytest

from jfewshot.reporting.answer import _with_fewer_labels, answer_of, answer_text
from jfewshot.reporting.build import Choices, build_report
from jfewshot.reporting.labels_needed import needed_labels
from jfewshot.reporting.leaderboard import leaderboards, without_repeats
from jfewshot.reporting.series import across_grid, all_series, average_interval, series_trend
from jfewshot.results import ResultFolder, read_results
from jfewshot.store.verifying import doubled_rows
from tests.reporting.synthetic import record_of, write_results


def answer_to(path, upstreams, datasets=("esc",), **options):
    options = {"n_episodes": 150, "n_classes": 12, **options}
    results = read_results(write_results(path, upstreams, datasets, **options))
    return answer_of(results, leaderboards(results.records))


def said(answer):
    return " ".join(answer.sentences)


def test_one_encoder_with_different_noise_cannot_be_told_apart(tmp_path):
    answer = answer_to(tmp_path, {"first": 0.8, "second": 0.8})
    assert "The two cannot be told apart" in said(answer)
    assert 0.02 < answer.probability.min() < 0.5
    assert "better than first" not in said(answer)
    assert "better than second" not in said(answer)


def test_a_better_encoder_is_named_with_what_it_beats(tmp_path):
    answer = answer_to(tmp_path, {"good": 0.3, "as good": 0.32, "bad": 2.5}, ("esc", "words"), shots=(1, 5))
    first = answer.sentences[0]
    assert first.startswith(("Best: good, ", "Best: as good, "))
    assert "on average over 2 datasets with 5 labels per class" in first
    assert "for new classes and clips; chance is 20%" in first
    assert "It is better than bad (p below 0.05 after Holm)." in said(answer)
    assert answer.probability[-1] < 0.01
    assert answer.probability.sum() == pytest.approx(1)


def with_shuffled_labels(path, upstreams):
    """Results whose predictions are guesses: each query is given to a slot at random."""
    results = read_results(write_results(path / "whole", upstreams, ["esc"], n_episodes=300, n_classes=12))
    folder = ResultFolder(path / "guessed")
    (path / "guessed" / "draws").mkdir(exist_ok=True)
    for number, record in enumerate(results.records):
        rng = np.random.default_rng(number)
        predicted = rng.integers(0, 5, results.predictions(record).shape).astype(np.int8)
        own = json.loads(json.dumps(record))
        for name in ("format", "format_version", "key", "predictions", "sha256", "draws_sha256"):
            own.pop(name, None)
        right = (predicted == np.repeat(np.arange(5), 5)).mean()
        own["accuracy"] = {**own["accuracy"], "mean": float(right), "pool_ci95": 0.02, "pool_ci95_classes_fixed": 0.02}
        shutil.copy(path / "whole" / "draws" / record["draws"], path / "guessed" / "draws")
        folder.write_cell(own, predicted)
    folder.close()
    return read_results(path / "guessed")


def test_guesses_are_called_chance(tmp_path):
    results = with_shuffled_labels(tmp_path, {"alpha": 0.5, "beta": 0.7})
    (sentence,) = answer_of(results, leaderboards(results.records)).sentences
    assert sentence.startswith("None of the encoders is better than chance on esc (20%)")


def test_few_classes_are_taken_as_fixed_and_said_so(tmp_path):
    write_results(tmp_path, {"alpha": 0.5, "beta": 1.5}, ["esc"], n_episodes=150, n_classes=6)
    results = read_results(tmp_path)
    for record in results.records:
        record["counts"]["classes"] = 6
    answer = answer_of(results, leaderboards(results.records))
    assert said(answer).count("for new clips of these classes") == 2
    assert "new classes" not in said(answer)
    assert any("Fewer than 8 classes: esc (6)" in text for text in answer.cautions)


def test_cautions_name_groups_strengths_and_what_did_not_converge(tmp_path):
    results = read_results(
        write_results(tmp_path, {"alpha": 0.5, "beta": 0.9}, ["esc"], strengths=(0.01, 0.1, 1.0), n_episodes=100)
    )
    for record in results.records:
        record["solver"]["not_converged"] = 3
        record["counts"]["classes_left_out"] = [{"class": "owl", "clips": 2}]
    draws = dict(results.draws(results.records[0]))
    draws["group"] = np.array([f"bird {i % 7}" for i in range(len(draws["class"]))])
    object.__setattr__(results, "_draws", lambda *_: draws)
    answer = answer_of(results, leaderboards(results.records))
    text = answer_text(answer)
    assert "Groups were ignored: esc (7 groups, 160 clips)" in text
    assert "--group-aware" in text
    assert "largest strength that was tried, C = 1" in text
    assert "--classifiers logistic:C=auto, or add logistic:C=10,100" in text
    assert "In 2 of 2 results the solver did not converge in some episodes (at the most in 3.0%" in text
    assert "esc: 1 (owl)" in text


def test_equal_embeddings_are_found():
    view = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    assert doubled_rows(view) == []
    view[7] = view[9] = view[3]
    view[11] = view[12] = 0.0  # silence equals silence
    assert doubled_rows(view) == [(3, 7), (3, 9)]


def test_orders_are_those_of_numbers_and_the_recommended_classifier_is_first():
    records = [
        record_of("alpha", k_shot=shots, classifier={"name": name}, strength=strength)
        for shots in (20, 5, 1)
        for name, strength in (("centroid", None), ("svm", 1.0), ("logistic", 10.0), ("logistic", 2.0))
    ]
    titles = [board.title for board in leaderboards(records)]
    assert [title.split(",")[0] for title in titles[:3]] == ["5-way 1-shot", "5-way 5-shot", "5-way 20-shot"]
    assert "logistic, C = 2 " in titles[0]
    assert "logistic, C = 10 " in titles[3]
    every = all_series(leaderboards(records))
    assert every[0].shots == (1, 5, 20)
    assert [series.main.condition["classifier"]["name"] for series in every] == [
        "logistic",
        "logistic",
        "svm",
        "centroid",
    ]
    table = across_grid(every)
    assert table.columns[1:5] == ("1 shot, logistic, C = 2", "5 shots, logistic, C = 2", *table.columns[3:5])
    assert len(table.columns) == 1 + 4 * 3


def test_an_encoder_that_needs_fewer_labels_than_the_best_is_named():
    accuracies = {"best at five": (0.5, 0.75, 0.78), "steeper": (0.4, 0.7, 0.92), "worse": (0.3, 0.5, 0.6)}
    records = [
        record_of(name, "esc", mean, k_shot=shots)
        for name, means in accuracies.items()
        for shots, mean in zip((1, 5, 20), means, strict=True)
    ]
    (series,) = all_series(leaderboards(records))
    (sentence,) = _with_fewer_labels(series, "best at five", needed_labels(series, "best at five"))
    assert sentence.startswith("Others reach this with fewer labels: steeper 80% with 10 (")
    assert "; steeper 90% with 18 (" in sentence
    assert "95%" not in sentence
    assert _with_fewer_labels(series, "steeper", needed_labels(series, "steeper")) == []


def test_columns_of_different_datasets_say_so():
    records = [record_of("alpha", dataset) for dataset in ("birds", "frogs")]
    assert "on average over 2 datasets" in across_grid(all_series(leaderboards(records))).notes[0]
    records.append(record_of("alpha", "frogs", k_shot=5))
    table = across_grid(all_series(leaderboards(records)))
    assert table.columns[1:] == ("1 shot (birds, frogs)", "5 shots (frogs)")
    assert "on average over the datasets of each column" in table.notes[0]
    assert table.notes[1].startswith("Columns are of different datasets")


def test_strengths_that_episodes_chose_come_before_given_ones():
    given = [("centroid", None), ("logistic", 1.0), ("ridge", "auto"), ("svm", "auto"), ("ridge", 0.5)]
    records = [record_of("alpha", k_shot=5, classifier={"name": name}, strength=value) for name, value in given]
    titles = [board.title for board in leaderboards(records)]
    assert [title.split(" · ")[1].split(",")[0] for title in titles] == [
        "ridge",
        "svm",
        "logistic",
        "ridge",
        "centroid",
    ]
    assert all_series(leaderboards(records))[0].main.title == titles[0]


def test_the_same_numbers_are_shown_once(tmp_path):
    results = read_results(write_results(tmp_path, {"alpha": 0.5, "beta": 0.8}, ["esc"], n_episodes=60))
    folder = ResultFolder(tmp_path)
    for record in results.records:
        own = json.loads(json.dumps(record))
        for name in ("format", "format_version", "key", "predictions", "sha256"):
            own.pop(name, None)
        own["identity"] |= {"classifier": {"name": "knn", "k": 1}, "strength": None}
        folder.write_cell(own, results.predictions(record))
    folder.close()
    results = read_results(tmp_path)
    boards = leaderboards(results.records)
    assert len(boards) == 2
    (kept,) = without_repeats(boards)
    assert kept.condition["classifier"]["name"] == "logistic"
    assert "knn, k = 1" in kept.notes[-1]
    assert "gives the same predictions" in kept.notes[-1]
    changed = [dict(record) for record in results.records]
    changed[0]["predictions"] = {**changed[0]["predictions"], "sha256": "0" * 64}
    assert len(without_repeats(leaderboards(changed))) == 2


def test_the_page_answers_before_anything_else_and_folds_the_rest(tmp_path):
    write_results(tmp_path / "r", {"alpha": 0.3, "beta": 1.5}, ["esc"], shots=(1, 5, 20), n_episodes=60, n_per_class=30)
    build_report(read_results(tmp_path / "r"), tmp_path / "out", Choices(formats=("svg",)), "x")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    body = page[page.index("<main>") :]
    places = [body.index(text) for text in ("Best: alpha", "data-chart=", "All encoders, across", "Everything else")]
    assert places == sorted(places)
    assert body.index("<details>") > places[-1]
    assert body.count("<details>") == body.count("</details>") >= 4
    answer = (tmp_path / "out" / "answer.txt").read_text(encoding="utf-8")
    assert answer.startswith("Best: alpha, ")
    assert "Labels per class that alpha needs, on esc, for 80%: 3 (1 to more than 20)" in answer


def test_many_datasets_are_averaged_in_the_figure():
    records = [
        record_of(name, f"set-{number}", 0.5 + 0.01 * shots + 0.02 * number, k_shot=shots)
        for name in ("alpha", "beta")
        for number in range(5)
        for shots in (1, 5)
    ]
    (series,) = all_series(leaderboards(records))
    trend = series_trend(series)
    (panel,) = trend.panels
    assert panel.title == "Average"
    np.testing.assert_allclose(panel.curves[0].mean, [0.55, 0.59])
    np.testing.assert_allclose(panel.curves[0].half_width, [0.05 / np.sqrt(5)] * 2)


def test_intervals_are_those_of_each_dataset_and_the_words_say_so(tmp_path):
    records = [record_of(name, data, 0.5 + 0.1 * (name == "a")) for name in "ab" for data in ("few", "many")]
    for record in records:
        record["counts"]["classes"] = 6 if record["dataset"]["name"] == "few" else 20
    (series,) = all_series(leaderboards(records))
    assert series.intervals == {"few": "pool_ci95_classes_fixed", "many": "pool_ci95"}
    assert series.about == "new clips, and new classes of the datasets with 8 classes or more"
    np.testing.assert_allclose(average_interval(series.main, series.intervals), np.hypot(0.03, 0.05) / 2)
