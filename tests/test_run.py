import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.options import RunOptions
from jfewshot.report import main as report
from jfewshot.results import read_results
from jfewshot.run import _cells, main
from tests.results.packed import contents, keys, remove
from tests.store.test_reading_and_writing import edit_manifest
from tests.synthetic_stores import clip_table, embeddings, make_store

TABLES = {"birds": clip_table((5, 6, 7), splits=["a", "a", "b"]), "words": clip_table((6, 6, 6), seed=1)}
# The smallest episodes, in one shape, so that compiled code is shared.
SMALL = ["--ways", "2", "--n-query", "2", "--episodes", "40", "--classifiers", "centroid", "--devices", "1"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for dataset, table in TABLES.items():
        for number, upstream in enumerate(("good", "poor")):
            make_store(folder / dataset / upstream, table, dataset, upstream, seed=number)
            x = embeddings(table, spread=0.5 + 3 * number, seed=number)
            make_store(folder / dataset / upstream, table, dataset, upstream, views={"last.mean": x})
    return folder


@pytest.fixture(autouse=True)
def _a_cache_of_nobody(monkeypatch):
    # The command line would set JAX up for its process: eight devices stay, and no cache is made in the user's home.
    jax.devices()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "unused")


def table_rows(text):
    """The numbers of a CSV table by upstream and column."""
    return {row["upstream"]: row for row in csv.DictReader(text.splitlines())}


def test_what_a_run_needs_to_compute_and_print_does_not_load_slow_packages():
    # Each of the two takes between half a second and a second of every run.
    needed = "jfewshot.cells.computing, jfewshot.reporting.after_run, jfewshot.reporting.classifier_tables"
    program = f"import sys, {needed}; print(*({{'matplotlib', 'scipy.stats'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_run_prints_upstreams_by_datasets_and_writes_every_form(stores, tmp_path, capsys):
    out = tmp_path / "results"
    forms = {form: tmp_path / "tables" / f"t.{form}" for form in ("markdown", "latex", "csv")}
    arguments = ["--stores", str(stores), "--out", str(out), *SMALL, "--interval", "both"]
    assert main([*arguments, *(x for form, path in forms.items() for x in (f"--{form}", str(path)))]) == 0
    printed = capsys.readouterr().out
    results = read_results(out)
    assert len(results.records) == 4
    rows = table_rows(forms["csv"].read_text())
    for record in results.records:
        mean = record["accuracy"]["mean"]
        name, dataset = record["upstream"]["name"], record["dataset"]["name"]
        assert float(rows[name][dataset]) == mean
        assert float(rows[name][f"{dataset} ci95"]) == record["accuracy"]["ci95"]
        for text in (printed, forms["markdown"].read_text(), forms["latex"].read_text()):
            assert f"{100 * mean:.2f}" in text
        # The record's numbers are those of its predictions.
        correct = results.predictions(record) == np.repeat([0, 1], 2)
        assert correct.mean() == pytest.approx(mean, abs=1e-12)
        assert record["accuracy"]["std"] == pytest.approx(correct.mean(1).std(), abs=1e-12)
        assert record["accuracy"]["ci95"] == pytest.approx(1.96 * correct.mean(1).std() / np.sqrt(40), abs=1e-12)
    # The better upstream comes first.
    assert list(rows) == ["good", "poor"]
    assert float(rows["good"]["average_rank"]) == 1.0
    assert "Avg Rank" in printed


def test_a_second_run_computes_nothing_and_prints_the_same(stores, tmp_path, capsys, caplog):
    arguments = ["--stores", str(stores), "--out", str(tmp_path), *SMALL]
    main(arguments)
    first = capsys.readouterr().out
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*")}
    caplog.clear()
    with caplog.at_level("INFO"):
        main(arguments)
    assert capsys.readouterr().out == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*")} == files
    assert "4 of 4 cells were there already" in caplog.text
    # A record that is gone is computed again, and it alone, into files of its own.
    before = contents(tmp_path)
    remove(tmp_path, keys(tmp_path)[1])
    left = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.*")}
    caplog.clear()
    with caplog.at_level("INFO"):
        main(arguments)
    assert "3 of 4 cells were there already" in caplog.text
    assert {file: file.stat().st_mtime_ns for file in left} == left
    assert contents(tmp_path) == before


