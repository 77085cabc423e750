"""`jfewshot suite validate`: what was edited, left out, or is of another suite is named in one line."""

import json

import jax
import msgspec
import pytest

from jfewshot.errors import UserError
from jfewshot.suite.__main__ import main
from jfewshot.suite.contribution import (
    contribution_of,
    contribution_text,
    parse_contribution,
    read_contribution,
    task_result,
)
from jfewshot.suite.definition import load_suite
from jfewshot.suite.filling import known_digests, read_filled, write_filled
from jfewshot.suite.references import reference_contributions
from jfewshot.suite.validating import validate
from tests.suite.synthetic import SHA, contribution, small_suite, suite_text
from tests.synthetic_stores import clip_table, make_store

TASK = "birds-paper-1"


@pytest.fixture(autouse=True)
def _a_cache_of_nobody(monkeypatch):
    jax.devices()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "unused")


def changed(one, where, value):
    """The contribution with one field replaced."""
    document = json.loads(contribution_text(one))
    inner = document
    for name in where[:-1]:
        inner = inner[name]
    if value is None:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    return parse_contribution(json.dumps(document).encode(), "changed.json")


def problems(one, suite):
    return validate(one, suite, known_digests(suite, [one])).errors


def test_a_sound_contribution_is_in_order_and_what_nobody_knows_is_unverified():
    suite = small_suite()
    found = validate(contribution(suite), suite, known_digests(suite, [contribution(suite)]))
    assert found.errors == ()
    assert len(found.unverified) == 3
    assert all("two contributions with equal digests fill it" in line for line in found.unverified)


def test_the_files_that_come_with_the_package_are_in_order_and_leave_nothing_unverified():
    suite = load_suite("samples")
    assert len(reference_contributions(suite)) == 8
    for one in reference_contributions(suite):
        found = validate(one, suite, known_digests(suite, [one]))
        assert found == validate(one, suite, known_digests(suite, []))
        assert (found.errors, found.unverified) == ((), ())


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("tasks", TASK, "accuracy"), 0.99, "birds-paper-1: accuracy is 0.99, and its histogram gives"),
        (("tasks", TASK, "ci95"), 0.001, "birds-paper-1: ci95 is 0.001, and its histogram gives"),
        (("tasks", TASK, "std"), 0.5, "birds-paper-1: std is 0.5, and its histogram gives"),
        (("scores", "all", "score"), 999.0, "scores, all: score is 999, and its histograms give"),
        (("scores", "paper-1", "average"), 0.9, "scores, paper-1: average is 0.9"),
        (("scores", "paper-1"), None, "'paper-1' is missing"),
        (("tasks", TASK, "histogram"), [40, 0, 0], "its histogram has 3 places, and 3 queries need 4"),
        (("tasks", TASK, "histogram"), [0, 0, 0, 41], "counts 41 episodes, and the task has 40"),
        (("tasks", TASK, "n_classes"), 2, "n_classes is 2, too few for 3-way episodes"),
        (("tasks", TASK, "n_clips"), 9, "5 classes of at least 2 clips have 10"),
        (("tasks", TASK, "n_segments"), 39, "n_segments is 39, and each of 40 clips has one at least"),
        (("tasks", TASK, "clip_table"), "f" * 64, "its clips are not those of the other tasks on birds"),
        (("tasks", TASK, "embeddings"), "f" * 64, "its embeddings are not those of the other tasks on birds"),
        (("tasks", TASK), None, "it lacks 1 of 4 tasks, first 'birds-paper-1'"),
        (("suite", "name"), "other", "it is a contribution to the suite 'other', and not to 'small'"),
        (("suite", "version"), 2, "version 2 of the suite 'small', and version 1 is the newest here; install a newer"),
        (("suite", "definition"), "f" * 64, "its tasks are not those of the suite 'small', version 1"),
    ],
)
def test_one_change_is_one_line(where, value, said):
    suite = small_suite()
    (error, *others) = problems(changed(contribution(suite), where, value), suite)
    assert said in error
    # An edited histogram contradicts the scores too; any other edit contradicts nothing else.
    assert not others or where[-1] in ("histogram", "clip_table")


