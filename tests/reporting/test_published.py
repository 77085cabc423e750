import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest

from jfewshot import report
from jfewshot.errors import UserError
from jfewshot.reporting import paper
from jfewshot.reporting.claims import CHECKS, claims, published_facts
from jfewshot.reporting.published import ERROR_METRICS, read_data_csv, superb, superb_score, table3
from jfewshot.statistics import average_ranks, correlations
from tests.reporting.synthetic import write_results


def test_the_average_and_rank_columns_of_table_3_come_out():
    table = table3()
    assert table.accuracy.shape == (14, 10)
    assert np.abs(table.accuracy.mean(axis=1) - table.average).max() < 0.0001  # 0.01 points
    assert np.abs(average_ranks(table.accuracy) - table.average_rank).max() < 0.0501
    np.testing.assert_allclose(average_ranks(table.accuracy, "min"), table.average_rank)


def test_superbs_overall_score_comes_out():
    printed = [1019, 941, 818, 717, 722, 529, 422, 392, 377, 386, 150, 149, 54]
    assert np.round(superb_score(superb())).tolist() == printed
    unrounded = [float(row["superb_score_unrounded"]) for row in read_data_csv("superb.csv")]
    np.testing.assert_allclose(superb_score(superb()), unrounded, atol=0.005)


def test_error_metrics_are_negated():
    scores = superb()
    assert (scores.higher_is_better()[0] < 0).sum() == len(ERROR_METRICS) == 5
    # WavLM, the newest, is better than Mockingjay on all eleven.
    better = scores.higher_is_better()
    assert (better[scores.models.index("WavLM Base")] > better[scores.models.index("Mockingjay")]).all()


PRINTED = {"SCv2": 0.73, "SAA": 0.49, "CommonVoice": 0.54, "VoxCeleb": -0.24, "Crema-D": 0.02}
PRINTED |= {"NSynth": -0.27, "ESC-50": 0.11, "Kaggle18": 0.09, "Watkins": -0.41, "BirdClef": 0.37}


def test_correlations_with_the_overall_score_are_the_printed_ones():
    found = published_facts().with_score()
    assert dict(zip(table3().datasets, np.round(found.coefficient[:, 0], 2).tolist(), strict=True)) == PRINTED


def test_correlations_with_superbs_tasks_are_the_printed_ones():
    found, datasets, labels = published_facts().with_tasks(), table3().datasets, superb().labels
    assert found.coefficient.shape == (10, 11)
    assert found.coefficient[datasets.index("SCv2"), labels.index("QbE")] == pytest.approx(0.91, abs=0.005)
    assert found.coefficient[datasets.index("VoxCeleb"), labels.index("ASR")] == pytest.approx(-0.23, abs=0.005)
    assert found.coefficient[datasets.index("Watkins"), labels.index("ASR")] == pytest.approx(-0.36, abs=0.005)
    with_logit = published_facts().with_tasks(with_logit=True)
    np.testing.assert_allclose(with_logit.coefficient, found.coefficient)


def test_every_claim_is_checked_and_those_that_fail_are_known():
    found = {claim.text: claim for claim in claims()}
    assert len(found) == 20
    assert [text for text, claim in found.items() if not claim.holds] == [
        "the Avg column's intervals follow from the cells'",
        "APC has poorer performance on SCv2",
        "performance on the speech sets varies little over models",
        "for speech other than SCv2, pretraining on LibriSpeech is worse than on environmental sounds (MT-SLVR)",
        "sets that correlate with one of SUPERB's tasks correlate with all",
        "speech-based few-shot problems correlate strongly with other tasks (abstract)",
    ]
    said = {text: claim.found for text, claim in found.items()}
    assert "HuBERT Base 40.04, DistilHuBERT 39.70" in said["HuBERT is the best upstream by average, then DistilHuBERT"]
    assert "above 12 of the 12 encoders with more" in said["APC ranks high, above larger models"]
    assert said["APC has poorer performance on SCv2"].startswith("4th of 14")
    assert "HuBERT Base 57.10" in said["an upstream is the new best on SCv2"]
    assert "PASE+ 39.20" in said["the upstreams are best or competitive on Kaggle18"]
    assert "SCv2 27.3, SAA 5.3, CommonVoice 4.2, VoxCeleb 5.9, Crema-D 3.4; fails for SCv2" in " ".join(said.values())
    assert "29.91: not so on Crema-D" in " ".join(said.values())
    assert "SCv2-QbE: Spearman 0.91" in said["SCv2 and QbE correlate most strongly"]
    assert said["many few-shot and SUPERB tasks are related negatively"].startswith("37 of 110")
    assert "VoxCeleb-SID 0.10, Crema-D-ER -0.04" in said.values()
    assert "true of 2 of 5; not of SAA, VoxCeleb, Crema-D" in said[list(said)[-2]]


