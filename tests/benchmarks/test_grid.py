"""The benchmark of grids with many cells: its sizes, and that made-up records are those that a run looks for."""

import json

from benchmarks.grid import STRENGTHS, Shape, fill, run_arguments, shape_of, write_stores
from jfewshot.results import read_results
from jfewshot.run import main


def test_grids_have_the_sizes_that_were_measured_before():
    assert shape_of(3200).cells == 3200
    assert shape_of(100_000).cells == 101_400
    assert shape_of(100_000) == Shape(13, 10, 13, (1, 2, 3, 4, 5, 8))


def test_a_run_finds_every_made_up_record(tmp_path, caplog, capsys):
    shape = Shape(encoders=2, datasets=1, layers=2, shots=(1,))
    write_stores(tmp_path / "stores", shape)
    arguments = run_arguments(tmp_path / "stores", tmp_path / "results", shape, episodes=10)
    fill(arguments, tmp_path / "results")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["written"] == shape.cells == 4 * len(STRENGTHS)
    results = read_results(tmp_path / "results")
    assert len(results.records) == shape.cells
    for record in results.records[:3]:
        assert abs(results.right_of_slot(record).mean() / 15 - record["accuracy"]["mean"]) < 1e-12
    with caplog.at_level("INFO"):
        main([*arguments])
    assert f"{shape.cells} of {shape.cells} cells were there already" in caplog.text