def test_a_folder_that_can_only_be_read_is_printed_and_one_with_missing_cells_is_refused(
    stores, tmp_path, capsys, monkeypatch
):
    arguments = ["--stores", str(stores), "--out", str(tmp_path), *SMALL]
    main(arguments)
    first = capsys.readouterr().out

    def refuse(path, purpose):
        raise UserError(f"cannot write {purpose} to {path}: Read-only file system")

    monkeypatch.setattr("jfewshot.results.folder.writable_folder", refuse)
    main(arguments)
    assert capsys.readouterr().out == first
    with pytest.raises(UserError, match="Read-only file system"):
        main([*arguments, "--seed", "1"])


def test_an_estimate_says_how_much_is_left_and_computes_nothing(stores, tmp_path, capsys):
    arguments = ["--stores", str(stores), "--out", str(tmp_path), *SMALL]
    main([*arguments, "--estimate"])
    assert "4 of 4 cells have to be computed" in capsys.readouterr().out
    assert not any((tmp_path / "records").iterdir())
    main(arguments)
    used = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    capsys.readouterr()
    main([*arguments, "--estimate", "--seed", "5"])
    found = re.search(r"at most ([\d.]+) kB", capsys.readouterr().out)
    # Tables of clips are not counted; they are most of such a small folder of draws.
    assert 0.5 * used < 1000 * float(found[1]) < 3 * used
    main([*arguments, "--estimate"])
    printed = capsys.readouterr().out
    assert "0 of 4 cells have to be computed" in printed
    assert "The median time to solve one of the 4 cells" in printed


def test_counts_are_kept_on_request(stores, tmp_path):
    main(["--stores", str(stores), "--out", str(tmp_path), *SMALL, "--keep", "counts"])
    results = read_results(tmp_path)
    for record in results.records:
        assert results.right_of_slot(record).mean() / 2 == pytest.approx(record["accuracy"]["mean"], abs=1e-12)
        assert not results.keeps_predictions(record)


def test_scores_that_float32_cannot_tell_apart_are_counted_and_said(stores, tmp_path, caplog):
    options = ["--stores", str(stores), "--datasets", "words", "--upstreams", "good", "--out", str(tmp_path)]
    assert main([*options, *SMALL, "--classifiers", "ridge:alpha=1,1e8"]) == 0
    by_strength = {
        record["identity"]["strength"]["value"]: record["solver"] for record in read_results(tmp_path).records
    }
    assert by_strength[1.0]["imprecise"] == 0 == by_strength[1e8]["not_converged"]
    assert by_strength[1e8]["imprecise"] == 40
    assert by_strength[1e8]["rounding_median"] > 1e-3 > by_strength[1.0]["rounding_max"]
    (said,) = (record.getMessage() for record in caplog.records if "rounding error" in record.getMessage())
    assert said.startswith("good on words: in 40 of 40 episodes of ridge")
    assert "--preprocessing center_l2" in said


def test_stores_of_one_dataset_share_their_draws(stores, tmp_path):
    main(["--stores", str(stores), "--out", str(tmp_path), *SMALL])
    results = read_results(tmp_path)
    assert len({(record["dataset"]["name"], record["draws"]) for record in results.records}) == 2
    assert len(list((tmp_path / "draws").iterdir())) == 2
    draws = results.draws(next(record for record in results.records if record["dataset"]["name"] == "birds"))
    assert draws["clips"].shape == (40, 2, 3)
    assert draws["segment"].shape == (40, 2, 1)
    assert draws["clip_id"].tolist() == TABLES["birds"].clip_id.tolist()
    of_slot = draws["class"][draws["clips"]]
    assert (of_slot == of_slot[:, :, :1]).all()


def test_shards_split_the_cells_among_them(stores, tmp_path, caplog):
    arguments = ["--stores", str(stores), *SMALL, "--quiet"]
    for shard in range(3):
        main([*arguments, "--out", str(tmp_path / "parts"), "--shard", f"{shard}/3"])
        assert len(keys(tmp_path / "parts")) == [2, 3, 4][shard]
    main([*arguments, "--out", str(tmp_path / "whole")])
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    # More shards than cells: the last ones have nothing to do, which is no error.
    assert main([*arguments, "--out", str(tmp_path / "none"), "--shard", "5/6"]) == 0


def test_several_shots_and_classifiers_make_a_table_each_and_what_is_asked_for_twice_is_done_once(
    stores, tmp_path, capsys
):
    birds = ["--stores", str(stores), "--datasets", "birds", "--upstreams", "good", "--out", str(tmp_path)]
    arguments = [*SMALL, "--shots", "1", "2", "1", "--classifiers", "centroid", "ridge", "ridge:alpha=1,10"]
    main([*birds, *arguments])
    records = read_results(tmp_path).records
    assert len(records) == 2 * 3
    printed = capsys.readouterr().out
    assert printed.count("1-shot") == printed.count("2-shot") == 3


