"""What users write to choose a classifier."""

import dataclasses
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
    assert spec.identity() == {"name": f"{__name__}.Mine", "metric": "euclidean", "sharpness": 3}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("logistik", "did you mean 'logistic'"),
        ("logistic:D=1", "has no setting 'D'; it has C"),
        ("logistic:C=-1", "positive number"),
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
