"""`jfewshot suite run`: from stores to contributions, again without computing, and what stops it."""

import json

import jax
import numpy as np
import pytest

from jfewshot.errors import UserError
from jfewshot.results import read_results
from jfewshot.suite.__main__ import main
from jfewshot.suite.contribution import read_contribution
from tests.suite.synthetic import small_suite, suite_text
from tests.synthetic_stores import clip_table, make_store


@pytest.fixture(autouse=True)
def _a_cache_of_nobody(monkeypatch):
    jax.devices()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "unused")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    (folder / "small.json").write_text(suite_text(small_suite()))
    for number, dataset in enumerate(("birds", "words")):
        table = clip_table((8, 8, 8, 8), seed=number)
        for seed, upstream in enumerate(("alpha", "beta")):
            make_store(folder / "stores" / dataset / upstream, table, dataset, upstream, seed=seed)
    return folder


def arguments(place, out, *further):
    return ["run", str(place / "small.json"), "--stores", str(place / "stores"), "--out", str(out), *further]


@pytest.fixture(scope="module")
def finished(place, tmp_path_factory):
    jax.devices()
    out = tmp_path_factory.mktemp("finished")
    assert main([*arguments(place, out), "--no-compile-cache"]) == 0
    return out


def test_a_run_writes_a_contribution_for_each_encoder(finished):
    suite = small_suite()
    found = read_contribution(finished / "contributions" / "alpha.json")
    assert list(found.tasks) == [task.name for task in suite.tasks]
    records = {
        (r["dataset"]["name"], r["identity"]["protocol"]["k_shot"]): r
        for r in read_results(finished / "results").records
        if r["upstream"]["name"] == "alpha"
    }
    for task in suite.tasks:
        record = records[task.dataset, suite.track(task.track).protocol.k_shot]
        one = found.tasks[task.name]
        assert sum(one.histogram) == 40
        assert one.accuracy == pytest.approx(record["accuracy"]["mean"], abs=1e-9)
        assert one.ci95 == pytest.approx(record["accuracy"]["ci95"], abs=1e-9)
        assert (one.draws, one.embeddings) == (record["draws_sha256"], record["identity"]["embeddings"])
    score = np.mean([1000 * (one.accuracy - 1 / 3) / (0.9 - 1 / 3) for one in found.tasks.values()])
    assert found.scores["all"].score == pytest.approx(score)


def test_the_same_command_computes_nothing_again_and_writes_the_same_file(place, finished, caplog):
    before = (finished / "contributions" / "alpha.json").read_bytes()
    with caplog.at_level("INFO"):
        main([*arguments(place, finished), "--no-compile-cache"])
    assert "0 of 8 cells have to be evaluated" in caplog.text
    assert "episodes per second" not in caplog.text
    assert (finished / "contributions" / "alpha.json").read_bytes() == before


def test_a_damaged_contribution_is_written_again_and_that_of_another_encoder_is_not(place, finished, tmp_path):
    command = [*arguments(place, tmp_path, "--upstreams", "alpha"), "--no-compile-cache"]
    path, written = tmp_path / "contributions" / "alpha.json", (finished / "contributions" / "alpha.json").read_bytes()
    path.parent.mkdir()
    path.write_bytes(written[:100])
    main(command)
    assert path.read_bytes() == written
    path.write_bytes((finished / "contributions" / "beta.json").read_bytes())
    with pytest.raises(UserError, match="is of encoder 'beta', and 'alpha' has the same file"):
        main(command)


def test_datasets_may_be_evaluated_one_after_the_other(place, finished, tmp_path, capsys):
    few = ["--upstreams", "beta", "--no-compile-cache"]
    main([*arguments(place, tmp_path, *few), "--datasets", "words"])
    assert not (tmp_path / "contributions").exists()
    assert "beta: 2 tasks so far" in capsys.readouterr().out
    main([*arguments(place, tmp_path, *few), "--datasets", "birds"])
    written = (tmp_path / "contributions" / "beta.json").read_bytes()
    assert written == (finished / "contributions" / "beta.json").read_bytes()
    assert "place 1 of 1" in capsys.readouterr().out


def test_an_estimate_computes_nothing(place, tmp_path, capsys):
    main([*arguments(place, tmp_path, "--upstreams", "alpha"), "--estimate", "--no-compile-cache"])
    said = capsys.readouterr().out
    assert "4 of 4 cells have to be evaluated" in said
    assert "episodes per second here" in said
    assert not list((tmp_path / "results" / "records").iterdir())


