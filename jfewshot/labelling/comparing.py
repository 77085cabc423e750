"""Compare methods of choosing the clips to label on one store: accuracy at each budget, and the gain over random labels."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jfewshot.classifiers.specs import parse_classifier
from jfewshot.errors import UserError
from jfewshot.evaluator.preprocessing import without_statistics
from jfewshot.heads.fitting import choose_view, clip_means
from jfewshot.labelling.simulating import METHODS, simulate
from jfewshot.labelling.splits import split_repeatedly
from jfewshot.reporting.figures.curves import Curve, Panel
from jfewshot.reporting.grid import Grid, TableEntry, grid
from jfewshot.reporting.leaderboard import best_and_second
from jfewshot.store import Store
from jfewshot.store.view_checks import Wanted, check_view

HEAD = "ridge:alpha=auto"
TITLES = {"random": "at random", "kcentre": "k-centre", "kmedoids": "k-medoids", "margin": "margin"}
# A repetition holds all distances among the clips that may be labelled.
MOST_CLIPS = 4000


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How clips are held out and labelled; see `options.LabelCompareOptions`."""

    budgets: tuple[int, ...] = (5, 10, 20, 50)
    methods: tuple[str, ...] = METHODS
    repeats: int = 200
    held_out: float = 0.5
    group_aware: bool = True
    batch: int = 5
    preprocessing: str = "l2"
    seed: int = 42

    def check(self) -> None:
        """Refuse numbers with which no comparison is possible.

        Raises:
          UserError: names the option and its fix.
        """
        if not self.budgets or min(self.budgets) < 1 or list(self.budgets) != sorted(set(self.budgets)):
            raise UserError(f"--budgets is {' '.join(map(str, self.budgets))}; give positive numbers that rise")
        if self.repeats < 2:
            raise UserError(f"--repeats is {self.repeats}; an interval needs 2 repetitions at least")
        if not 0 < self.held_out < 1:
            raise UserError(f"--held-out is {self.held_out:g}; it is a share of the clips, between 0 and 1")
        if self.batch < 1:
            raise UserError(f"--batch is {self.batch}; margin labels 1 clip at least in a round")


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """The results for one store.

    Attributes:
      dataset, upstream: their titles.
      names: of dataset and upstream, as typed.
      protocol: how it was made.
      clips: how many labelled clips the dataset has, and of how many classes; how many were held out on average.
      mean: accuracy at each budget, 0-1, on average over the repetitions; `random` comes first.
      ci95: half-widths of its 95% intervals over the repetitions: for other splits of these clips.
      gain: accuracy minus that of `random`, in pairs.
      gain_ci95: half-widths of its 95% intervals.
      seen: classes with a label, on average.
    """

    dataset: str
    upstream: str
    names: tuple[str, str]
    protocol: Protocol
    clips: dict[str, int | float]
    mean: Float[np.ndarray, "methods budgets"]
    ci95: Float[np.ndarray, "methods budgets"]
    gain: Float[np.ndarray, "methods budgets"]
    gain_ci95: Float[np.ndarray, "methods budgets"]
    seen: Float[np.ndarray, "methods budgets"]


def compare_store(
    store: Store, protocol: Protocol, on_progress: Callable[[int], None] = lambda repeats: None
) -> Comparison:
    """Compare ways of choosing on one store.

    A clip takes part as the mean of its segments' embeddings.

    Args:
      store: the embeddings; clips without a class take no part.
      protocol: how clips are held out and labelled.
      on_progress: called with a number of repetitions whenever so many are done.

    Returns:
      accuracies with intervals.

    Raises:
      UserError: if the numbers make no comparison, or the dataset has too few or too many clips for them.
    """
    protocol.check()
    labelled = store.clips.select(store.clips.class_number >= 0)
    n_classes, n = len(labelled.classes), len(labelled)
    if n_classes < 2:
        raise UserError(f"{store.path} has {n_classes} classes; two are needed at least")
    if n > MOST_CLIPS:
        raise UserError(f"{store.path} has {n:,} labelled clips; label compare takes {MOST_CLIPS:,} at most")
    has_groups = bool((labelled.group != "").any())
    splits = split_repeatedly(
        labelled, protocol.repeats, protocol.held_out, protocol.seed, protocol.group_aware and has_groups, store.dataset
    )
    smallest = int(splits.in_pool.sum(1).min())
    if smallest < protocol.budgets[-1]:
        raise UserError(
            f"{store.dataset}: {smallest} clips are left to label where {protocol.held_out:g} of them are held out, and "
            f"--budgets asks for {protocol.budgets[-1]}; lower the largest budget, or --held-out"
        )
    view = choose_view(store, None)
    check_view(Wanted(store, view, labelled))
    rows, _ = clip_means(store, view, labelled, without_statistics(protocol.preprocessing), parse_classifier(HEAD))
    exact = rows.astype(np.float64)
    methods = tuple(dict.fromkeys(("random", *protocol.methods)))
    found = simulate(
        exact @ exact.T,
        labelled.class_number,
        n_classes,
        splits,
        protocol.budgets,
        methods,
        protocol.batch,
        on_progress,
    )
    gains = found.accuracy - found.accuracy[:1]
    titles = [
        str(store.manifest[kind].get("title") or store.manifest[kind]["name"]) for kind in ("dataset", "upstream")
    ]
    return Comparison(
        dataset=titles[0],
        upstream=titles[1],
        names=(store.dataset, store.upstream),
        protocol=dataclasses.replace(protocol, methods=methods, group_aware=protocol.group_aware and has_groups),
        clips={"all": n, "classes": n_classes, "held_out": round(float(splits.in_held_out.sum(1).mean()), 1)},
        mean=found.accuracy.mean(1),
        ci95=_half_width(found.accuracy),
        gain=gains.mean(1),
        gain_ci95=_half_width(gains),
        seen=found.classes_seen.mean(1),
    )