def test_a_file_of_options_stands_in_for_the_command_line_which_wins(stores, tmp_path):
    config = tmp_path / "options.json"
    settings = {"stores": [str(stores)], "ways": [2], "n-query": 2, "episodes": 40, "classifiers": ["centroid"]}
    config.write_text(json.dumps(settings | {"devices": 1, "quiet": True, "datasets": ["birds"], "seed": 7}))
    main(["--config", str(config), "--out", str(tmp_path / "r"), "--seed", "8"])
    (first, second) = read_results(tmp_path / "r").records
    assert first["identity"]["protocol"] == second["identity"]["protocol"]
    assert first["identity"]["protocol"]["seed"] == 8
    assert first["identity"]["protocol"]["n_episodes"] == 40
    assert first["dataset"]["name"] == "birds"


def test_the_papers_protocol_is_one_query_and_sgd_with_100_epochs(stores, tmp_path):
    options = ["--stores", str(stores / "birds" / "good"), "--out", str(tmp_path), "--devices", "1"]
    main([*options, "--protocol", "paper", "--ways", "2", "--episodes", "40"])
    (record,) = read_results(tmp_path).records
    identity = record["identity"]
    assert identity["classifier"]["name"] == "sgd"
    assert identity["classifier"]["epochs"] == 100
    assert identity["preprocessing"] == {"name": "l2"}
    assert (identity["protocol"]["k_shot"], identity["protocol"]["n_query"]) == (1, 1)
    assert identity["protocol"]["query_segments"] == "vote"


@pytest.mark.parametrize(("shots", "value"), [(None, 1.0), ((1,), 1.0), ((1, 2), "auto"), (("all",), "auto")])
def test_without_classifiers_it_is_logistic_at_one_shot_and_ridge_of_a_chosen_strength_beyond(stores, shots, value):
    options = RunOptions(stores=(stores / "birds" / "good",), ways=(2,), shots=shots, n_query=2)
    for cell in _cells(options):
        assert (cell.spec.name, cell.spec.strengths) == ("logistic" if value == 1.0 else "ridge", (value,))


def test_statistics_come_from_the_training_split_or_the_stores_that_are_named(stores, tmp_path):
    table = clip_table((8, 8), splits=["train", "train"])
    store = make_store(tmp_path / "s", table, dataset="split")
    options = {"stores": (tmp_path / "s",), "ways": (2,), "n_query": 2, "preprocessing": "center_l2"}
    (default,) = _cells(RunOptions(**options))
    (train,) = _cells(RunOptions(**options, statistics_from=(Path("train"),)))
    assert train.key(1.0) == default.key(1.0)
    other = stores / "birds" / "good"
    (named,) = _cells(RunOptions(**options, statistics_from=(other,)))
    (old_name,) = _cells(RunOptions(**options, center_from=other))
    assert named.key(1.0) == old_name.key(1.0) != default.key(1.0)
    with pytest.raises(UserError, match="give one of the two"):
        _cells(RunOptions(**options, center_from=other, statistics_from=(store.path,)))


def test_clips_that_all_stores_share_are_used_on_request(tmp_path, capsys, caplog):
    table = TABLES["birds"]
    less = table.select(np.arange(len(table)) != 3)
    x = embeddings(table)
    make_store(tmp_path / "s" / "all", table, upstream="all", views={"last.mean": x})
    make_store(tmp_path / "s" / "less", less, upstream="less", views={"last.mean": x})
    main(["--stores", str(tmp_path / "s"), "--out", str(tmp_path / "r"), *SMALL, "--clips", "intersection"])
    (record,) = read_results(tmp_path / "r").records
    assert record["identity"]["clip_table"] == less.digest
    assert record["counts"]["clips"] == len(table) - 1
    # The same embeddings on the same clips are one result; both names are in the table, and the log says why.
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    (one, other) = (next(words[1:] for words in printed if words[:1] == [name]) for name in ("all", "less"))
    assert one == other
    assert "less on birds, last.mean: these are the same embeddings as those of all on birds, last.mean" in caplog.text


