"""Files of measured numbers say where their numbers come from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tools.measuring import write_json

ROOT = Path(__file__).parents[2]
MEASURED = sorted((ROOT / "benchmarks/measured").glob("*.json"))
FIELDS = {"command", "processor", "cores", "load_before", "python", "date", "commit"}
# Measured before files were given their provenance. This list only becomes shorter: a file that is measured again leaves it.
WITHOUT = """
asr_cpu asr_study auto_strength emotion_cpu end_to_end_cpu expected_accuracy extraction_cpu headline_cpu
learning_curves long_recordings mteb_ranking noise simclr_ablation simclr_loss_cpu simclr_profiles simclr_signal_cpu
simclr_step_cpu simclr_sweep suite_cpu whitening
"""
# Measured on a branch whose commits were rewritten before they came to the main branch. This list only becomes shorter too.
REWRITTEN = "planted_faults"
# Counted and not measured: tests/test_compiled_costs.py counts all of it again.
COUNTED = "compiled_costs"


def provenances(path: Path) -> list[dict]:
    """What a file says of its origin: once, or once for each run or part."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, list):
        return [{}]
    # (The first run on a GPU was a script's.)
    runs = [run for run in content.get("runs", [content]) if not run.get("command", "").startswith("a script")]
    found = []
    for run in runs:
        if parts := [part for part in run.get("provenance", {}).values() if isinstance(part, dict)]:
            found += parts
        else:
            machine = {**run.get("machine", {}), **{key: run[key] for key in ("command", "commit") if key in run}}
            found.append(run.get("provenance") or machine)
    return found


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_measured_numbers_name_command_machine_date_load_and_commit(path):
    if path.stem == COUNTED:
        return
    missing = [FIELDS - set(found) for found in provenances(path)]
    if path.stem in WITHOUT.split():
        assert any(missing), f"{path.stem} has its provenance now: take it out of the list"
    else:
        assert not any(missing), f"{path.name} lacks {missing}: write it with benchmarks.tools.measuring.write_json"
        for found in provenances(path):
            assert not str(found["commit"]).endswith("dirty"), f"{path.name} was measured on a tree with changes"


def git(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)


def test_measured_numbers_are_of_commits_of_this_history():
    """A commit that is not in the history cannot be checked out, so its numbers cannot be checked either."""
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("this checkout has no full history")
    named = {path.stem: {str(found["commit"]) for found in provenances(path) if "commit" in found} for path in MEASURED}
    commits = set().union(*(named[stem] for stem in named if stem not in WITHOUT.split()))
    known = {commit for commit in commits if git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0}
    elsewhere = {stem for stem, of in named.items() if stem not in WITHOUT.split() and not of <= known}
    assert elsewhere == set(REWRITTEN.split()), "measure on a clean checkout of the main branch; mend the list above"


def test_a_file_that_is_written_has_its_provenance(tmp_path):
    code = (
        "from pathlib import Path; from benchmarks.tools.measuring import write_json; "
        f"write_json(Path({str(tmp_path / 'x.json')!r}), {{'cells': [{{'a': [1, 2]}}]}}, a_line_each=True)"
    )
    subprocess.run([sys.executable, "-c", code, "--speed"], cwd=ROOT, check=True)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert set(content["provenance"]) >= FIELDS
    assert content["provenance"]["command"].endswith("--speed")
    assert content["cells"] == [{"a": [1, 2]}]
    assert '{ "a": [ 1, 2 ] }' in text or '"a": [ 1, 2 ]' in text


def test_a_file_of_several_commands_has_the_provenance_of_each_part(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    monkeypatch.setattr(sys, "argv", ["study", "--cells"])
    write_json(path, {"cells": [1], "provenance": {"command": "of before there were parts"}}, parts=["5x1", "5x5"])
    monkeypatch.setattr(sys, "argv", ["study", "--speed"])
    write_json(path, json.loads(path.read_text()) | {"speed": 2}, parts=["speed"])
    content = json.loads(path.read_text())
    assert {part: found["command"].split()[-1] for part, found in content["provenance"].items()} == {
        "5x1": "--cells",
        "5x5": "--cells",
        "speed": "--speed",
    }
    assert (content["cells"], content["speed"]) == ([1], 2)
    assert next(iter(content)) == "provenance"
