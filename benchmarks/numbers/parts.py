"""The commands that measure numbers again, and the printed numbers that they repeat."""

import csv
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.numbers.claims import Accuracy, Compared, Ratio
from benchmarks.numbers.pages import ROOT, table_below
from benchmarks.suite.rows import Question, Row

# Names of datasets on the pages that differ from the names in the stores.
_DATASETS = {"ESC-10 (sounds)": "ESC-10", "Arabic words": "Arabic Speech Commands (20 words)"}
_MEASURED = ROOT / "benchmarks/measured"


@dataclasses.dataclass(frozen=True)
class Part:
    """Numbers that one or several commands measure.

    Attributes:
      about: a description of the numbers.
      commands: given the working folder, returns the module and options of each command.
      compare: reads what the commands wrote in the folder, and compares it with the pages.
    """

    about: str
    commands: Callable[[Path], list[list[str]]]
    compare: Callable[[Path], Iterator[Compared]]


def _evaluation(folder: Path, name: str, *options: str) -> list[str]:
    return ["jfewshot.run", *options, "--out", str(folder / "results"), "--csv", str(folder / f"{name}.csv")]


def _accuracies(folder: Path, name: str) -> dict[tuple[str, str, str], float]:
    """Accuracies in percent, by title of the condition, upstream and dataset."""
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return {
            (row["condition"], row["upstream"], column): 100 * float(value)
            for row in csv.DictReader(file)
            for column, value in row.items()
            if column not in ("condition", "upstream", "average_rank") and not column.endswith("ci95") and value
        }


def _one_shot_commands(folder: Path) -> list[list[str]]:
    return [_evaluation(folder, "one")]


def _one_shot(folder: Path) -> Iterator[Compared]:
    measured = {key[1:]: value for key, value in _accuracies(folder, "one").items()}
    for row in table_below("README.md", "make run"):
        for column in [*_datasets(row), "Avg"]:
            value = measured[row["Upstream"], "average" if column == "Avg" else column]
            yield Accuracy(f"{row['Upstream']}, {column}, 1 shot", "README.md", row[column], value)
    for row in table_below("docs/samples.md", "### One shot"):
        for column in _datasets(row) if row[""] != "chance" else ():
            value = measured[row[""], _DATASETS.get(column, column)]
            yield Accuracy(f"{row['']}, {column}, 1 shot", "docs/samples.md", row[column], value)


def _chosen_commands(folder: Path) -> list[list[str]]:
    options = ("--classifiers", "logistic:C=auto", "logistic")
    return [
        _evaluation(folder, "five", "--shots", "5", "--episodes", "1000", *options),
        _evaluation(folder, "twenty", "--shots", "20", "--episodes", "200", *options),
    ]


def _chosen(folder: Path) -> Iterator[Compared]:
    for shots, name, text in ((5, "five", "### Five and twenty shots"), (20, "twenty", "Twenty shots, 200 episodes")):
        measured = {
            ("C = auto" in condition, upstream, dataset): value
            for (condition, upstream, dataset), value in _accuracies(folder, name).items()
        }
        for row in table_below("docs/samples.md", text):
            for column in _datasets(row):
                auto, one = re.fullmatch(r"\**([\d.]+)\** \(([\d.]+)\)", row[column]).groups()  # type: ignore[union-attr]
                for chosen, claimed in ((True, auto), (False, one)):
                    what = f"{row['']}, {column}, {shots} shots, C = {'auto' if chosen else 1}"
                    value = measured[chosen, row[""], _DATASETS.get(column, column)]
                    yield Accuracy(what, "docs/samples.md", claimed, value)


def _datasets(row: dict[str, str]) -> list[str]:
    return [column for column in row if column.startswith(("Arabic", "ESC", "FSDD"))]


# The rows of the README's table, which are rows of `--selection headline`.
_HEADLINE = (
    Row(Question(n_episodes=100_000), "torch Gram, episodes last, compiled"),
    Row(Question(), "torch Gram, episodes last, compiled"),
    Row(Question(), "scikit-learn"),
    Row(Question(k_shot=5), "torch Gram, episodes last, compiled"),
    Row(Question(k_shot=5), "scikit-learn"),
    Row(Question(n_way=20, k_shot=5), "torch Gram"),
    Row(Question(n_way=20, k_shot=5), "scikit-learn"),
    Row(Question(k_shot=100, n_episodes=512), "scikit-learn"),
    Row(Question(segments=300_000), "torch Gram"),
    Row(Question(segments=300_000), "scikit-learn"),
)


