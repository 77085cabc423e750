"""What users write to choose a classifier."""

import dataclasses
import sys
from typing import ClassVar

import pytest

from jfewshot.classifiers import KNN, SGD, Centroid, Logistic
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.errors import UserError


@dataclasses.dataclass(frozen=True)
class Mine(Centroid):
    """A classifier of a user's own, in a file of their own."""

    sharpness: int = 2
    strength: ClassVar = Logistic.strength


@dataclasses.dataclass(frozen=True)
class NoClassifier:
    """Lacks everything."""


def test_names_settings_and_strengths_are_read():
    assert parse_classifier("logistic").strengths == (1.0,)
    assert parse_classifier("logistic:C=0.1,1,10").strengths == (0.1, 1.0, 10.0)
    assert parse_classifier("sgd:epochs=20:shuffle=false").classifier == SGD(epochs=20, shuffle=False)
    assert parse_classifier("knn:k=3:metric=cosine").classifier == KNN(k=3, metric="cosine")
    assert parse_classifier("knn").strengths == (None,)


def test_a_classifier_of_ones_own_is_named_by_its_import_path():
    spec = parse_classifier(f"{__name__}.Mine:sharpness=3:C=2")
    assert spec.classifier == Mine(sharpness=3)
    assert spec.strengths == (2.0,)
    identity = spec.identity()
    assert len(identity.pop("source")) == 12
    assert identity == {"name": f"{__name__}.Mine", "metric": "euclidean", "sharpness": 3}
    assert "source" not in parse_classifier("logistic").identity()


def test_editing_ones_own_classifier_or_what_it_uses_changes_its_identity(tmp_path, monkeypatch):
    text = (
        "import dataclasses\nfrom jfewshot.classifiers import Centroid\n{helper}\n\n"
        "@dataclasses.dataclass(frozen=True)\nclass {name}({base}):\n    def extra(self):\n        return {value}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def identity(module, helper="x = 1", value="x", base="Centroid"):
        (tmp_path / f"{module}.py").write_text(text.format(helper=helper, name="Own", value=value, base=base))
        spec = parse_classifier(f"{module}.Own")
        return spec.identity()["source"]

    first = identity("own_a")
    assert identity("own_b") == first
    assert identity("own_c", value="x + 1") != first
    assert identity("own_d", helper="x = 2") != first
    # A base of one's own counts too: the child's text stays the same, and its base changes.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    children = []
    for name, value in (("own_e", "1"), ("own_f", "1"), ("own_g", "2")):
        identity("own_base", value=value)
        children.append(identity(name, "from own_base import Own as Base", base="Base"))
        del sys.modules["own_base"]
    assert children[0] == children[1] != children[2]
    # What runs is what was imported first.
    (tmp_path / "own_a.py").write_text("edited")
    assert parse_classifier("own_a.Own").identity()["source"] == first


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("logistik", "did you mean 'logistic'"),
        ("logistic:D=1", "has no setting 'D'; it has C"),
        ("logistic:C=-1", "positive number"),
        ("logistic:C=1e-39", "from 1e-30 to 1e"),
        ("svm:C=1e31", "from 1e-30 to 1e"),
        ("logistic:C=inf", "positive number"),
        ("logistic:C=0.1:C=2", "C is given twice; give one value; several strengths are C=1,2"),
        ("sgd:epochs=1:epochs=2", "epochs is given twice"),
        ("sgd:epochs=2147483648", "from 1 to 2147483647"),
        (f"knn:k={'9' * 5_000}", "from 1 to 2147483647"),
        ("knn:k=0", "whole number, from 1"),
        ("logistic:C=nan", "positive number"),
        ("logistic:C", "setting=value"),
        ("sgd:epochs=1.5", "whole number"),
        ("sgd:shuffle=maybe", "true or false"),
        ("knn:metric=manhattan", "euclidean or cosine"),
        ("no.such.Thing", "cannot be imported"),
        (f"{__name__}.NoClassifier", "has no fit"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_choices(text, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_classifier(text)


def test_a_strength_can_be_left_to_each_episode_where_the_classifier_can_choose():
    assert parse_classifier("logistic:C=auto").strengths == ("auto",)
    assert parse_classifier("svm:C=1,auto").strengths == (1.0, "auto")
    with pytest.raises(UserError, match=r"it cannot choose C by itself; .*ridge"):
        parse_classifier(f"{__name__}.Mine:C=auto")
    with pytest.raises(UserError, match="a positive number, from 1e-30 to 1e"):
        parse_classifier("ridge:alpha=automatic")
