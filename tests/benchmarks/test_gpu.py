"""`python -m benchmarks.gpu` with tiny sizes on a CPU, so that a GPU's minutes are not lost to a mistake."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.picture import check_line, draw_figure, table
from benchmarks.gpu.reference import TINY, Problem, compare, make_reference, problems
from benchmarks.gpu.stores import exact
from jfewshot.episodes.protocol import Protocol
from jfewshot.evaluator.evaluator import Evaluator

COMMAND = [sys.executable, "-m", "benchmarks.gpu", "--tiny"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "reference.npz"
    assert make_reference(path, **TINY) == 2
    return path


def test_a_reference_agrees_with_itself_and_its_centroids_with_numpys(reference):
    arrays = dict(np.load(reference))
    for problem in problems(**TINY):
        found = compare(problem, arrays, Evaluator())
        assert found["different_clear"] == found["different_near_ties"] == 0
        assert found["same_draws"]
        assert found["clear"] > 0.9 * found["predictions"]
    problem = next(problems(**TINY | {"classifiers": ("centroid",)}))
    clips = Evaluator().draw(problem.store.clips, problem.protocol).clips
    x = problem.store.view.astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    # One shot: the nearest support.
    support, query = x[clips[:, :, 0]], x[clips[:, :, 1:]].reshape(8, 25, -1)
    distance = ((query[:, :, None] - support[:, None]) ** 2).sum(-1)
    np.testing.assert_array_equal(arrays[f"{problem.name}|predicted"], distance.argmin(2))


def test_a_wrong_prediction_and_a_wrong_draw_are_found(reference):
    arrays = dict(np.load(reference))
    problem = next(problems(**TINY))
    predicted = arrays[f"{problem.name}|predicted"].copy()
    clear = np.unpackbits(arrays[f"{problem.name}|clear"], count=predicted.size).reshape(predicted.shape).astype(bool)
    at = tuple(np.argwhere(clear)[0])
    predicted[at] = (predicted[at] + 1) % 5
    spoilt = arrays | {f"{problem.name}|predicted": predicted, f"{problem.name}|draws": np.array("0")}
    found = compare(problem, spoilt, Evaluator())
    assert found["different_clear"] == 1
    assert not found["same_draws"]
    assert "FAILED" in (check_line([{"part": "check", **found}]) or "")


def test_exact_embeddings_are_the_same_bits_everywhere():
    view = exact(3, 2, 4).view
    rng = np.random.default_rng(7)
    centres, noise = rng.standard_normal((3, 4), np.float32), rng.standard_normal((6, 4), np.float32)
    by_hand = [np.float32(3) + centres[i // 2] + np.float32(2) * noise[i] for i in range(6)]
    np.testing.assert_array_equal(view, by_hand)


def test_problems_leave_out_stores_with_too_few_classes():
    names = {(p.store.name, p.protocol.n_way) for p in problems(1, classifiers=("knn",))}
    assert ("arabic_commands/yamnet", 20) in names
    assert ("fsdd_digits/whisper_tiny_en", 20) not in names
    assert isinstance(Problem(exact(), Protocol(), "knn").name, str)


def test_one_command_checks_measures_and_writes(reference, tmp_path):
    parts = ["check", "blocks"]
    command = [*COMMAND, "--out", str(tmp_path), "--reference", str(reference), "--parts", *parts]
    done = subprocess.run(command, capture_output=True, text=True, env=_few())
    results = json.loads((tmp_path / "results.json").read_text())
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "log.txt").read_text()
    assert [part["ended"] for part in results["parts"].values()] == ["finished"] * 2
    assert not [row for row in results["rows"] if "failed" in row]
    assert "check PASSED: 2 problems" in done.stdout
    for row in results["rows"]:
        if row["part"] != "check":
            assert all(rate > 0 for kind in ("call", "solve", "draw") for rate in row["rates"][kind])
            assert row["stages_s"]["solving"] > 0
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_a_command_that_is_stopped_leaves_what_it_measured(tmp_path):
    command = [*COMMAND, "--out", str(tmp_path), "--parts", "paper", "blocks"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_few())
    file = tmp_path / "results.json"
    while process.poll() is None and not (file.exists() and json.loads(file.read_text())["rows"]):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    rows = json.loads(file.read_text())["rows"]
    assert rows
    assert (tmp_path / "table.txt").read_text().startswith(table(rows))


def test_rows_without_a_rate_have_no_figure(tmp_path):
    draw_figure([{"part": "small", "side": "", "failed": "exit status 1"}], "", tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


def test_every_part_says_what_it_is():
    assert all(part.jobs.__doc__ and part.limit_s > 0 for part in PARTS.values())


def _few() -> dict[str, str]:
    return os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "1"}


def test_the_kernels_part_measures_and_compares(tmp_path):
    from benchmarks.gpu.parts import Setting

    rows = [measure() for _, measure in PARTS["kernels"].jobs(Setting(tmp_path, tiny=True))]
    assert [row["not_converged"] for row in rows[:2]] == [0.0, 0.0]
    assert all(rate > 0 for row in rows[:3] for rate in row["rates"]["kernel"])
    assert rows[3]["bytes"] == 64 * 75


def test_the_page_s_rates_of_whole_calls_are_those_that_were_measured():
    root = Path(__file__).parents[2]
    runs = json.loads((root / "benchmarks/measured/gpu_h200.json").read_text())["runs"]
    rows = next(run for run in runs if run["commit"] == "40724f0")["rows"]
    page = (root / "docs/benchmarks.md").read_text()
    table = page[page.index("### Whole calls") : page.index("![Rates of jfewshot and PyTorch")]
    lines = [line.split("|")[2:4] for line in table.splitlines() if line.startswith("| ") and line.count("|") == 6]
    printed = [[float(cell.replace("M", "")) for cell in line] for line in lines[1:]]
    assert len(printed) == 13
    ours = [row["rates"] for row in rows if row["side"] == "jfewshot" and "call" in row.get("rates", {})]
    measured = {tuple(float(np.median(rates[kind])) / 1e6 for kind in ("call", "solve")) for rates in ours}
    for pair in printed:
        # Each printed pair is a measured one, rounded to its digits.
        assert any(np.allclose(pair, rates, rtol=0, atol=0.051 if pair[0] >= 1 else 6e-4) for rates in measured), pair
    readme = (root / "README.md").read_text()
    assert "39.6 million at one shot (compiled PyTorch: 64.1), 36.9 at five (8.2)" in readme
