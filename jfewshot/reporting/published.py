"""Published numbers that ship with the package: the few-shot paper's Table 3, SUPERB's scores, facts of upstreams and
datasets.

Table 3 is of Heggan, Budgett, Hospedales and Yaghoobi, "On the Transferability of Large-Scale Self-Supervision to
Few-Shot Audio Classification", arXiv 2402.01274. SUPERB's scores are of its public leaderboard (Yang et al.,
Interspeech 2021; each row of `data/superb.csv` names its source).
"""

import csv
import dataclasses
import functools
import importlib.resources

import numpy as np
from jaxtyping import Float

# Reference scores of SUPERB's overall score: its FBANK baseline and its state of the art.
SUPERB_REFERENCES = {
    "PR_PER": (82.01, 3.53),
    "KS_ACC": (41.3826674, 96.66),
    "IC_ACC": (9.649354219, 98.76),
    "SID_ACC": (20.058174, 90.3),
    "ER_ACC": (48.23672168, 67.62),
    "ASR_WER": (23.18, 3.62),
    "QbE_MTWVx100": (0.58, 7.36),
    "SF_F1": (69.64, 89.81),
    "SF_CER": (52.94, 21.76),
    "ASV_EER": (9.56, 5.11),
    "SD_DER": (10.05, 5.62),
}
# Slot filling's two metrics are one task.
SUPERB_TASK_OF = {metric: metric.split("_")[0] for metric in SUPERB_REFERENCES}
# Names of the metrics, metrics for which lower is better, and SUPERB's four aspects of speech, in the order of the
# paper's Figure 2.
SUPERB_GROUPS = {
    "content": {"PR_PER": "PR", "ASR_WER": "ASR", "KS_ACC": "KS", "QbE_MTWVx100": "QbE"},
    "speaker": {"SID_ACC": "SID", "ASV_EER": "ASV", "SD_DER": "SD"},
    "semantics": {"IC_ACC": "IC", "SF_F1": "SF-F1", "SF_CER": "SF-CER"},
    "paralinguistics": {"ER_ACC": "ER"},
}
ERROR_METRICS = frozenset({"PR_PER", "ASR_WER", "SF_CER", "ASV_EER", "SD_DER"})
SPEECH = ("SCv2", "SAA", "CommonVoice", "VoxCeleb", "Crema-D")
OTHER_SOUNDS = ("NSynth", "ESC-50", "Kaggle18", "Watkins", "BirdClef")
# MT-SLVR is not one of the upstreams; the paper compares them with it. It was trained for few-shot audio.
REFERENCE_ROW = "MT-SLVR"


@dataclasses.dataclass(frozen=True, eq=False)
class Table3:
    """The paper's Table 3; accuracies 0-1.

    Attributes:
      models: the 13 upstreams and MT-SLVR, in print order.
      datasets: the ten datasets, in print order.
      accuracy: mean accuracies.
      ci95: printed half-widths.
      average: printed Avg.
      average_ci95: its printed half-width (how it was computed is not published).
      average_rank: printed Avg Rank.
    """

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    accuracy: Float[np.ndarray, "n_models n_datasets"]
    ci95: Float[np.ndarray, "n_models n_datasets"]
    average: Float[np.ndarray, " n_models"]
    average_ci95: Float[np.ndarray, " n_models"]
    average_rank: Float[np.ndarray, " n_models"]


@dataclasses.dataclass(frozen=True, eq=False)
class Superb:
    """SUPERB's scores of the 13 upstreams.

    Attributes:
      models: named as in Table 3.
      metrics: column names of `data/superb.csv`, the eleven of `SUPERB_REFERENCES` in the order of `SUPERB_GROUPS`.
      labels: what the metrics are called in figures.
      values: as published, in percent (QbE: 100 times the maximum term-weighted value).
    """

    models: tuple[str, ...]
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    values: Float[np.ndarray, "n_models n_metrics"]

    def higher_is_better(self) -> Float[np.ndarray, "n_models n_metrics"]:
        """The metrics with error rates negated."""
        return self.values * np.array([-1.0 if metric in ERROR_METRICS else 1.0 for metric in self.metrics])


def read_data_csv(name: str) -> list[dict[str, str]]:
    """Rows of a CSV that ships with the package."""
    text = importlib.resources.files("jfewshot").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@functools.cache
def table3() -> Table3:
    """The published Table 3."""
    rows = read_data_csv("table3.csv")
    models = tuple(dict.fromkeys(row["model"] for row in rows))
    columns = tuple(dict.fromkeys(row["dataset"] for row in rows))
    datasets = tuple(column for column in columns if not column.startswith("Avg"))
    cell = {(row["model"], row["dataset"]): row for row in rows}

    def numbers(field: str, names: tuple[str, ...]) -> np.ndarray:
        return np.array([[float(cell[model, name][field]) for name in names] for model in models])

    return Table3(
        models,
        datasets,
        numbers("accuracy_percent", datasets) / 100,
        numbers("ci95_percent", datasets) / 100,
        numbers("accuracy_percent", ("Avg",))[:, 0] / 100,
        numbers("ci95_percent", ("Avg",))[:, 0] / 100,
        numbers("accuracy_percent", ("Avg Rank",))[:, 0],
    )


@functools.cache
def superb() -> Superb:
    """SUPERB's published metrics."""
    rows = read_data_csv("superb.csv")
    labels = {metric: label for group in SUPERB_GROUPS.values() for metric, label in group.items()}
    values = np.array([[float(row[metric]) for metric in labels] for row in rows])
    return Superb(tuple(row["model"] for row in rows), tuple(labels), tuple(labels.values()), values)


def superb_score(scores: Superb) -> Float[np.ndarray, " n_models"]:
    """SUPERB's overall score: 1000 (value - FBANK) / (SOTA - FBANK), averaged within tasks, then over tasks.

    An upstream at the level of filter banks scores 0, the state of the art of 2021 scores 1000.
    """
    fbank, best = np.array([SUPERB_REFERENCES[metric] for metric in scores.metrics]).T
    relative = 1000 * (scores.values - fbank) / (best - fbank)
    tasks = [SUPERB_TASK_OF[metric] for metric in scores.metrics]
    per_task = [relative[:, [t == task for t in tasks]].mean(axis=1) for task in dict.fromkeys(tasks)]
    return np.mean(per_task, axis=0)