def _headline_commands(folder: Path) -> list[list[str]]:
    commands = []
    for row in _HEADLINE:
        asked = row.question
        options = {
            "--competitors": row.competitor,
            "--ways": asked.n_way,
            "--shots": asked.k_shot,
            "--segments": asked.segments,
            "--episodes": asked.n_episodes,
            "--rounds": 3,
            "--out": folder / "headline",
        }
        chosen = [word for option, value in options.items() for word in (option, str(value))]
        commands.append(["benchmarks.run", "--selection", "headline", "--device", "cpu", *chosen])
    return commands


def _headline(folder: Path) -> Iterator[Compared]:
    found = {_identity(row): row for row in json.loads((folder / "headline/results.json").read_text())["rows"]}
    on_record = {_identity(row): row for row in json.loads((_MEASURED / "headline_cpu.json").read_text())["rows"]}
    for row in _HEADLINE:
        claimed, measured = (rows[_identity(row.identity())] for rows in (on_record, found))
        asked = row.question
        size = "" if asked.n_episodes == 10_000 else f", {asked.n_episodes:,} a call"
        what = f"{asked.n_way}-way {asked.k_shot}-shot, {asked.segments:,} clips{size}, over {row.competitor}"
        then = claimed["ratio"], claimed["ratio_smallest"], claimed["ratio_largest"]
        yield Ratio(what, "docs/benchmarks.md", then, measured["ratio"])


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[field] for field in ("n_way", "k_shot", "segments", "n_episodes", "competitor"))


def _real_size_commands(folder: Path) -> list[list[str]]:
    options = ["--shots", "1", "5", "--rounds", "3", "--sides", "ours", "products", "reading"]
    return [["benchmarks.real_size", *options, "--json", str(folder / "real_size.json")]]


def _real_size(folder: Path) -> Iterator[Compared]:
    claimed, measured = (
        {result["question"]["k_shot"]: result["ours_over"] for result in json.loads(path.read_text())["results"]}
        for path in (_MEASURED / "real_size_cpu.json", folder / "real_size.json")
    )
    for shots in claimed:
        for side, then in claimed[shots].items():
            what = f"5-way {shots}-shot, 300,000 clips, over {side}"
            yield Ratio(what, "docs/benchmarks.md", then, measured[shots][side][0])


# For each training: the page of its ratios, the field of its file that holds them, and the settings that are repeated.
_TRAINING = {
    "simclr_step": ("docs/pretraining.md", "ratio", ("batch", "frames")),
    "emotion": ("docs/emotion.md", "measured", ("batch", "frames", "dim", "layers")),
    "asr": ("docs/asr.md", "results", ("batch", "frames", "n_units", "longest", "beam", "layers")),
}


def _training_commands(folder: Path) -> list[list[str]]:
    """The commands of the recorded measurements with fewer rounds. The sizes are the same, because ratios depend on them."""
    commands = []
    for name, (_, _, repeated) in _TRAINING.items():
        settings = json.loads((_MEASURED / f"{name}_cpu.json").read_text())["settings"]
        chosen = [word for field in repeated for word in (f"--{field.replace('_', '-')}", str(settings[field]))]
        ends = ["--rounds", "3", "--json", str(folder / f"{name}.json")]
        commands.append([f"benchmarks.training.{name}", *chosen, *ends])
    return commands


def _training(folder: Path) -> Iterator[Compared]:
    for name, (page, field, _) in _TRAINING.items():
        claimed, measured = (
            json.loads(path.read_text())[field] for path in (_MEASURED / f"{name}_cpu.json", folder / f"{name}.json")
        )
        for what, on_record in claimed.items():
            then, now = (value["ratio"] if isinstance(value, dict) else value for value in (on_record, measured[what]))
            against = f"over {what}" if field == "ratio" else f"{what}, over torch"
            yield Ratio(f"{name}: {against}", page, tuple(then), now[0])


PARTS = {
    "one-shot": Part("accuracies of the sample stores, 1 shot", _one_shot_commands, _one_shot),
    "chosen": Part("accuracies of the sample stores, 5 and 20 shots, chosen strengths", _chosen_commands, _chosen),
    "headline": Part("speed compared with PyTorch and scikit-learn", _headline_commands, _headline),
    "real-size": Part(
        "speed on 300,000 clips compared with products alone and with reading", _real_size_commands, _real_size
    ),
    "training": Part("training steps compared with PyTorch and s3prl", _training_commands, _training),
}
