import pytest

from jfewshot.errors import UserError
from jfewshot.statistics import choose_on_validation
from tests.reporting.synthetic import record_of


def strength(record):
    return record["identity"]["strength"]["value"]


def upstream_and_dataset(record):
    return record["upstream"]["name"], record["dataset"]["name"]


def upstream(record):
    return record["upstream"]["name"]


def cells():
    validation = {("esc", 0.1): 0.5, ("esc", 1.0): 0.7, ("words", 0.1): 0.6, ("words", 1.0): 0.5}
    test = {("esc", 0.1): 0.9, ("esc", 1.0): 0.4, ("words", 0.1): 0.3, ("words", 1.0): 0.8}
    return [
        record_of("alpha", dataset, mean, strength=c, split=split)
        for split, table in (("validation", validation), ("test", test))
        for (dataset, c), mean in table.items()
    ]


def test_the_best_on_validation_is_reported_on_test_even_where_test_would_choose_another():
    choices = {choice.group: choice for choice in choose_on_validation(cells(), strength, upstream_and_dataset)}
    esc = choices["alpha", "esc"]
    assert (esc.chosen, esc.validation) == (1.0, 0.7)
    assert [record["accuracy"]["mean"] for record in esc.reported] == [0.4]
    assert esc.options == ((1.0, 0.7), (0.1, 0.5))
    assert choices["alpha", "words"].chosen == 0.1


def test_one_choice_can_serve_all_datasets():
    (choice,) = choose_on_validation(cells(), strength, upstream)
    assert choice.chosen == 1.0
    assert choice.validation == pytest.approx(0.6)
    assert sorted(record["accuracy"]["mean"] for record in choice.reported) == [0.4, 0.8]


@pytest.mark.parametrize("split", ["test", "train", "all"])
def test_choosing_on_anything_but_validation_is_refused(split):
    with pytest.raises(UserError, match=f"choosing on split '{split}'"):
        choose_on_validation(cells(), strength, upstream, choose_on=split)


def test_a_group_without_validation_and_options_on_different_data_are_named():
    with pytest.raises(UserError, match=r"nothing to choose on for \('beta', 'esc'\)"):
        choose_on_validation([record_of("beta", split="test")], strength, upstream_and_dataset)
    with pytest.raises(UserError, match="validated on different datasets"):
        choose_on_validation(cells()[1:], strength, upstream)


def test_options_validated_on_as_many_but_other_datasets_are_refused():
    # Both options were validated on one dataset, and not on the same.
    records = [one for one in cells() if one["identity"]["protocol"]["split"] == "test"]
    records += [record_of("alpha", "esc", 0.5, strength=0.1, split="validation")]
    records += [record_of("alpha", "words", 0.6, strength=1.0, split="validation")]
    with pytest.raises(UserError, match="validated on different datasets"):
        choose_on_validation(records, strength, upstream)