def comparison_grid(found: Sequence[Comparison]) -> Grid:
    """A table of one dataset: a row for each encoder and way of choosing.

    Args:
      found: comparisons of one dataset, of the same protocol.

    Returns:
      accuracies, and in brackets gains over random labels with their intervals.
    """
    first = found[0]
    protocol = first.protocol
    rows: list[list[str | TableEntry]] = []
    for one in sorted(found, key=lambda one: -one.mean[0, -1]):
        marks = [best_and_second(column, decimals=1) for column in one.mean.T]
        for row, method in enumerate(protocol.methods):
            cells = []
            for column in range(len(protocol.budgets)):
                text = f"{100 * one.mean[row, column]:.1f}"
                if row:
                    gain = f"{100 * one.gain[row, column]:+.1f}".replace("-", "−")
                    text += f" ({gain} ± {100 * one.gain_ci95[row, column]:.1f})"
                cells.append(TableEntry(text, marks[column][row]))
            rows.append([one.upstream if row == 0 else "", TITLES[method], *cells])
    apart = "whole groups" if protocol.group_aware else "single clips"
    notes = [
        f"Accuracy in percent on {first.clips['held_out']:g} of {first.clips['all']} clips, {apart} that are held out "
        f"throughout, on average over {protocol.repeats} repetitions, seed {protocol.seed}. {HEAD} on {protocol.preprocessing} "
        "embeddings. A class that has no label yet is always an error.",
        "In brackets the gain over the same number of random labels, ± 95% interval over the repetitions: for other splits of "
        "these clips, not for other clips.",
    ]
    headings = ["Upstream", "Labelled", *(f"{budget} labels" for budget in protocol.budgets)]
    return grid(f"{first.dataset}: which clips to label ({first.clips['classes']} classes)", headings, rows, notes, 2)


def comparison_panels(found: Sequence[Comparison]) -> list[Panel]:
    """A panel for each dataset: a curve for each way of choosing, on average over the encoders.

    Args:
      found: comparisons of the same protocol.
    """
    panels = []
    for title in dict.fromkeys(one.dataset for one in found):
        own = [one for one in found if one.dataset == title]
        mean = np.mean([one.mean for one in own], axis=0)
        # Encoders share their splits, so that their errors go together: the mean of the widths, no smaller.
        width = np.mean([one.ci95 for one in own], axis=0)
        curves = [
            Curve(TITLES[method], tuple(map(float, own[0].protocol.budgets)), tuple(mean[row]), tuple(width[row]))
            for row, method in enumerate(own[0].protocol.methods)
        ]
        panels.append(Panel(title, tuple(sorted(curves, key=lambda curve: -curve.mean[-1]))))
    return panels


def comparison_json(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The same for programs; accuracies 0-1.

    Args:
      found: comparisons.
    """
    return [
        {
            "dataset": one.names[0],
            "upstream": one.names[1],
            "protocol": dataclasses.asdict(one.protocol) | {"head": HEAD},
            "clips": one.clips,
            "methods": {
                method: {
                    "accuracy": one.mean[row].round(5).tolist(),
                    "ci95": one.ci95[row].round(5).tolist(),
                    "classes_seen": one.seen[row].round(2).tolist(),
                    **(
                        {"gain": one.gain[row].round(5).tolist(), "gain_ci95": one.gain_ci95[row].round(5).tolist()}
                        if row
                        else {}
                    ),
                }
                for row, method in enumerate(one.protocol.methods)
            },
        }
        for one in found
    ]


def _half_width(values: Float[np.ndarray, "methods repeats budgets"]) -> Float[np.ndarray, "methods budgets"]:
    return 1.96 * values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
