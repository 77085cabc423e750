"""Suites: the frozen files reproduce themselves, and a file that is damaged or newer is refused in one line."""

import json

import msgspec
import pytest

from extraction.datasets import load_dataset
from jfewshot.classifiers.specs import CLASSIFIERS
from jfewshot.errors import UserError
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.files import sha256_of_json
from jfewshot.reporting.published import table3
from jfewshot.store import ClipTable, open_store
from jfewshot.store.reading import sample_stores
from jfewshot.suite import freezing
from jfewshot.suite.definition import load_suite, parse_suite, shipped_suites
from jfewshot.suite.drawing import draws_digest
from jfewshot.suite.planning import classifier_of, plan_tasks
from jfewshot.suite.references import reference_contributions
from tests.suite.synthetic import small_suite
from tests.synthetic_stores import make_store

# Version 1 is frozen. Whoever changes a task makes a further version, and does not change these.
DEFINITIONS = {
    "paper10": "6c85099dbd76bcf9cb5e201be45dc29bda16ae403b9f054ef1b70a57071da5bc",
    "samples": "3c000ca1d50eaee5ec53938c1120b4a599a44be79b1ea57baf5626fd5334af9f",
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_frozen_definition_never_changes(name):
    assert load_suite(f"suite:{name}").definition == DEFINITIONS[name]


def test_the_shipped_suites_are_these():
    assert shipped_suites() == ("paper10", "samples")


def test_the_files_reproduce_themselves():
    assert freezing.suite_text(freezing.paper10()) == freezing.suite_text(load_suite("paper10"))
    suite = load_suite("samples")
    classes = {
        dataset.name: open_store(sample_stores() / dataset.name / "fbank").clips.classes.tolist()
        for dataset in suite.datasets
    }
    assert freezing.samples(classes, reference_contributions(suite)) == suite


def test_the_anchors_of_paper10_are_chance_and_the_best_of_table_3():
    suite, published = load_suite("paper10"), table3()
    for task in suite.tasks:
        column = published.datasets.index(suite.dataset(task.dataset).title)
        assert task.lower == 0.2
        assert task.upper == pytest.approx(published.accuracy[:, column].max(), abs=1e-9)
    assert len(suite.tasks) == 30
    assert {suite.track(task.track).protocol.min_clips for task in suite.tasks} == {2, 6}


def test_every_dataset_is_one_that_can_be_extracted():
    for name in shipped_suites():
        for dataset in load_suite(name).datasets:
            assert load_dataset(dataset.load).info.name == dataset.name


def test_the_classifiers_mean_what_they_meant():
    for name in shipped_suites():
        for track in load_suite(name).tracks:
            classifier_of(track)


def test_a_changed_default_of_a_classifier_is_noticed():
    suite = small_suite()
    track = suite.tracks[0]
    changed = msgspec.structs.replace(track, settings={"name": "centroid", "metric": "cosine"})
    with pytest.raises(UserError, match="is another classifier in this version"):
        classifier_of(changed)
    assert classifier_of(track).name in CLASSIFIERS


def test_the_draws_of_the_samples_are_the_frozen_ones():
    suite = load_suite("samples")
    stores = {"fbank": {one.name: open_store(sample_stores() / one.name / "fbank") for one in suite.datasets}}
    evaluator = Evaluator()
    drawn = {one.task.name: draws_digest(one.cell, evaluator) for one in plan_tasks(suite, stores, stores["fbank"])}
    assert drawn == {name: digests.draws for name, digests in suite.digests.items()}


def test_the_draws_of_the_papers_protocol_are_the_frozen_ones(tmp_path):
    # Its datasets cannot be shipped, so a made-up table of clips stands for them.
    suite = load_suite("paper10")
    table = ClipTable.build([f"clip{i:03d}" for i in range(96)], [f"class{i % 8}" for i in range(96)])
    store = make_store(tmp_path / "made_up", table, dataset="birds", dim=2)
    alone = small_suite(("birds",), tracks=[msgspec.to_builtins(track) for track in suite.tracks], **_tasks(suite))
    planned = plan_tasks(alone, {"mine": {"birds": store}}, ["birds"])
    drawn = {one.task.track: draws_digest(one.cell, Evaluator()) for one in planned}
    assert sha256_of_json(drawn) == "bad8a82da88d8a2c37fd34d2faf3ab4c00d3c07d28cdacf2e742a7f69bb5f135"


def _tasks(suite):
    tasks = [
        {"name": f"birds-{t.name}", "dataset": "birds", "track": t.name, "lower": 0.2, "upper": 0.9, "upper_of": "x"}
        for t in suite.tracks
    ]
    empty = {"clip_table": "", "classes": "", "draws": ""}
    return {"tasks": tasks, "digests": {task["name"]: empty for task in tasks}}


def test_a_newer_format_is_refused_with_the_fix():
    value = json.loads(freezing.suite_text(small_suite())) | {"format_version": 2}
    with pytest.raises(UserError, match=r"format version 2, .* up to version 1; install a newer jfewshot"):
        parse_suite(json.dumps(value).encode(), "new.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "jfewshot-store"}, "has to be 'jfewshot-suite'"),
        ({"version": "1"}, "Expected `int`"),
        ({"tasks": []}, "it has no task"),
        ({"digests": {}}, "has no digests"),
        ({"further": 1}, "unknown field `further`"),
    ],
)
def test_a_damaged_suite_is_refused_in_one_line(change, said):
    value = json.loads(freezing.suite_text(small_suite())) | change
    with pytest.raises(UserError, match=said) as refused:
        parse_suite(json.dumps(value).encode(), "damaged.json")
    assert "\n" not in str(refused.value)


def test_an_unknown_suite_names_those_that_there_are():
    with pytest.raises(UserError, match="no suite 'paper11'; there are paper10, samples"):
        load_suite("paper11")
    with pytest.raises(UserError, match="cannot be read"):
        load_suite("none/such.json")
