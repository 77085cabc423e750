"""The language model's table is KenLM's model: every transcript gets KenLM's own score."""

import itertools
import math

import numpy as np
import pytest

from jfewshot.downstream.asr.language_model import lm_text, read_language_model
from jfewshot.downstream.asr.units import learn_units
from jfewshot.errors import UserError

# A trigram model with holes, so that KenLM backs off.
ARPA = """\\data\\
ngram 1=6
ngram 2=5
ngram 3=3

\\1-grams:
-1.2\t<unk>\t0
0\t<s>\t-0.3
-0.9\t</s>\t0
-0.7\ta\t-0.25
-0.8\tb\t-0.15
-1.1\t<space>\t-0.35

\\2-grams:
-0.4\t<s> a\t-0.2
-0.3\ta b\t-0.1
-0.5\tb <space>\t-0.12
-0.35\t<space> a\t-0.08
-0.6\tb </s>

\\3-grams:
-0.2\t<s> a b
-0.25\ta b </s>
-0.15\tb <space> a

\\end\\
"""


@pytest.fixture
def arpa(tmp_path):
    pytest.importorskip("kenlm", reason="kenlm is not installed: pip install 'jfewshot[lm]'")
    path = tmp_path / "units.arpa"
    path.write_text(ARPA)
    return path


def test_every_transcript_has_kenlm_s_score(arpa):
    import kenlm

    units = learn_units("characters", ["ab c"])  # the model does not know c
    table, model = read_language_model(arpa, units), kenlm.Model(str(arpa))
    for size in range(5):
        for text in itertools.product(range(1, len(units)), repeat=size):
            state, total = 0, 0.0
            for unit in text:
                total += table.log_probs[state, unit]
                state = table.following[state, unit]
            total += table.log_probs[state, 0]
            assert total == pytest.approx(model.score(lm_text(units, list(text))) * math.log(10), abs=1e-4)
    # The beginning; a, b, space, none of them; and the four pairs that begin a trigram or pair of the model.
    assert len(table.log_probs) == 9
    assert table.following.max() < len(table.log_probs)


def test_what_is_no_model_of_these_units_is_named(arpa, tmp_path):
    with pytest.raises(UserError, match="knows none of the units"):
        read_language_model(arpa, learn_units("words", ["one two"]))
    with pytest.raises(UserError, match="is not there; give an ARPA file"):
        read_language_model(tmp_path / "none.arpa", learn_units("words", ["a b"]))
    (tmp_path / "bad.arpa").write_text("no model\n")
    with pytest.raises(UserError, match="no language model that KenLM reads"):
        read_language_model(tmp_path / "bad.arpa", learn_units("words", ["a b"]))


def test_without_kenlm_one_line_says_what_to_install(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(UserError, match=r"pip install 'jfewshot\[lm\]'"):
        read_language_model(tmp_path / "any.arpa", learn_units("words", ["a b"]))


def test_transcripts_are_written_for_lmplz():
    units = learn_units("characters", ["ab c"])
    assert lm_text(units, units.encode("ab c")) == "a b <space> c"
    assert np.all([symbol != " " for symbol in lm_text(units, units.encode("a b")).split()])
