"""Turn scores into labelled stretches of recordings."""

import dataclasses

import numpy as np
from jaxtyping import Float32

from extraction.heads.recordings import Windows
from extraction.heads.scoring import Scored
from jfewshot.heads.head import Head, margins

UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, eq=False)
class Label:
    """A labelled stretch of a recording.

    Attributes:
      recording: name of the recording.
      start_s, end_s: beginning and end of the stretch in seconds.
      label: class of the stretch, or `unknown`.
      nearest: the class with the highest score; empty for silence (all samples of the stretch are the same).
      score: score of the class `nearest`; for merged windows, the mean over windows with sound; NaN for silence.
      margin: the highest score minus the second highest; for merged windows, the mean over windows with sound; NaN for silence.
      scores: the scores of all classes; NaN for silence.
    """

    recording: str
    start_s: float
    end_s: float
    label: str
    nearest: str
    score: float
    margin: float
    scores: Float32[np.ndarray, " classes"]

    @property
    def is_unknown(self) -> bool:
        """Whether the margin was below the threshold, or the stretch is silent."""
        return self.label != self.nearest


def label_windows(head: Head, scored: Scored, windows: Windows, threshold: float | None) -> list[Label]:
    """Give each window of a recording its class.

    Args:
      head: the head.
      scored: scores of the recording's windows. A silent window is unknown; a window without scores gets no label otherwise.
      windows: length and hop of the windows.
      threshold: windows with a smaller margin are unknown; with None, no window with sound is unknown.

    Returns:
      the labels in the order of time.
    """
    labels = []
    for number, (scores, margin) in enumerate(zip(scored.scores, margins(scored.scores), strict=True)):
        start_s, end_s = windows.times(number, scored.source.duration_s)
        if scored.silent[number]:
            labels.append(Label(scored.source.name, start_s, end_s, UNKNOWN, "", np.nan, np.nan, scores))
            continue
        if np.isnan(scores).any():
            continue
        nearest = head.classes[int(scores.argmax())]
        is_unknown = threshold is not None and margin < threshold
        label = UNKNOWN if is_unknown else nearest
        labels.append(
            Label(scored.source.name, start_s, end_s, label, nearest, float(scores.max()), float(margin), scores)
        )
    return labels


def merge(labels: list[Label], windows: Windows, duration_s: float) -> list[Label]:
    """Join neighbouring windows of one class.

    If windows overlap, each labels only the hop around its middle, and the first and the last one also the beginning and the end
    of the recording. So stretches of different classes never overlap.

    Args:
      labels: labels of one recording, in the order of time.
      windows: length and hop of the windows.
      duration_s: duration of the recording in seconds.

    Returns:
      stretches; scores and margins are means over their windows.
    """
    if windows.window_s is None or windows.hop_s is None or not labels:
        return labels
    aside = (windows.window_s - windows.hop_s) / 2
    runs: list[list[Label]] = []
    for one in labels:
        last = runs[-1][-1] if runs else None
        beside = last is not None and one.start_s - last.start_s < 1.5 * windows.hop_s
        if last is not None and beside and one.label == last.label:
            runs[-1].append(one)
        else:
            runs.append([one])
    merged = []
    for run in runs:
        start_s = run[0].start_s + aside if run[0].start_s > 0 else 0.0
        end_s = duration_s if run[-1] is labels[-1] else min(run[-1].start_s + aside + windows.hop_s, duration_s)
        # Silent windows have no scores. If a stretch has windows with sound, its scores are means over these windows.
        sound = [one for one in run if one.nearest] or run
        scores = np.stack([one.scores for one in sound]).mean(axis=0, dtype=np.float64).astype(np.float32)
        nearest = run[0].label if run[0].label != UNKNOWN else max(sound, key=lambda one: one.score).nearest
        score, margin = (float(np.mean([getattr(one, name) for one in sound])) for name in ("score", "margin"))
        merged.append(Label(run[0].recording, start_s, end_s, run[0].label, nearest, score, margin, scores))
    return merged