def test_an_edited_histogram_contradicts_what_follows_from_it():
    suite = small_suite()
    found = problems(changed(contribution(suite), ("tasks", TASK, "histogram"), [0, 0, 0, 40]), suite)
    assert [line.split(",")[0] for line in found[:2]] == [
        f"{TASK}: accuracy is {contribution(suite).tasks[TASK].accuracy:.6g}",
        f"{TASK}: std is {contribution(suite).tasks[TASK].std:.6g}",
    ]
    assert any(line.startswith("scores, all: score is") for line in found)


def test_tracks_of_one_protocol_have_the_same_episodes():
    suite = load_suite("samples")
    one = reference_contributions(suite)[0]
    other = changed(one, ("tasks", "esc10-chosen-1", "draws"), "f" * 64)
    found = problems(other, suite)
    assert any("not those of the other track with the same protocol" in line for line in found)
    assert any("the drawn episodes are not those of the suite" in line for line in found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": 2}, "format version 2, and this jfewshot reads up to version 1; install a newer jfewshot"),
        ({"format": "jfewshot-result"}, "has to be 'jfewshot-suite-result'"),
        ({"further": 1}, "unknown field `further`"),
        ({"tasks": {TASK: {"accuracy": 2}}}, "Expected `float` <= 1.0|missing required field"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(change, said):
    document = json.loads(contribution_text(contribution(small_suite()))) | change
    with pytest.raises(UserError, match=said) as refused:
        parse_contribution(json.dumps(document).encode(), "damaged.json")
    assert "\n" not in str(refused.value)


def test_two_contributions_with_equal_digests_fill_what_is_not_known(tmp_path):
    suite = small_suite()
    alpha, beta = contribution(suite, "alpha"), contribution(suite, "beta")
    odd = contribution(suite, "odd", clip_table="f" * 64)
    # One encoder alone fills nothing, however often it is there.
    assert not known_digests(suite, [alpha, alpha]).digests
    disagreeing = known_digests(suite, [alpha, odd])
    assert (TASK, "clip_table") in disagreeing.contested
    assert any("the clips differ from those of odd" in line for line in validate(alpha, suite, disagreeing).unverified)
    # Two against two fill nothing either.
    halves = known_digests(suite, [alpha, beta, odd, contribution(suite, "odder", clip_table="f" * 64)])
    assert (TASK, "clip_table") in halves.contested
    assert (TASK, "clip_table") not in halves.digests
    known = known_digests(suite, [alpha, beta, odd])
    assert known.digests[TASK, "clip_table"].digest == SHA["clip_table"]
    assert known.digests[TASK, "clip_table"].by == ["alpha", "beta"]
    assert validate(beta, suite, known) == type(validate(beta, suite, known))((), (), ())
    (error, *_) = validate(odd, suite, known).errors
    assert "birds-paper-1: the clips are not those of alpha and beta (clip_table ffffffffffff…, expected" in error
    # What was filled once stays, even where two later contributions agree on something else.
    write_filled(tmp_path / "digests.json", suite, known)
    kept = known_digests(
        suite,
        [odd, contribution(suite, "odder", clip_table="f" * 64)],
        read_filled(tmp_path / "digests.json", suite),
    )
    assert kept.digests[TASK, "clip_table"].digest == SHA["clip_table"]
    with pytest.raises(UserError, match="is of another suite"):
        read_filled(tmp_path / "digests.json", small_suite(("birds", "frogs")))


def test_the_command_says_what_is_wrong_and_exits_with_1(tmp_path, capsys):
    one = reference_contributions(load_suite("samples"))[0]
    sound, edited = tmp_path / "sound.json", tmp_path / "edited.json"
    sound.write_text(contribution_text(one))
    edited.write_text(contribution_text(changed(one, ("scores", "all", "score"), 999.9)))
    assert main(["validate", str(edited)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"BROKEN  {edited}",
        f"  error: scores, all: score is 999.9, and its histograms give {one.scores['all'].score:.6g}; the file was edited, "
        "so take the one that `jfewshot suite run` wrote",
    ]
    assert main(["validate", str(sound), "--suite", "paper10"]) == 1
    assert "a contribution to the suite 'samples', and not to 'paper10'" in capsys.readouterr().out
    suite = small_suite()
    (tmp_path / "small.json").write_text(contribution_text(contribution(suite)))
    assert main(["validate", str(tmp_path / "small.json")]) == 1
    assert "suite 'small', which does not come with jfewshot" in capsys.readouterr().out
    (tmp_path / "suite.json").write_text(suite_text(suite))
    assert main(["validate", str(tmp_path / "small.json"), "--suite", str(tmp_path / "suite.json")]) == 0
    assert "unverified: the clips of 4 tasks" in capsys.readouterr().out
    assert main(["validate", str(tmp_path / "none.json")]) == 1
    assert "cannot be read" in capsys.readouterr().out
    # A name that would look like a line on another file stays in its line.
    edited.write_text(contribution_text(changed(one, ("encoder", "name"), "mine\nok  other.json")))
    main(["validate", str(edited)])
    assert [line[:3] for line in capsys.readouterr().out.splitlines()] == ["ok ", "  c", "  c"]


def test_a_folder_without_contributions_is_said_to_have_none(tmp_path, caplog):
    caplog.set_level("INFO", "jfewshot.suite")
    assert main(["validate", str(tmp_path)]) == 0
    assert caplog.messages == [f"there are no contributions in {tmp_path}"]


def test_another_version_of_the_arithmetic_is_unverified(tmp_path, capsys):
    one = reference_contributions(load_suite("samples"))[0]
    for task in [name for name in one.tasks if name.endswith("chosen-5")]:
        one = changed(one, ("tasks", task, "numerics"), 99)
    (tmp_path / "one.json").write_text(contribution_text(one))
    assert main(["validate", str(tmp_path / "one.json")]) == 0
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "unverified" in text]
    assert "chosen-5: computed with version 99 of the evaluator's arithmetic, and this jfewshot has version" in line


def test_draws_are_computed_again_where_a_store_is_at_hand(tmp_path, capsys):
    suite = load_suite("samples")
    one = reference_contributions(suite)[0]
    path = tmp_path / "one.json"
    path.write_text(contribution_text(one))
    assert main(["validate", str(path)]) == 0
    assert "checked: the episodes of 12 tasks were drawn again" in capsys.readouterr().out
    # Without the suite's own digests, drawing again notices what was made up.
    open_suite = msgspec.structs.replace(
        suite, digests={name: type(one)(one.clip_table, one.classes, "") for name, one in suite.digests.items()}
    )
    (tmp_path / "open.json").write_text(suite_text(open_suite))
    made_up = changed(one, ("tasks", "esc10-chosen-5", "draws"), "f" * 64)
    path.write_text(contribution_text(made_up))
    assert main(["validate", str(path), "--suite", str(tmp_path / "open.json")]) == 1
    assert "esc10-chosen-5: draws is ffffffffffff, and drawing again from" in capsys.readouterr().out


def test_invented_histograms_are_recognised_where_the_embeddings_are_at_hand(tmp_path, capsys):
    suite = small_suite(("birds",))
    make_store(tmp_path / "stores" / "birds" / "mine", clip_table((8, 8, 8, 8)))
    (tmp_path / "suite.json").write_text(suite_text(suite))
    command = [str(tmp_path / "suite.json"), "--stores", str(tmp_path / "stores"), "--no-compile-cache"]
    assert main(["run", *command, "--out", str(tmp_path / "out")]) == 0
    path = tmp_path / "out" / "contributions" / "mine.json"
    validate_it = ["validate", str(path), "--suite", str(tmp_path / "suite.json"), "--stores", str(tmp_path / "stores")]
    capsys.readouterr()
    assert main([*validate_it, "--evaluate"]) == 0
    assert "checked: 2 tasks were evaluated again; accuracies differ by 0 at the most" in capsys.readouterr().out
    # Consistent, with the digests of the run, and too good to be true.
    found = read_contribution(path)
    invented = {name: task_result(facts_of(task), [0, 0, 0, 40]) for name, task in found.tasks.items()}
    path.write_text(contribution_text(contribution_of(suite, found.encoder, found.made_with, invented)))
    assert main(validate_it) == 0
    capsys.readouterr()
    assert main([*validate_it, "--evaluate"]) == 1
    errors = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  error: ")]
    assert len(errors) == 2
    assert errors[0].startswith("  error: birds-paper-1: accuracy is 1, and evaluating ")


def facts_of(task):
    names = set(type(task).__struct_fields__) - {"histogram", "accuracy", "std", "ci95"}
    return {name: getattr(task, name) for name in names}
