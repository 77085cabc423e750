"""The recipes of docs/from_neighbours.md, run as a reader would: `make test-door-recipes`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jfewshot.results import read_results
from tests.documentation.pages import ROOT, blocks

PAGE = ROOT / "docs" / "from_neighbours.md"
MOST_LINES = 10
RESULTS = {  # the folder that each recipe leaves, and the encoders whose accuracies are in it
    "results": {"mfcc", "fbank"},
    "results_of_database": {"mine"},
    "results_of_hf": {"mine"},
    "results_hear": {"hearbaseline.vqt", "mfcc"},
    "results_of_checkpoints": {"step100", "step1000", "step10000"},
}


def sections() -> dict[str, list]:
    """The blocks of each recipe by its heading."""
    headings = [
        (number, line[3:])
        for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1)
        if line.startswith("## ")
    ]
    found: dict[str, list] = {heading: [] for _, heading in headings}
    for block in blocks(PAGE):
        heading = [name for number, name in headings if number < block.line][-1]
        found[heading].append(block)
    return found


def test_each_recipe_has_at_most_ten_lines():
    found = sections()
    assert len(found) == 6
    for heading, recipe in found.items():
        if heading == "Example recordings":
            continue  # recordings for the recipes, which readers have
        lines = [line for block in recipe for line in block.text.splitlines() if line.strip()]
        assert 1 <= len(lines) <= MOST_LINES, heading


@pytest.mark.skipif(not os.environ.get("JFEWSHOT_TEST_RECIPES"), reason="runs in make test-door-recipes")
def test_the_recipes_run(tmp_path):
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": programs, "PYTHONPATH": str(ROOT)}
    for heading, recipe in sections().items():
        for block in recipe:
            text = "\n".join(line for line in block.text.splitlines() if not line.startswith("pip "))
            command = [sys.executable, "-c", text] if block.language == "python" else ["bash", "-e", "-c", text]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, f"{heading}, {block}: {done.stdout[-500:]}{done.stderr[-2000:]}"
    found = {}
    for folder, upstreams in RESULTS.items():
        found[folder] = read_results(tmp_path / folder).records
        assert {record["upstream"]["name"] for record in found[folder]} == upstreams
    best = {record["upstream"]["name"]: record["accuracy"]["mean"] for record in found["results_of_checkpoints"]}
    assert best["step100"] < best["step1000"] < best["step10000"]
    # Two ways through a database give the numbers of the store that it was made of, but for its rounding to float16.
    direct = sorted(record["accuracy"]["mean"] for record in found["results"] if record["upstream"]["name"] == "mfcc")
    through = sorted(record["accuracy"]["mean"] for record in found["results_of_database"])
    assert through == pytest.approx(sorted(2 * direct), abs=0.002)
