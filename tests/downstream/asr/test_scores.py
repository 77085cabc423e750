"""Error rates: counted by hand, and intervals that cover what they promise."""

import numpy as np
import pytest

from jfewshot.downstream.asr.scores import count_errors, interval, metrics_of, resampled_rates
from jfewshot.downstream.asr.summary import Row, Summary
from jfewshot.downstream.asr.units import learn_units
from jfewshot.errors import UserError


def test_errors_are_those_counted_by_hand():
    said = ["the cat sat on the mat", "a dog", "yes"]
    heard = ["the cat sit on mat", "a big dog", ""]
    words = count_errors("WER", said, heard)
    # sat/sit and the lost "the"; the inserted "big"; the lost "yes".
    assert words.errors.tolist() == [2, 1, 1]
    assert words.lengths.tolist() == [6, 2, 1]
    assert words.rate == pytest.approx(4 / 9)
    characters = count_errors("CER", ["abc d", "xy"], ["abd", "xyz"])
    # c/d (or lost), blank and d lost: 3 with "abc d" -> "ab" + "d"; z inserted.
    assert characters.errors.tolist() == [2, 1]
    assert characters.lengths.tolist() == [5, 2]
    assert count_errors("PER", ["sil aa sil"], ["sil ih"]).errors.tolist() == [2]


def test_what_is_reported_depends_on_the_units():
    assert metrics_of(learn_units("characters", ["ab"])) == ("WER", "CER")
    assert metrics_of(learn_units("words", ["ab"])) == ("WER",)
    assert metrics_of(learn_units("phones", ["aa"])) == ("PER",)


def test_intervals_are_those_of_a_ratio_of_means():
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 15, 400)
    errors = rng.binomial(lengths, 0.3).astype(float)
    rates = resampled_rates(errors[None], lengths)
    assert rates.shape == (1, 2000)
    assert resampled_rates(errors[None], lengths, n=250).shape == (1, 250)
    low, high = interval(rates[0])
    rate = errors.sum() / lengths.sum()
    # The delta method: variance of (errors - rate * lengths) over the squared mean length.
    half = 1.96 * np.std(errors - rate * lengths) / lengths.mean() / np.sqrt(len(lengths))
    assert (rate - low, high - rate) == (pytest.approx(half, rel=0.15), pytest.approx(half, rel=0.15))


def test_differences_are_paired_by_utterance():
    rng = np.random.default_rng(1)
    lengths = np.full(300, 10)
    hard = rng.binomial(10, rng.beta(1, 2, 300)).astype(float)  # utterances differ far more than systems
    better = np.maximum(hard - (rng.random(300) < 0.3), 0)
    first, second = resampled_rates(np.stack([hard, better]), lengths)
    low, high = interval(first - second)
    assert 0 < low < (hard - better).mean() / 10 < high
    alone = interval(first)
    assert high - low < 0.3 * (alone[1] - alone[0])


def test_without_jiwer_one_line_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(UserError, match=r"pip install 'jfewshot\[asr\]'"):
        count_errors("WER", ["a"], ["a"])


def test_the_spread_over_seeds_is_of_a_sample():
    def row(errors):
        errors = np.array(errors)
        return Summary(
            Row("fbank", "baseline"),
            "WER",
            "greedy",
            (0, 1),
            ("a", "b"),
            errors,
            np.array([6, 4]),
            np.zeros((0, 3)),
            {},
        )

    one, other = row([[1, 0], [2, 1]]), row([[3, 0], [2, 0]])  # rates 0.1 and 0.3; 0.3 and 0.2
    assert one.over_seeds() == pytest.approx(0.2 / 2**0.5)  # two values: their distance over the root of two
    difference = one.less(other)
    assert difference.by_seed.tolist() == pytest.approx([-0.2, 0.1])
    assert difference.over_seeds == pytest.approx(0.3 / 2**0.5)
