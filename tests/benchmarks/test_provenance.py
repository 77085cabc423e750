"""Files of measured numbers say where their numbers come from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEASURED = sorted((ROOT / "benchmarks/measured").glob("*.json"))
FIELDS = {"command", "processor", "cores", "load_before", "python", "date", "commit"}
# Measured before files were given their provenance. This list only becomes shorter: a file that is measured again leaves it.
BEFORE = """
asr_cpu asr_study auto_strength compiled_costs emotion_cpu end_to_end_cpu expected_accuracy extraction_cpu fusion grid_cpu
grid_filled_cpu grid_ray_cpu headline_cpu learning_curves long_recordings mteb_ranking noise real_size_cpu scaling_cpu
simclr_ablation simclr_loss_cpu simclr_profiles simclr_signal_cpu simclr_step_cpu simclr_sweep suite_cpu whitening
"""


def provenances(path: Path) -> list[dict]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, list):
        return [{}]
    # (The first run on a GPU was a script's.)
    runs = [run for run in content.get("runs", [content]) if not run.get("command", "").startswith("a script")]
    return [
        run.get("provenance") or {**run.get("machine", {}), **{k: run[k] for k in ("command", "commit") if k in run}}
        for run in runs
    ]


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_measured_numbers_name_command_machine_date_load_and_commit(path):
    missing = [FIELDS - set(found) for found in provenances(path)]
    if path.stem in BEFORE.split():
        assert any(missing), f"{path.stem} has its provenance now: take it out of the list"
    else:
        assert not any(missing), f"{path.name} lacks {missing}: write it with benchmarks.tools.measuring.write_json"
        for found in provenances(path):
            assert not str(found["commit"]).endswith("dirty"), f"{path.name} was measured on a tree with changes"


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
