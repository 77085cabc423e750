"""What `jfewshot suite export` writes, read by those it is for."""

import json
import shutil
import subprocess

import pytest

from jfewshot.errors import UserError
from jfewshot.suite.__main__ import main
from jfewshot.suite.contribution import contribution_text
from jfewshot.suite.definition import load_suite
from jfewshot.suite.exporting import export_contributions
from jfewshot.suite.references import reference_contributions
from tests.reporting.test_exports import check_eval_yaml, check_mteb_task_results
from tests.suite.synthetic import contribution, small_suite

SUITE = load_suite("samples")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    export_contributions(SUITE, reference_contributions(SUITE), folder, "me/few-shot")
    return folder


def test_pandas_and_polars_read_a_typed_row_per_encoder_and_task(exported):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    table, parquet = pandas.read_csv(exported / "tasks.csv"), polars.read_parquet(exported / "tasks.parquet")
    assert len(table) == parquet.height == 96
    accuracies = [one.accuracy for result in reference_contributions(SUITE) for one in result.tasks.values()]
    assert table["accuracy"].tolist() == parquet["accuracy"].to_list() == accuracies
    assert parquet.schema["k_shot"] == polars.Int64
    assert table["score"].max() == pytest.approx(1000, abs=0.2)  # anchors have four decimals
    assert polars.read_csv(exported / "tasks.csv")["task"].to_list() == table["task"].tolist()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex, to compile the tables")
def test_the_latex_tables_compile(exported, tmp_path):
    source = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n%s\\end{document}\n"
    tables = (exported / "tables.tex").read_text(encoding="utf-8")
    assert tables.count("begin{table}") == 5
    (tmp_path / "tables.tex").write_text(source % tables, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_hub_reads_scores_and_accuracies(exported):
    yaml = pytest.importorskip("yaml")
    hub = pytest.importorskip("huggingface_hub")
    (one,) = [one for one in reference_contributions(SUITE) if one.encoder.name == "yamnet"]
    text = (exported / "hub" / "yamnet" / ".eval_results" / "samples.yaml").read_text("utf-8")
    read = {entry.task_id: entry for entry in hub.parse_eval_result_entries(yaml.safe_load(text))}
    assert read["score-all"].value == pytest.approx(one.scores["all"].score, rel=1e-5)
    assert read["esc10-paper-1"].value == pytest.approx(100 * one.tasks["esc10-paper-1"].accuracy, rel=1e-5)
    assert {entry.dataset_id for entry in read.values()} == {"me/few-shot"}
    tasks = yaml.safe_load((exported / "hub" / "eval.yaml").read_text("utf-8"))
    check_eval_yaml(tasks)
    assert [task["id"] for task in tasks["tasks"]] == list(read)


def test_the_mteb_file_has_what_mteb_asks_for(exported):
    document = json.loads((exported / "mteb" / "yamnet.json").read_text("utf-8"))
    check_mteb_task_results(document["task_results"])
    assert len(document["task_results"]) == 12


def test_mteb_reads_the_file_and_the_tasks(exported):
    model_result = pytest.importorskip("mteb.results.model_result")
    eval_model = pytest.importorskip("mteb._hf_integration.eval_model")
    import yaml

    (one,) = [one for one in reference_contributions(SUITE) if one.encoder.name == "yamnet"]
    found = model_result.ModelResult.from_disk(exported / "mteb" / "yamnet.json")
    assert {task.task_name: task.get_score() for task in found.task_results} == pytest.approx(
        {f"samples-{name}": task.accuracy for name, task in one.tasks.items()}
    )
    tasks = yaml.safe_load((exported / "hub" / "eval.yaml").read_text("utf-8"))
    # mteb's own model of the file admits one framework alone, itself.
    assert len(eval_model.HFEvalMeta(**tasks | {"evaluation_framework": "mteb"}).tasks) == 16


def test_the_command_refuses_what_is_not_in_order(tmp_path, capsys):
    (tmp_path / "small.json").write_text(contribution_text(contribution(small_suite())))
    one = reference_contributions(SUITE)[0]
    (tmp_path / "one.json").write_text(contribution_text(one))
    (tmp_path / "again.json").write_text(contribution_text(one))
    (tmp_path / "edited.json").write_text(
        contribution_text(one).replace(f'"accuracy":{one.tasks["esc10-paper-1"].accuracy}', '"accuracy":1')
    )
    out = ["--out", str(tmp_path / "out")]
    for files, said in (
        (["small.json"], "suite 'small', which does not come with jfewshot"),
        (["one.json", "small.json"], "small.json: it is a contribution to the suite 'small', and not to 'samples'"),
        (["one.json", "again.json"], "two files are of one encoder"),
        (["edited.json"], "accuracy is 1, and its histogram gives"),
    ):
        with pytest.raises(UserError, match=said):
            main(["export", *(str(tmp_path / name) for name in files), *out])
    with pytest.raises(UserError, match="USER/NAME"):
        main(["export", str(tmp_path / "one.json"), *out, "--hub-dataset", "nothing"])
    assert not (tmp_path / "out").exists()
    assert main(["export", str(tmp_path / "one.json"), *out]) == 0
    assert not (tmp_path / "out" / "hub").exists()
