"""How version 1 of the suites that come with the package was put together. Tests compare the frozen files with it.

The files are authoritative: a suite is never changed, and a change of these functions belongs to a further version.
"""

import importlib.resources
import json
from collections.abc import Iterable, Mapping

import msgspec

from jfewshot.classifiers.specs import parse_classifier
from jfewshot.files import sha256_of_json
from jfewshot.reporting.published import read_data_csv, table3
from jfewshot.suite.contribution import Contribution
from jfewshot.suite.definition import (
    FORMAT,
    FORMAT_VERSION,
    Suite,
    SuiteDataset,
    Task,
    TaskDigests,
    TaskProtocol,
    Track,
)

_PAPER = "Heggan, Budgett, Hospedales and Yaghoobi (2024)"
# By dataset: its key in `class_splits.json`, and whether every listed class is known to have six clips, as five shots and a query
# need: by the publisher's counts, or since the paper dropped smaller classes.
_PAPER_CLASSES = {
    "scv2": ("SpeechCommandsV2", True),
    "saa": ("Speech Accent Archive", False),
    "commonvoice": ("Common Voice v12 Delta", False),
    "voxceleb1": ("VoxCeleb1", True),
    "crema_d": ("Crema-D", True),
    "nsynth": ("NSynth", False),
    "esc50": ("ESC-50", True),
    "fsdkaggle18": ("FSDKaggle18", True),
    "watkins": ("Watkins Marine Mammal", False),
    "birdclef2020": ("BirdCLEF 2020 (Pruned)", True),
}
_FAMILIES = {"speech": "speech", "other": "other sounds"}
# Name, title, family, what `jfewshot extract` takes, and the folder of the audio as published.
_SAMPLES = (
    ("arabic_commands", "Arabic Commands", "speech", "arabic_commands", "arabic-speech-commands"),
    ("fsdd_digits", "FSDD digits", "speech", "extraction.samples:digits", "fsdd"),
    ("fsdd_speakers", "FSDD speakers", "speech", "extraction.samples:speakers", "fsdd"),
    ("esc10", "ESC-10", "other sounds", "esc10", "esc10"),
)
_ANCHOR_DECIMALS = 4


def tracks() -> list[Track]:
    """The few-shot paper's protocol, and the same at 1 and 5 shots with strengths that each episode chooses."""
    chosen = "ridge:alpha=auto"
    return [
        _track("paper-1", "1-shot, the paper's SGD", 1, "sgd"),
        _track("chosen-1", "1-shot, strength chosen", 1, chosen),
        _track("chosen-5", "5-shot, strength chosen", 5, chosen),
    ]


def paper10() -> Suite:
    """The paper's ten datasets; the best row of its Table 3 scores 1000."""
    published = table3()
    splits = json.loads(_data("class_splits.json"))
    datasets, tasks = [], []
    for row in read_data_csv("datasets.csv"):
        key, large = _PAPER_CLASSES[row["name"]]
        listed = sorted(splits[key]["test"])
        classes: dict[str, list[str] | None] = {"1": listed, "5": listed if large else None}
        datasets.append(
            SuiteDataset(row["name"], row["title"], _FAMILIES[row["kind"]], "test", row["name"], row["name"], classes)
        )
        column = published.accuracy[:, published.datasets.index(row["title"])]
        best = int(column.argmax())
        upper = round(float(column[best]), _ANCHOR_DECIMALS)
        tasks += [_task(row["name"], track, upper, f"Table 3, {published.models[best]}") for track in tracks()]
    return _suite(
        "paper10",
        "The few-shot paper's ten datasets",
        f"The ten datasets and the protocol of {_PAPER}, arXiv 2402.01274, and the same episodes at 1 and 5 shots with a ridge "
        "classifier whose strength each episode chooses. A score of 0 is chance, 1000 the best accuracy of the paper's Table 3 "
        "on the dataset, at one shot.",
        datasets,
        tasks,
        {},
    )


def samples(classes: Mapping[str, list[str]], contributed: Iterable[Contribution]) -> Suite:
    """The datasets of the sample stores; the best encoder among them scores 1000.

    Args:
      classes: of each dataset, sorted; all of them have six clips.
      contributed: the results of the encoders of the sample stores; none before they are known.

    Returns:
      the suite; without contributions with anchors of 1 and no digests.
    """
    contributed = list(contributed)
    datasets, tasks = [], []
    digests: dict[str, dict[str, str]] = {}
    for name, title, family, load, folder in _SAMPLES:
        datasets.append(SuiteDataset(name, title, family, None, load, folder, {"1": classes[name], "5": classes[name]}))
        for track in tracks():
            task = f"{name}-{track.name}"
            upper, best = max(
                ((one.tasks[task].accuracy, one.encoder.name) for one in contributed), default=(1.0, "nothing")
            )
            tasks.append(_task(name, track, round(upper, _ANCHOR_DECIMALS), f"sample store of {best}"))
            if contributed:
                first = contributed[0].tasks[task]
                digests[task] = {"clip_table": first.clip_table, "draws": first.draws}
    return _suite(
        "samples",
        "The sample stores",
        "Words, digits, speakers and environmental sounds of the stores that come with jfewshot, under the tracks of paper10: a "
        "suite that runs on any machine. A score of 0 is chance, 1000 the best encoder among the sample stores on the task.",
        datasets,
        tasks,
        digests,
    )


def suite_text(suite: Suite) -> str:
    """A suite's file as text.

    Args:
      suite: any suite.
    """
    return json.dumps(msgspec.to_builtins(suite), indent=1, ensure_ascii=False) + "\n"


def _track(name: str, title: str, k_shot: int, classifier: str) -> Track:
    spec = parse_classifier(classifier)
    kind = spec.classifier.strength
    protocol = TaskProtocol(
        n_way=5,
        k_shot=k_shot,
        n_query=1,
        n_episodes=10_000,
        seed=42,
        min_clips=k_shot + 1,
        group_aware=False,
        query_segments="vote",
    )
    return Track(
        name=name,
        title=title,
        protocol=protocol,
        view="last.mean",
        preprocessing="l2",
        classifier=classifier,
        settings=spec.identity(),
        strength_rule="none" if kind is None else "auto",
        strength_grid=None if kind is None else kind.grid_version,
    )


def _task(dataset: str, track: Track, upper: float, upper_of: str) -> Task:
    return Task(f"{dataset}-{track.name}", dataset, track.name, 1 / track.protocol.n_way, upper, upper_of)


def _suite(
    name: str,
    title: str,
    description: str,
    datasets: list[SuiteDataset],
    tasks: list[Task],
    known: Mapping[str, Mapping[str, str]],
) -> Suite:
    suite = Suite(FORMAT, FORMAT_VERSION, name, 1, title, description, tracks(), datasets, tasks, {})
    digests = {}
    for task in tasks:
        listed = suite.classes(task)
        digests[task.name] = TaskDigests(
            clip_table=known.get(task.name, {}).get("clip_table", ""),
            classes="" if listed is None else sha256_of_json(listed),
            draws=known.get(task.name, {}).get("draws", ""),
        )
    return msgspec.structs.replace(suite, digests=digests)


def _data(name: str) -> str:
    return importlib.resources.files("jfewshot").joinpath("data", name).read_text(encoding="utf-8")