def test_the_run_and_the_report_say_where_a_strength_is_too_small_and_what_to_type(tmp_path, capsys, caplog):
    """Three classes in a row on a line: a strong penalty never finds the one in the middle."""
    table = clip_table((6, 6, 6))
    place = np.unique(table.class_name, return_inverse=True)[1][np.argsort(table.first_segment)]
    x = np.stack([place, np.ones(18)], 1) + 0.05 * np.random.default_rng(0).normal(size=(18, 2))
    make_store(tmp_path / "s", table, views={"last.mean": x.astype(np.float32)})
    options = ["--preprocessing", "none", "--ways", "3", "--shots", "2", "--n-query", "2", "--episodes", "40"]
    folders = ["--stores", str(tmp_path / "s"), "--out", str(tmp_path / "r"), "--devices", "1"]
    main([*folders, *options, "--classifiers", "logistic:C=0.001,1000"])
    (said,) = [message for message in caplog.messages if message.startswith("logistic, 3-way")]
    advice = "logistic, 3-way 2-shot: accuracy still rises at the largest strength that was tried, C = 1000"
    assert said.startswith(advice)
    assert "--classifiers logistic:C=auto" in said
    capsys.readouterr()
    report([str(tmp_path / "r"), "--out", str(tmp_path / "page"), "--formats", "svg", "--figures-at-most", "0"])
    assert said in (tmp_path / "page" / "answer.txt").read_text("utf-8").replace("\n", " ")
    assert advice in " ".join(capsys.readouterr().out.split())


def test_all_queries_of_all_classes_are_asked_and_the_table_shows_the_metric(stores, tmp_path, capsys):
    arguments = ["--stores", str(stores), "--episodes", "20", "--classifiers", "centroid", "--out", str(tmp_path)]
    assert main([*arguments, "--ways", "all", "--n-query", "all", "--metric", "macro_f1"]) == 0
    printed = capsys.readouterr().out
    assert "macro F1 · all classes 1-shot, all queries" in printed
    assert "Macro F1 in percent" in printed
    with pytest.raises(UserError, match="--metric macro_f1 is computed where all queries are asked; add --n-query all"):
        main([*arguments, "--metric", "macro_f1"])


def test_small_classes_are_left_out_on_request_and_listed(stores, tmp_path, caplog):
    with caplog.at_level("WARNING"):
        options = ["--stores", str(stores), "--datasets", "birds", "--out", str(tmp_path), *SMALL]
        main([*options, "--min-clips", "6"])
    left_out = read_results(tmp_path).records[0]["counts"]["classes_left_out"]
    assert left_out == [{"class": "class0", "clips": 5}]
    assert "birds: 1 class left out, too few clips: class0 (5)" in caplog.text


def broken(change):
    """A store and what somebody did to it."""

    def make(path):
        make_store(path / "s")
        change(path / "s")
        return ["--stores", str(path / "s")]

    return make


def with_nan(path):
    x = embeddings(clip_table())
    x[4] = np.nan
    make_store(path / "s", views={"last.mean": x})
    return ["--stores", str(path / "s")]


def of_different_clips(path):
    make_store(path / "a", clip_table((6, 6)), upstream="a")
    make_store(path / "b", clip_table((6, 7)), upstream="b")
    return ["--stores", str(path)]


def twins(path):
    make_store(path / "a")
    make_store(path / "b")
    return ["--stores", str(path)]


def flip_last_byte(store):
    data = bytearray((store / "last.mean.npy").read_bytes())
    data[-1] ^= 1
    (store / "last.mean.npy").write_bytes(data)


def below_a_file(path):
    (path / "file").touch()
    return ["--out", str(path / "file" / "results")]


def config(text):
    def make(path):
        (path / "config.json").write_text(text)
        return ["--config", str(path / "config.json")]

    return make


def plain(*arguments):
    return lambda path: list(arguments)