def test_the_page_of_reports_has_every_claim_with_its_numbers():
    page = (Path(report.__file__).parents[1] / "docs" / "report.md").read_text("utf-8")
    for claim in claims():
        assert f"| {'yes' if claim.holds else '**no**'} | {claim.text} | {claim.found} |\n" in page


def with_columns(**columns):
    """The published facts with other columns of Table 3: a dataset's accuracies from those of all datasets by name."""
    facts = published_facts()
    names = {name.replace("-", ""): name for name in facts.table.datasets}
    accuracy = facts.table.accuracy.copy()
    for key, column in columns.items():
        accuracy[:, facts.table.datasets.index(names[key])] = column
    return dataclasses.replace(facts, table=dataclasses.replace(facts.table, accuracy=accuracy))


def with_table(**fields):
    facts = published_facts()
    return dataclasses.replace(facts, table=dataclasses.replace(facts.table, **fields))


def at(values, model: str, value: float):
    """A column or list with another value for one model."""
    changed = np.array(values, dtype=float)
    changed[published_facts().table.models.index(model)] = value
    return changed


def column(name: str) -> np.ndarray:
    return published_facts().column(name)


def own_task(metric: str) -> np.ndarray:
    """A metric of SUPERB, for Table 3's rows; the comparison has 0."""
    facts = published_facts()
    values = facts.superb.higher_is_better()[:, facts.superb.labels.index(metric)]
    by_model = dict(zip(facts.superb.models, values, strict=True))
    return np.array([by_model.get(model, 0) for model in facts.table.models])


TURNED = {
    "Avg is the mean over the ten datasets": lambda: with_table(average=table3().average + 0.002),
    "Avg Rank is over all 14 rows, MT-SLVR included": lambda: with_table(average_rank=table3().average_rank + 1),
    "the Avg column's intervals follow from the cells'": lambda: with_table(
        average_ci95=np.sqrt((table3().ci95 ** 2).sum(1)) / 10
    ),
    "HuBERT is the best upstream by average, then DistilHuBERT": lambda: with_table(
        average=at(table3().average, "TERA", 0.9)
    ),
    "APC ranks high, above larger models": lambda: dataclasses.replace(
        with_table(average_rank=at(table3().average_rank, "WavLM Base", 1.0)),
        parameters=dict.fromkeys(table3().models, 1e6) | {"APC": 4e6, "WavLM Base": 94e6},
    ),
    "APC has poorer performance on SCv2": lambda: with_columns(SCv2=at(column("SCv2"), "APC", 0.25)),
    "an upstream is the new best on SCv2": lambda: with_columns(SCv2=at(column("SCv2"), "MT-SLVR", 0.9)),
    "the upstreams are best or competitive on Kaggle18": lambda: with_columns(
        Kaggle18=at(column("Kaggle18"), "MT-SLVR", 0.9)
    ),
    "the upstreams are best or competitive on NSynth": lambda: with_columns(
        NSynth=at(column("NSynth"), "MT-SLVR", 0.9)
    ),
    "the upstreams are best or competitive on BirdClef": lambda: with_columns(
        BirdClef=at(column("BirdClef"), "MT-SLVR", 0.9)
    ),
    "performance on the speech sets varies little over models": lambda: with_columns(SCv2=column("SCv2") / 3),
    "for speech other than SCv2, pretraining on LibriSpeech is worse than on environmental sounds (MT-SLVR)": (
        lambda: with_columns(CremaD=at(column("Crema-D"), "MT-SLVR", 0.31))
    ),
    "SCv2 and QbE correlate most strongly": lambda: with_columns(SCv2=column("SAA"), SAA=column("SCv2")),
    "VoxCeleb and Watkins are negatively correlated with ASR": lambda: with_columns(VoxCeleb=1 - column("VoxCeleb")),
    "many few-shot and SUPERB tasks are related negatively": lambda: with_columns(
        VoxCeleb=1 - column("VoxCeleb"), NSynth=1 - column("NSynth"), Watkins=1 - column("Watkins")
    ),
    "VoxCeleb and Crema-D correlate weakly with SUPERB's own tasks of speakers and emotions": lambda: with_columns(
        VoxCeleb=own_task("SID") / 100
    ),
    "sets that correlate with one of SUPERB's tasks correlate with all": lambda: with_columns(BirdClef=column("SCv2")),
    "SCv2, SAA and Common Voice correlate more with SUPERB than environmental and animal sounds do": lambda: (
        with_columns(SCv2=column("Watkins"), Watkins=column("SCv2"))
    ),
    "speech-based few-shot problems correlate strongly with other tasks (abstract)": lambda: with_columns(
        **dict.fromkeys(("SAA", "CommonVoice", "VoxCeleb", "CremaD"), column("SCv2"))
    ),
    "animal sounds are moderately related to SUPERB": lambda: with_columns(Watkins=column("SCv2")),
}


