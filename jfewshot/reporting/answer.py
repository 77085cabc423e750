"""The answer of a report in sentences: which encoder is best, how certain this is, and how many labels are enough."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jfewshot.reporting.along_curve import Places, ranking_along, sentences_along
from jfewshot.reporting.analysis import Analysis, analyse
from jfewshot.reporting.cautions import find_cautions
from jfewshot.reporting.conditions import classifier_words, shots_words
from jfewshot.reporting.grid import MISSING, Grid, grid
from jfewshot.reporting.labels_needed import needed_labels, needed_words
from jfewshot.reporting.leaderboard import Leaderboard
from jfewshot.reporting.series import Series, all_series, average_interval, chance_of, in_words, shots_of
from jfewshot.results import Results
from jfewshot.statistics import Differences, Needed
from jfewshot.statistics.best import best_probability

_SHOWN = 4  # names in a sentence


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """The beginning of a report.

    Attributes:
      sentences: the answer, the most important sentence first.
      cautions: the cautions for the reader.
      probability: for each complete row of the main leaderboard, the probability that it is the best; None if it is
          unknown.
      needed: labels per class for each target, for the best upstream; empty for a single number of shots.
    """

    sentences: tuple[str, ...]
    cautions: tuple[str, ...]
    probability: Float[np.ndarray, " n_compared"] | None
    needed: tuple[Needed, ...]


def find_answer(series: Series, analysis: Analysis, cautions: Sequence[str], places: Sequence[Places] = ()) -> Answer:
    """Describe the results of one series in sentences.

    Args:
      series: the leaderboards over shots.
      analysis: paired comparisons of the series' main leaderboard.
      cautions: the cautions for the reader.
      places: which encoders change their order over shots; empty if this was not computed.

    Returns:
      the answer.
    """
    board = series.main
    means, widths = _averages(board), average_interval(board, series.intervals)
    chance, shots = chance_of(board), shots_of(board)
    guess = f"{100 * chance:.3g}%"
    where = f"on average over {len(board.datasets)} datasets" if len(board.datasets) > 1 else f"on {board.datasets[0]}"
    how = f"{_labels(shots)}, {board.condition['protocol']['n_way']} classes at a time, {classifier_words(board.condition)}"
    if not np.isfinite(means).any():
        text = f"No encoder was evaluated on every dataset with {how}: nothing can be compared on average."
        return Answer((text,), tuple(cautions), None, ())
    best = int(np.nanargmax(means))
    low, high = _bounds(means[best], widths[best])
    at_chance = ~(means - np.nan_to_num(widths) > chance)
    known = np.isfinite(means)
    sentences = []
    if at_chance[best]:
        others = "None of the encoders is" if known.sum() > 1 else f"{board.upstreams[best]} is not"
        sentences.append(
            f"{others} better than chance {where} ({guess}) with {how}: the highest accuracy is "
            f"{_percent(means[best])} ({_interval(low, high)} for {series.about})."
        )
        return Answer(tuple(sentences), tuple(cautions), None, ())
    probability = _probability(analysis)
    sentences.append(
        f"{'Best: ' if known.sum() > 1 else ''}{board.upstreams[best]}, {_percent(means[best])} {where} with {how} "
        f"({_interval(low, high)} for {series.about}; chance is {guess})."
    )
    sentences += _how_sure(series, analysis, probability, best)
    sentences += _other_shots(series, board.upstreams[best])
    sentences += sentences_along(ranking_along(series), places)
    needed = needed_labels(series, board.upstreams[best])
    if needed:
        parts = [f"{_percent(one.target, 0)}: {needed_words(one, series.shots)}" for one in needed]
        sentences.append(f"Labels per class that {board.upstreams[best]} needs, {where}, for {'; '.join(parts)}.")
        sentences += _with_fewer_labels(series, board.upstreams[best], needed)
    guessing = [board.upstreams[row] for row in np.flatnonzero(at_chance & known)]
    if guessing:
        sentences.append(f"Not better than chance: {_some(guessing)}.")
    return Answer(tuple(sentences), tuple(cautions), probability, needed)


def _with_fewer_labels(series: Series, best: str, needed: Sequence[Needed]) -> list[str]:
    """Name other encoders that were seen to reach a target with fewer labels than the best encoder needs."""
    others = {name: needed_labels(series, name) for name in series.main.upstreams if name != best}
    parts = []
    for place, one in enumerate(needed):
        seen = {name: found[place] for name, found in others.items() if found and not found[place].extrapolated}
        fewest = min((found.labels for found in seen.values() if found.labels is not None), default=None)
        if fewest is None or (one.labels is not None and one.labels <= fewest):
            continue
        name = next(name for name, found in seen.items() if found.labels == fewest)
        parts.append(f"{name} {_percent(one.target, 0)} with {needed_words(seen[name], series.shots)}")
    return [f"Others reach this with fewer labels: {'; '.join(parts)}."] if parts else []


def answer_of(results: Results, boards: Sequence[Leaderboard]) -> Answer:
    """The answer for some leaderboards without the rest of a report.

    Args:
      results: the folder of their records.
      boards: at least one leaderboard, of any conditions.
    """
    every = all_series(boards)
    return find_answer(every[0], analyse(results, every[0].main, [], ranks=False), find_cautions(results, every))


def answer_text(answer: Answer) -> str:
    """The answer as plain text, a paragraph for each sentence."""
    lines = [*answer.sentences, *(f"Careful: {text}" for text in answer.cautions)]
    return "\n".join(lines) + "\n"


def ranking_grid(series: Series, analysis: Analysis, probability: Float[np.ndarray, " n"] | None) -> Grid | None:
    """Tabulate the compared upstreams with the probability that each is the best.

    Args:
      series: the leaderboards over shots.
      analysis: paired comparisons of the series' main leaderboard.
      probability: from `Answer`.

    Returns:
      the table; None without comparisons.
    """
    overall = analysis.overall
    if overall is None or probability is None:
        return None
    board = series.main
    means = _averages(board)
    first = max(range(len(analysis.compared)), key=lambda place: means[analysis.compared[place]])
    rows = []
    for place, row in enumerate(analysis.compared):
        difference = (
            "" if place == first else _difference(overall.difference[place, first], overall.half_width[place, first])
        )
        verdict = MISSING if place == first else "behind" if overall.p_holm[place, first] < 0.05 else "not told apart"
        rows.append(
            [
                board.upstreams[row],
                f"{100 * means[row]:.2f}",
                _chances(probability[place]),
                difference or MISSING,
                verdict,
            ]
        )
    headings = [
        "Upstream",
        "accuracy (%)",
        "is the best",
        f"behind {board.upstreams[analysis.compared[first]]}",
        "verdict",
    ]
    note = (
        f"At {_labels(shots_of(board))}. The probability to be the best, the differences with 95% intervals and the verdicts (p "
        f"below 0.05 after Holm) are for {_about(analysis)}."
    )
    return grid("How likely is each the best?", headings, rows, [note])


def _probability(analysis: Analysis) -> Float[np.ndarray, " n"] | None:
    if analysis.overall is None or not analysis.covariances:
        return None
    return best_probability(analysis.covariances, analysis.asked_pool)


def _how_sure(series: Series, analysis: Analysis, probability: Float[np.ndarray, " n"] | None, best: int) -> list[str]:
    board, overall = series.main, analysis.overall
    known = int(np.isfinite(_averages(board)).sum())
    if known < 2:
        return []
    if overall is None or probability is None or best not in analysis.compared:
        return ["How sure that is cannot be told: predictions were not kept, or there are too few clips."]
    first = analysis.compared.index(best)
    names = [board.upstreams[row] for row in analysis.compared]
    places = [place for place in range(len(names)) if place != first]
    real = [place for place in places if overall.p_holm[first, place] < 0.05]
    close = [place for place in places if place not in real]
    about = _about(analysis)
    if len(names) == 2 and close:
        return [
            f"The two cannot be told apart: {names[close[0]]} is {_behind(overall, close[0], first)}. The probability that "
            f"{names[first]} is the better one for {about} is {_chances(probability[first])}."
        ]
    among = f"{len(names)}" if len(names) == known else f"the {len(names)} that were compared"
    said = [f"The probability that it is the best of {among} for {about} is {_chances(probability[first])}."]
    if not real:
        behind = _behind(overall, close[0], first)
        said.append(
            f"None of the {len(names)} is certainly different from it; the next is {names[close[0]]}, {behind}."
        )
        return said
    if close:
        parts = [f"{names[place]} ({_behind(overall, place, first)})" for place in close]
        said.append(f"Not told apart from it: {_some(parts)}.")
    beaten = _some([names[place] for place in real]) if close or len(real) == 1 else f"each of the other {len(real)}"
    said.append(f"It is better than {beaten} (p below 0.05 after Holm).")
    return said


def _about(analysis: Analysis) -> str:
    """The kind of new sample that the comparisons are for, in the words of `series.in_words`."""
    fixed = {analysis.pool == "clips" or one.classes is None for one in analysis.covariances}
    return in_words({"pool_ci95_classes_fixed" if own else "pool_ci95" for own in fixed or {analysis.pool == "clips"}})


def _behind(overall: Differences, place: int, first: int) -> str:
    points = 100 * (overall.difference[first, place])
    return f"{points:.2f} ± {100 * overall.half_width[first, place]:.2f} points behind"


def _other_shots(series: Series, best: str) -> list[str]:
    """A sentence about numbers of shots with another best upstream."""
    others: dict[str, list[float]] = {}
    for board in series.boards:
        means = _averages(board)
        if board is series.main or np.isfinite(means).sum() < 2:
            continue
        name = board.upstreams[int(np.nanargmax(means))]
        others.setdefault(name, []).append(shots_of(board))
    if not others:
        return []
    if set(others) == {best}:
        return [f"It also has the highest accuracy with {_numbers(others[best])}."]
    parts = [f"{name} with {_numbers(shots)}" for name, shots in others.items() if name != best]
    return [f"Other numbers of labels have another highest accuracy: {_some(parts)}."]


def _averages(board: Leaderboard) -> Float[np.ndarray, " n_upstreams"]:
    return board.average if len(board.datasets) > 1 else board.mean[:, 0]


def _bounds(mean: float, width: float) -> tuple[float, float]:
    return (max(mean - width, 0.0), min(mean + width, 1.0))


def _interval(low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return "no interval"
    return f"95% interval {100 * low:.1f} to {100 * high:.1f}%"


def _difference(difference: float, half_width: float) -> str:
    return f"{100 * difference:+.2f} ± {100 * half_width:.2f}".replace("-", "−")


def _percent(value: float, decimals: int = 1) -> str:
    return f"{100 * value:.{decimals}f}%"


def _chances(probability: float) -> str:
    return "over 99%" if probability > 0.99 else "under 1%" if probability < 0.01 else f"{100 * probability:.0f}%"


def _labels(shots: float) -> str:
    return f"{shots_words(shots)} label{'' if shots == 1 else 's'} per class" if np.isfinite(shots) else "all labels"


def _numbers(shots: Sequence[float]) -> str:
    texts = [shots_words(one) for one in shots]
    joined = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    return f"{joined} label{'' if list(shots) == [1] else 's'}"


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
