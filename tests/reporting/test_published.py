import numpy as np
import pytest

from jfewshot.reporting import paper
from jfewshot.reporting.published import ERROR_METRICS, read_data_csv, superb, superb_score, table3
from jfewshot.statistics import average_ranks


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
    found = paper.score_correlations()
    assert dict(zip(table3().datasets, np.round(found.coefficient[:, 0], 2).tolist(), strict=True)) == PRINTED


def test_correlations_with_superbs_tasks_are_the_printed_ones():
    found, datasets, labels = paper.superb_correlations(), table3().datasets, superb().labels
    assert found.coefficient.shape == (10, 11)
    assert found.coefficient[datasets.index("SCv2"), labels.index("QbE")] == pytest.approx(0.91, abs=0.005)
    assert found.coefficient[datasets.index("VoxCeleb"), labels.index("ASR")] == pytest.approx(-0.23, abs=0.005)
    assert found.coefficient[datasets.index("Watkins"), labels.index("ASR")] == pytest.approx(-0.36, abs=0.005)
    with_logit = paper.superb_correlations(with_logit=True)
    np.testing.assert_allclose(with_logit.coefficient, found.coefficient)


def test_every_claim_is_checked_and_those_that_fail_are_known():
    found = {claim.text: claim for claim in paper.claims()}
    assert len(found) == 14
    assert [text for text, claim in found.items() if not claim.holds] == [
        "the Avg column's intervals follow from the cells'",
        "speech-based few-shot problems correlate strongly with other tasks (abstract)",
    ]
    assert (
        "HuBERT Base 40.04, DistilHuBERT 39.70"
        in found["HuBERT is the best upstream by average, then DistilHuBERT"].found
    )
    assert "HuBERT Base 57.10" in found["an upstream is the new best on SCv2"].found
    assert "PASE+ 39.20" in found["the upstreams are best or competitive on Kaggle18"].found
    assert "SCv2-QbE: Spearman 0.91" in found["SCv2 and QbE correlate most strongly"].found


def test_the_papers_tables_have_all_rows_and_name_the_differences():
    assert len(paper.table_1().rows) == 13
    assert "Mockingjay 21.33 M here, 85.12 M there" in paper.table_1().notes[0]
    assert len(paper.table_2().rows) == 10
    three = paper.table_3()
    assert len(three.rows) == 14
    assert [cell.text for cell in three.rows[1]][-2:] == ["40.04", "4.7"]
    assert any("APC" in note and "360 h" in note for note in paper.notes())
