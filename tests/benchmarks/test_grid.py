"""The benchmark of grids with many cells: its sizes, and that made-up records are those that a run looks for."""

import json

from benchmarks.grid import (
    STRENGTHS,
    Shape,
    _cells_that_differ,
    fill,
    run_arguments,
    shape_of,
    without_folders,
    write_stores,
)
from jfewshot.results import read_results
from jfewshot.run import main
from tests.results.packed import keys, remove


def test_grids_have_the_sizes_that_were_measured_before():
    assert shape_of(3200).cells == 3200
    assert shape_of(100_000).cells == 101_400
    assert shape_of(100_000) == Shape(13, 10, 13, (1, 2, 3, 4, 5, 8))


def test_kept_messages_name_no_folder_of_the_machine():
    line = "records in /home/me/tmp-1/results; next: jfewshot report /home/me/tmp-1/results (10 cells/s, tables and/or figures)"
    assert (
        without_folders(line) == "records in results; next: jfewshot report results (10 cells/s, tables and/or figures)"
    )


def test_cells_that_differ_are_counted(tmp_path, capsys):
    shape = Shape(encoders=1, datasets=1, layers=1, shots=(1,))
    write_stores(tmp_path / "stores", shape)
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        fill(run_arguments(tmp_path / "stores", folder, shape, episodes=10), folder)
    assert _cells_that_differ(*folders) == 0  # made up from the same random numbers
    assert len(keys(folders[1])) == len(STRENGTHS)
    remove(folders[1], *keys(folders[1])[:3])
    assert _cells_that_differ(*folders) == 3


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