BAD_INPUT = {
    "a store that is not there": (plain("--stores", "/nowhere"), "/nowhere does not exist; name the folder"),
    "a truncated manifest": (
        broken(lambda s: (s / "manifest.json").write_text("{")),
        "copy or extract the store again",
    ),
    "a truncated array": (
        broken(lambda s: (s / "last.mean.npy").write_bytes((s / "last.mean.npy").read_bytes()[:300])),
        "is truncated or not an array",
    ),
    "a missing array": (broken(lambda s: (s / "last.mean.npy").unlink()), "is missing, though manifest.json names it"),
    "a digest that does not match": (broken(flip_last_byte), "is not the file that manifest.json describes"),
    "no digest": (
        broken(lambda s: edit_manifest(s, lambda m: m["views"]["last.mean"].pop("sha256"))),
        "no sha256 for view 'last.mean'",
    ),
    "NaN embeddings": (with_nan, "1 embeddings are NaN or infinite, the first of clip 'clip"),
    "another format version": (
        broken(lambda s: edit_manifest(s, lambda m: m.update(format_version=9))),
        "format version 9; this jfewshot reads version 1",
    ),
    "a class with too few clips": (
        plain("--n-query", "5"),
        "class 'class0' has 5 clips; 1-shot with 5 queries needs 6",
    ),
    "fewer classes than ways": (plain("--ways", "4"), "has 3 classes; 4-way needs 4. Lower --ways"),
    "episodes too large for every class": (plain("--n-query", "90"), "the largest class has 7. Lower --shots"),
    "a classifier that is like none": (plain("--classifiers", "xyz"), "unknown classifier 'xyz'; there are "),
    "an unknown classifier": (
        plain("--classifiers", "logstic"),
        "unknown classifier 'logstic'; did you mean 'logistic'? There are ",
    ),
    "an unknown setting": (plain("--classifiers", "knn:j=3"), "classifier 'knn' has no setting 'j'; it has"),
    "a strength that is no number": (plain("--classifiers", "ridge:alpha=x"), "alpha is 'x'; it must be a positive"),
    "an unknown flag": (plain("--epsiodes", "3"), "there is no option '--epsiodes'; did you mean --episodes?"),
    "an unknown view": (plain("--views", "3.max"), "has no view '3.max'; it has last.mean"),
    "an unknown dataset": (plain("--datasets", "brids"), "no store of dataset 'brids'; there are birds, words"),
    "an unknown split": (plain("--split", "test"), "no clips in split 'test'"),
    "centring without a training split": (
        plain("--preprocessing", "center"),
        "Pass --statistics-from STORE, --statistics-from shipped for an encoder of the sample stores, or --trans",
    ),
    "statistics that nothing uses": (
        plain("--statistics-from", "shipped"),
        "--statistics-from is given, and --preprocessing l2 uses no statistics of clips",
    ),
    "a shrinkage that nothing uses": (
        plain("--preprocessing", "none", "--shrinkage", "0.1"),
        "--shrinkage is given, and --preprocessing none uses no statistics",
    ),
    "evaluated clips' own statistics that nothing uses": (
        plain("--transductive"),
        "--transductive is given, and --preprocessing l2 uses no statistics of clips",
    ),
    "groups where there are none": (plain("--group-aware"), "--group-aware needs groups"),
    "stores of different clips": (of_different_clips, "Pass --clips intersection to use the clips they share"),
    "two stores of one upstream": (twins, "are both 'mine' on 'birds'"),
    "a folder that cannot be written": (below_a_file, "Name a folder that you may write to"),
    "no queries": (plain("--n-query", "0"), "n_query is 0; it must be at least 1"),
    "no shots": (plain("--shots", "0"), "k_shot is 0; it must be at least 1"),
    "no episodes": (plain("--episodes", "0"), "n_episodes is 0; it must be at least 1"),
    "no memory": (plain("--memory-gb", "0"), "--memory-gb is 0"),
    "more devices than there are": (plain("--devices", "99"), "--devices is 99; this machine has 8"),
    "a shard that is none": (plain("--shard", "3/3"), "--shard is '3/3'; write i/n"),
    "options that are no JSON": (config("{"), "is not JSON"),
    "options that are a list": (config("[1]"), "should hold an object"),
    "an unknown option in a file": (config('{"epsiodes": 3}'), "there is no option 'epsiodes'"),
    "a file of options that is not there": (
        plain("--config", "/nowhere.json"),
        "--config /nowhere.json does not exist",
    ),
}


@pytest.mark.parametrize("what", BAD_INPUT)
def test_bad_input_ends_with_a_line_or_two_that_name_the_fix(stores, tmp_path, capsys, what):
    make, message = BAD_INPUT[what]
    options = ["--out", str(tmp_path / "results"), "--stores", str(stores), *SMALL]
    # Of an option given twice, the last counts.
    with pytest.raises(SystemExit) as caught:
        run_cli(lambda: main([*options, *make(tmp_path)]))
    said = capsys.readouterr()
    assert caught.value.code == 2
    assert message in said.err
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert 1 <= said.err.count("\n") <= 2
    assert len(said.err) < 500


def test_what_was_computed_before_a_broken_store_is_kept(stores, tmp_path, capsys):
    for seed, upstream in enumerate("abc"):
        make_store(tmp_path / "s" / upstream, upstream=upstream, seed=seed)
    flip_last_byte(tmp_path / "s" / "b")
    with pytest.raises(SystemExit) as caught:
        run_cli(lambda: main(["--stores", str(tmp_path / "s"), "--out", str(tmp_path / "r"), *SMALL]))
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert "sha256" in said.err
    # The table of what is finished is printed all the same.
    (record,) = read_results(tmp_path / "r").records
    assert f"{100 * record['accuracy']['mean']:.2f}" in said.out
    assert [record["upstream"]["name"] for record in read_results(tmp_path / "r").records] == ["a"]