@pytest.mark.parametrize(
    ("further", "said"),
    [
        (("--upstreams", "gamma"), "task 'birds-paper-1': there is no store of 'gamma' on 'birds'; give --stores"),
        (("--upstreams", "gamma", "--root", "."), r"its audio is not in birds; put it there"),
        (("--datasets", "frogs"), "has no dataset 'frogs'; it has birds, words"),
    ],
)
def test_what_is_missing_is_named_in_one_line(place, tmp_path, further, said, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said) as refused:
        main(arguments(place, tmp_path, *further))
    assert "\n" not in str(refused.value)


def test_other_classes_and_other_clips_than_the_suites_are_refused(place, tmp_path):
    value = json.loads(suite_text(small_suite()))
    value["digests"]["birds-paper-1"]["clip_table"] = "0" * 64
    (tmp_path / "clips.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match="holds other clips than the suite's"):
        main(["run", str(tmp_path / "clips.json"), "--stores", str(place / "stores"), "--out", str(tmp_path)])
    from jfewshot.files import sha256_of_json

    listed = ["class0", "class1", "class2", "owl"]
    value = json.loads(suite_text(small_suite()))
    value["datasets"][0]["classes"]["1"] = listed
    value["digests"]["birds-paper-1"]["classes"] = sha256_of_json(listed)
    (tmp_path / "classes.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match="lacks the class 'owl'"):
        main(["run", str(tmp_path / "classes.json"), "--stores", str(place / "stores"), "--out", str(tmp_path)])


def test_suites_are_listed(capsys):
    assert main(["list"]) == 0
    assert "paper10, version 1" in capsys.readouterr().out
    assert main(["list", "paper10"]) == 0
    said = capsys.readouterr().out
    assert "saa-chosen-5" in said
    assert "classes not known yet, clips not known yet" in said


def test_missing_stores_are_extracted_by_the_command_and_not_again(tmp_path, capsys, caplog):
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    rng, suite = np.random.default_rng(0), small_suite(("birds",))
    for number in range(3):
        folder = tmp_path / "audio" / "of birds" / f"class{number}"
        folder.mkdir(parents=True)
        for clip in range(6):
            wave = 0.1 * (number + 1) * rng.uniform(-1, 1, 1600)
            soundfile.write(folder / f"{clip}.wav", wave, 16_000)
    value = json.loads(suite_text(suite))
    value["datasets"][0] |= {"load": "folder:birds", "folder": "of birds"}
    (tmp_path / "small.json").write_text(json.dumps(value))
    encoder, out = "tests.suite.encoders:Loudness", tmp_path / "out"
    command = ["run", str(tmp_path / "small.json"), "--upstreams", encoder, "--out", str(out), "--no-compile-cache"]
    with pytest.raises(UserError, match=r"there is no store of 'tests\.suite\.encoders:Loudness' on 'birds'"):
        main(command)
    with caplog.at_level("INFO"):
        assert main([*command, "--root", str(tmp_path / "audio"), "--workers", "0", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "segments of 5 s" in said  # the estimate of the extraction comes first
    assert said.index("segments of 5 s") < said.index("A small suite, version 1")
    assert "next: jfewshot extract" not in caplog.text
    found = read_contribution(out / "contributions" / "tests.suite.encoders_Loudness.json")
    assert found.scores["all"].score > 500  # classes differ in loudness alone
    # The stores are there, so neither audio nor an extraction is needed again.
    caplog.clear()
    with caplog.at_level("INFO"):
        assert main(command) == 0
    assert "0 of 2 cells have to be evaluated" in caplog.text
    assert "extracting" not in caplog.text
    everything = ["run", str(tmp_path / "small.json"), "--out", str(out), "--no-compile-cache"]
    assert main(everything) == 0
    assert "place 1 of 1" in capsys.readouterr().out


def test_an_estimate_needs_no_audio_of_the_papers_datasets(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jfewshot.suite.estimating.episodes_per_second", lambda track: 1000.0)
    command = [
        "run",
        "paper10",
        "--datasets",
        "esc50",
        "--upstreams",
        "tests.suite.encoders:Loudness",
        "--no-compile-cache",
    ]
    assert main([*command, "--estimate", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "| esc50 | 2,000 |" in said  # as published
    assert "3 of 3 cells have to be evaluated." in said
    assert "Evaluating takes about 30 s" in said
    # A folder of the default name is not taken for --root.
    (tmp_path / "data" / "esc50").mkdir(parents=True)
    with pytest.raises(UserError, match="task 'esc50-paper-1': there is no store of"):
        main(command)
