"""Damaged result folders."""

import contextlib
import json

import numpy as np

from jfewshot.errors import UserError
from jfewshot.reporting.analysis import analyse, pairs_grid, ranks_grid
from jfewshot.reporting.chosen import chosen_grid
from jfewshot.reporting.compare import compare_folders, moves_grid
from jfewshot.reporting.exports import model_index, mteb_json
from jfewshot.reporting.leaderboard import leaderboards
from jfewshot.reporting.tables import render
from jfewshot.reporting.tidy import tidy_csv, tidy_rows
from jfewshot.reporting.trends import trends
from jfewshot.results import ResultFolder, key_of, read_results
from jfewshot.results.lines import line_of
from tests.fuzzing.folders import sha256
from tests.mutations import damaged, damaged_json, damaged_npz
from tests.reporting.synthetic import write_results
from tests.results.packed import as_version_1


class Records:
    """A result folder with a damaged file of records; in most inputs the keys fit what the damaged records say."""

    def make(self, folder):
        write_results(
            folder,
            {"alpha": 0.5, "beta": 1.0},
            ["birds"],
            shots=(1, 2),
            n_query=3,
            n_episodes=20,
            n_classes=6,
            n_per_class=8,
        )

    def damage(self, files, rng):
        name = next(name for name in files if name.startswith("records/"))
        lines = files[name].splitlines(keepends=True)
        if rng.random() < 0.3:
            return files | {name: damaged(files[name], rng)}
        at = int(rng.integers(len(lines)))
        text, value = damaged_json(json.loads(lines[at]), rng)
        if isinstance(value, dict) and isinstance(value.get("identity"), dict):
            with contextlib.suppress(ValueError):  # a surrogate has no digest
                text = line_of(value | {"key": key_of(value["identity"])}).decode()
        lines[at] = text.strip("\n").encode() + b"\n"
        return files | {name: b"".join(lines)}

    def read(self, folder, sound):
        results = read_results(folder)
        problems = list(results.problems)
        again = ResultFolder(folder)
        for record in results.records:
            again.find(record["key"])
            for part in (results.predictions, results.right_of_slot, results.draws):
                try:
                    found = part(record)
                except UserError as error:
                    problems.append(str(error))
                    continue
                expected = sound["predictions"].get(record["key"])
                if part == results.predictions and expected is not None:
                    np.testing.assert_array_equal(found, expected)
        again.close()
        if not results.records:
            raise UserError(problems[0])  # as `jfewshot report` does
        for board in leaderboards(results.records):
            for form in ("terminal", "markdown", "latex", "csv", "json"):
                render(board, form)
            analysis = analyse(results, board, problems)
            pairs_grid(analysis), ranks_grid(analysis)
        trends(results.records)
        chosen_grid(results.records)
        tidy_csv(tidy_rows(results.records))
        model_index(results.records)
        mteb_json(results.records)
        moves_grid(compare_folders(sound["results"], results), "Fuzz")
        return problems


class SingleFiles(Records):
    """A result folder of format version 1 with a damaged record."""

    def make(self, folder):
        super().make(folder)
        as_version_1(folder)

    def damage(self, files, rng):
        names = [name for name in files if name.startswith("cells/")]
        name = names[rng.integers(len(names))]
        raw = rng.random() < 0.4
        changed = damaged(files[name], rng) if raw else damaged_json(json.loads(files[name]), rng)[0].encode()
        return files | {name: changed}


class Predictions(Records):
    """A result folder with a damaged file of predictions; in half of the inputs the records have its digests."""

    def damage(self, files, rng):
        name = next(name for name in files if name.startswith("predictions/"))
        lines = next(name for name in files if name.startswith("records/"))
        changed = damaged(files[name], rng)
        if rng.random() < 0.5:
            records = [json.loads(line) for line in files[lines].splitlines()]
            for record in records:
                block = record["predictions"]
                # Packed again, so that a block is whole and of other values or of another length.
                data = changed[block["offset"] :][: block["bytes"]]
                block["sha256"] = sha256(data)
            files = files | {lines: b"".join(map(line_of, records))}
        return files | {name: changed}

    def read(self, folder, sound):
        return super().read(folder, sound | {"predictions": {}})


class Draws(Records):
    """A result folder with a damaged file of drawn clips."""

    def damage(self, files, rng):
        names = [name for name in files if name.startswith("draws/")]
        name = names[rng.integers(len(names))]
        data = files[name]
        lines = next(name for name in files if name.startswith("records/"))
        if rng.random() < 0.7:
            records = [json.loads(line) for line in files[lines].splitlines()]
            for record in records:
                record.pop("draws_sha256", None)  # as earlier versions wrote them
            files = files | {lines: b"".join(map(line_of, records))}
        return files | {name: damaged(data, rng) if rng.random() < 0.4 else damaged_npz(data, rng)}
