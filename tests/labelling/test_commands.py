"""`jfewshot label next` and `jfewshot label compare`, from a store to files."""

import csv
import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from jfewshot.errors import UserError
from jfewshot.labelling.__main__ import main
from jfewshot.labelling.comparing import Protocol, compare_store
from jfewshot.labelling.proposing import propose, read_labels
from jfewshot.store import create_store, open_store

RNG = np.random.default_rng(5)
CLASSES = np.repeat(["crow", "rook", "wren"], 16)
POINTS = 4 * RNG.standard_normal((3, 8))[np.repeat(np.arange(3), 16)] + RNG.standard_normal((48, 8))
IDS = [f"clip{number:02d}" for number in range(48)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Stores of the same embeddings: with all classes, with nine (three of each), and with none."""
    path = tmp_path_factory.mktemp("stores")
    some = np.where(np.arange(48) % 16 < 3, CLASSES, "")
    for name, labels in (("all", CLASSES), ("some", some), ("none", np.full(48, ""))):
        groups = [f"g{number % 4}" for number in range(48)]
        create_store(
            path / name,
            POINTS.astype(np.float32),
            labels.tolist(),
            dataset="birds",
            upstream="mine",
            clip_ids=IDS,
            groups=groups,
            unlabelled=True,
        )
    return path


def unit(points=POINTS):
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_list_takes_labelled_clips_into_account(folder, tmp_path):
    out = tmp_path / "next.csv"
    assert main(["next", str(folder / "some"), "--budget", "4", "--by", "kcentre", "--out", str(out)]) == 0
    x = unit()
    d = np.linalg.norm(x[:, None] - x[None], axis=2)
    chosen = [number for number in range(48) if number % 16 < 3]
    expected = []
    for _ in range(4):
        expected.append(int(np.argmax(d[:, chosen].min(1))))
        chosen.append(expected[-1])
    rows = rows_of(out)
    assert [(row["path"], row["order"]) for row in rows] == [(IDS[c], str(n + 1)) for n, c in enumerate(expected)]
    assert "farthest from all labelled and chosen clips" in rows[0]["reason"]
    with pytest.raises(UserError, match="is there already"):
        main(["next", str(folder / "some"), "--out", str(out)])
    # The list with a column of classes is the labels of the next call, and its clips are not proposed again.
    labels = tmp_path / "labels.csv"
    with open(labels, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "order", "reason", "class"])
        writer.writerows(
            [[row["path"], row["order"], row["reason"], "crow" if n else ""] for n, row in enumerate(rows)]
        )
    assert set(read_labels(labels).values()) == {"crow"}
    arguments = ["--labels", str(labels), "--budget", "36", "--by", "random", "--replace", "--out", str(out)]
    assert main(["next", str(folder / "some"), *arguments]) == 0
    assert len({row["path"] for row in rows_of(out)} - {row["path"] for row in rows[1:]}) == 36
    assert not {row["path"] for row in rows_of(out)} & set(IDS[0:3])


def test_margins_are_those_of_ridge_regression_on_the_labelled_clips(folder):
    x = unit()
    known = [number for number in range(48) if number % 16 < 3]
    found = propose(open_store(folder / "some"), 39, "margin")
    smallest = []
    for alpha in [10.0**k for k in range(-5, 5)]:
        model = Ridge(alpha=alpha, solver="svd").fit(
            x[known], 2.0 * (CLASSES[known][:, None] == ["crow", "rook", "wren"]) - 1
        )
        high = np.sort(model.predict(x), axis=1)
        margin = np.where(np.isin(np.arange(48), known), np.inf, high[:, 2] - high[:, 1])
        smallest.append([IDS[clip] for clip in np.argsort(margin)[:39]])
    assert [one.path for one in found] in smallest
    assert found[0].reason.startswith("undecided between ")


def test_medoids_stand_for_the_clips_around_them(folder):
    store = open_store(folder / "none")
    found = propose(store, 3, "kmedoids")
    assert {CLASSES[IDS.index(one.path)] for one in found} == {"crow", "rook", "wren"}
    assert sum(int(one.reason.split("middle of ")[1].split()[0]) for one in found) == 48
    first = propose(store, 1, "kcentre")[0]
    x = unit()
    assert first.path == IDS[int(np.argmin(np.linalg.norm(x - x.mean(0), axis=1)))]
    assert first.reason == "nearest to the mean of all clips"


def test_what_cannot_be_chosen_is_refused_in_a_line(folder, tmp_path):
    opened = {name: open_store(folder / name) for name in ("all", "some", "none")}
    with pytest.raises(UserError, match=r"has 0 clips without a class.* --unlabelled"):
        propose(opened["all"], 5)
    with pytest.raises(UserError, match=r"--budget is 40, and .* has 39 clips"):
        propose(opened["some"], 40)
    with pytest.raises(UserError, match="two classes at least, and 0 have one; begin with --by kmedoids"):
        propose(opened["none"], 5, "margin")
    with pytest.raises(UserError, match="names clip 'other', and"):
        propose(opened["none"], 5, labels={"other": "crow"})
    (tmp_path / "twice.csv").write_text("path,class\na,crow\na,rook\n", encoding="utf-8")
    with pytest.raises(UserError, match="the classes 'crow' and 'rook'"):
        read_labels(tmp_path / "twice.csv")
    (tmp_path / "bare.csv").write_text("file\na\n", encoding="utf-8")
    with pytest.raises(UserError, match="needs the columns path"):
        read_labels(tmp_path / "bare.csv")
    for change, words in (
        ({"budgets": (10, 5)}, "that rise"),
        ({"repeats": 1}, "2 repetitions"),
        ({"held_out": 1.0}, "between 0 and 1"),
        ({"batch": 0}, "1 clip at least"),
        ({"budgets": (5, 40)}, "clips are left to label"),
    ):
        with pytest.raises(UserError, match=words):
            compare_store(opened["all"], Protocol(**change))


def test_compare_writes_tables_a_figure_and_json_with_paired_intervals(folder, tmp_path, capsys):
    arguments = ["--stores", str(folder / "all"), "--budgets", "3", "6", "--repeats", "8", "--by", "margin"]
    assert main(["compare", *arguments, "--out", str(tmp_path), "--formats", "svg", "--no-compile-cache"]) == 0
    assert "at random" in capsys.readouterr().out
    assert (tmp_path / "figures" / "label_compare.svg").exists()
    assert "held out throughout" in (tmp_path / "tables" / "label-compare-1.md").read_text(encoding="utf-8")
    (one,) = json.loads((tmp_path / "label_compare.json").read_text(encoding="utf-8"))
    random, margin = (one["methods"][name] for name in ("random", "margin"))
    assert one["clips"]["all"] == 48
    np.testing.assert_allclose(margin["gain"], np.array(margin["accuracy"]) - random["accuracy"], atol=2e-5)
    assert random["accuracy"][0] < random["accuracy"][1] <= 1
    # It begins with the random labels, which in pairs differ by nothing.
    assert margin["gain"][0] == margin["gain_ci95"][0] == 0
