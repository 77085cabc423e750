"""Along a curve over shots: the report names who changes places, and compares the ranking of few labels with that of many."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from jfewshot.reporting.along_curve import (
    crossovers_grid,
    places_along,
    ranking_along,
    ranking_grid_along,
    sentences_along,
)
from jfewshot.reporting.analysis import analyse
from jfewshot.reporting.answer import find_answer
from jfewshot.reporting.build import Choices, build_report
from jfewshot.reporting.curves_json import curves_json
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.series import AVERAGE, all_series, series_trend
from jfewshot.results import ResultFolder, read_results
from jfewshot.statistics import correct_from_predicted, pool_interval
from tests.reporting.synthetic import write_results

SHOTS = (1, 4, 16)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two datasets, three encoders. "late" guesses most queries with one label and none with 16, so it overtakes "early"."""
    whole = tmp_path_factory.mktemp("whole")
    options = {"shots": SHOTS, "n_episodes": 120, "n_classes": 12, "n_per_class": 24}
    write_results(whole, {"early": 1.3, "late": 0.2, "third": 3.0}, ["esc", "words"], **options)
    read = read_results(whole)
    path = tmp_path_factory.mktemp("results")
    (path / "draws").mkdir()
    folder = ResultFolder(path)
    for record in read.records:
        own = json.loads(json.dumps(record))
        for name in ("format", "format_version", "key", "predictions", "sha256", "draws_sha256"):
            own.pop(name, None)
        predicted = read.predictions(record).copy()
        if record["upstream"]["name"] == "late":
            rng = np.random.default_rng(0)
            share = {1: 0.85, 4: 0.4, 16: 0.0}[record["identity"]["protocol"]["k_shot"]]
            guessed = rng.random(predicted.shape) < share
            predicted[guessed] = rng.integers(0, 5, guessed.sum())
            draws = read.draws(record)
            _, labels = np.unique(draws["class"], return_inverse=True)
            k_shot = record["identity"]["protocol"]["k_shot"]
            right = correct_from_predicted(predicted, 5)
            own["accuracy"] = pool_interval(right, draws["clips"].astype(int), labels, k_shot)._asdict()
        source = whole / "draws" / record["draws"]
        (path / "draws" / record["draws"]).write_bytes(source.read_bytes())
        folder.write_cell(own, predicted)
    folder.close()
    return read_results(path)


@pytest.fixture(scope="module")
def along(results):
    series = all_series(leaderboards(results.records))[0]
    problems: list[str] = []
    main = analyse(results, series.main, problems, ranks=False)
    places = places_along(results, series, main, problems, "classes", 12)
    assert not problems
    return series, main, places


def test_an_encoder_that_overtakes_another_is_named_with_both_leads(results, along):
    _, main, places = along
    assert [one.where for one in places] == [AVERAGE, "esc", "words"]
    average = places[0]
    assert average.shots == SHOTS
    (item,) = [
        one
        for one in average.crossovers
        if {average.upstreams[one.first], average.upstreams[one.second]} == {"early", "late"}
    ]
    assert average.upstreams[item.first] == "early"
    assert item.p_holm < 0.05
    # The leads are the differences of the records' means.
    mean = {
        (r["upstream"]["name"], r["dataset"]["name"], r["identity"]["protocol"]["k_shot"]): r["accuracy"]["mean"]
        for r in results.records
    }
    early, late = (average.shots[place] for place in item.surest)
    lead = np.mean([mean["early", dataset, early] - mean["late", dataset, early] for dataset in ("esc", "words")])
    assert average.differences[item.surest[0]].difference[item.first, item.second] == pytest.approx(lead)
    table = crossovers_grid(places)
    row = next(row for row in table.rows if [c.text for c in row[:3]] == ["Average", "early", "late"])
    assert row[4].text.startswith(f"{100 * lead:.2f} ± ")
    assert row[4].text.endswith(f"({early:g})")
    assert row[-1].text == "more than chance"
    (sentence,) = sentences_along(None, places)
    assert f"early leads late with {early:g} and is behind with {late:g}" in sentence


def test_the_ranking_of_one_label_is_compared_with_that_of_the_most(results, along):
    series, main, places = along
    ranking = ranking_along(series)
    assert ranking.most == 16
    assert list(ranking.agreements) == [1, 4]
    names = sorted({r["upstream"]["name"] for r in results.records})
    for place, dataset in enumerate(ranking.datasets):
        mean = {
            (r["upstream"]["name"], r["identity"]["protocol"]["k_shot"]): r["accuracy"]["mean"]
            for r in results.records
            if r["dataset"]["name"] == dataset
        }
        theirs = stats.spearmanr([mean[n, 1] for n in names], [mean[n, 16] for n in names]).statistic
        assert ranking.agreements[1].coefficient[place] == pytest.approx(theirs)
    table = ranking_grid_along([series])
    assert table.columns == ("Shots", "encoders", *ranking.datasets, "mean over datasets")
    assert [row[0].text for row in table.rows] == ["1 and 16", "4 and 16"]
    text = " ".join(find_answer(series, main, (), places).sentences)
    assert (
        "The ranking with 1 label per class and the ranking with 16 labels per class have a Spearman correlation of "
        in text
    )
    assert "Encoders that change places on average by more than chance: early leads late" in text


def test_curves_have_a_band_for_the_pool_and_one_inside_for_the_episodes(along):
    series, _, _ = along
    trend = series_trend(series)
    for panel in trend.panels:
        for curve in panel.curves:
            assert (np.array(curve.inner) < np.array(curve.half_width)).all()
    assert trend.title.endswith("darker band: for new episodes of these clips")


def test_programs_get_the_same_as_json(along):
    series, _, places = along
    (found,) = json.loads(curves_json([series], places))["series"]
    assert found["shots"] == list(SHOTS)
    points = found["curves"]["esc"]["early"]
    assert [point["shots"] for point in points] == list(SHOTS)
    assert points[0]["mean"] == pytest.approx(series.boards[0].mean[series.boards[0].upstreams.index("early"), 0])
    assert found["rank_agreement"][2]["dataset"] == AVERAGE
    assert found["rank_agreement"][0]["spearman"]["low"] is None  # three encoders
    first = found["crossovers"][0]
    assert first["p_holm"] < 0.05
    assert first["first_lead"]["difference"] > first["first_lead"]["half_width"] > 0
    assert first["first_lead"]["shots"] < first["later_lead"]["shots"]


def test_one_number_of_shots_has_no_curve(results, along):
    series, main, _ = along
    alone = dataclasses.replace(series, boards=(series.main,))
    assert ranking_along(alone) is None
    assert places_along(results, alone, main, [], "classes", 12) == ()
    assert crossovers_grid(()) is None


@pytest.mark.slow
def test_the_page_shows_what_changes_along_the_curve_folded(results, tmp_path):
    build_report(results, tmp_path, Choices(formats=("svg",)), "x")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page.index("The answer") < page.index("From few labels to many")
    for name in ("crossovers", "rank-agreement"):
        assert (tmp_path / "tables" / f"{name}.csv").exists()
    assert json.loads((tmp_path / "exports" / "curves.json").read_text())["series"]