def test_other_numbers_turn_every_verdict(monkeypatch):
    quick = functools.partial(correlations, n_bootstrap=50, n_permutations=99)
    monkeypatch.setattr("jfewshot.reporting.claims.correlations", quick)
    before = {claim.text: claim for claim in claims()}
    checks = dict(zip(before, CHECKS, strict=True))
    assert set(TURNED) == set(before)
    for text, changed in TURNED.items():
        turned = checks[text](changed())
        assert turned.text == text
        assert turned.holds is not before[text].holds, text
        assert turned.found != before[text].found, text


def test_the_papers_tables_have_all_rows_and_name_the_differences():
    one = paper.table_1()
    assert len(one.rows) == 13
    contradictions, superb_says = one.notes
    assert "DistilHuBERT: 21.32 M parameters are printed, the checkpoint has 27.03 M." in contradictions
    assert "Mockingjay: a network of 12-Trans is printed at 21.33 M parameters" in contradictions
    for name in ("APC", "VQ-APC", "NPC", "DeCoAR 2.0"):
        assert f"{name}: input Raw is printed, the network takes a log-mel filter bank." in contradictions
    assert "WavLM" not in contradictions
    assert "Mockingjay 21.33 M here, 85.12 M there" in superb_says
    two = paper.table_2()
    assert len(two.rows) == 10
    assert two.notes[0] == "All numbers of classes and clips are as printed."
    three = paper.table_3()
    assert len(three.rows) == 14
    assert [cell.text for cell in three.rows[1]][-2:] == ["40.04", "4.7"]
    assert any("APC" in note and "360 h" in note for note in paper.notes())
    assert "are Pearson's of the logits" in paper.notes("pearson", True)[0]


def test_own_results_stand_in_the_papers_tables_and_figures(tmp_path, capsys):
    write_results(tmp_path / "results", {"hubert_base": 0.8, "mine": 0.3}, ["esc50", "scv2"], n_query=1, n_episodes=200)
    out = tmp_path / "report"
    assert report.main(["--paper", "--beside", str(tmp_path / "results"), "--out", str(out), "--formats", "png"]) == 0
    shown = capsys.readouterr().out
    assert "hubert_base (here 1)" in shown
    assert "larger than sampling" in shown
    table = (out / "tables" / "table-3.csv").read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith("hubert_base (here 1)") for line in table) == 1
    assert not any(line.startswith("mine") for line in table)
    assert "rings are your own results" in (out / "index.html").read_text(encoding="utf-8")
    write_results(tmp_path / "others", {"mine": 0.3}, ["esc50"], n_query=1, n_episodes=50)
    with pytest.raises(
        UserError, match="has no 5-way 1-shot result of an encoder and a dataset of the paper's Table 3"
    ):
        report.main(["--paper", "--beside", str(tmp_path / "others"), "--out", str(out)])


def test_the_figures_take_another_coefficient(tmp_path):
    report.main(["--paper", "--correlation", "pearson", "--logit", "--out", str(tmp_path), "--formats", "png"])
    text = (tmp_path / "tables" / "figure-2-correlations.md").read_text(encoding="utf-8")
    assert "Pearson correlation of the logits with SUPERB's tasks" in text
    # SCv2 with IC: the strongest of the logits.
    assert "0.85 \\[" in text
    assert not (tmp_path / "tables" / "figure-2-pearson-logit.md").exists()
