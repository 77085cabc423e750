"""From scores to labelled stretches of recordings."""

import dataclasses

import numpy as np
from jaxtyping import Float32

from extraction.heads.recordings import Windows
from extraction.heads.scoring import Scored
from jfewshot.heads.head import Head, margins

UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, eq=False)
class Label:
    """One stretch of a recording with its class.

    Attributes:
      recording: name of the recording.
      start_s, end_s: where the stretch begins and ends, in seconds.
      label: its class, or `unknown`.
      nearest: the class with the highest score; empty where all samples are the same (silence).
      score: of that class; of merged windows, the mean over those with sound; NaN for silence.
      margin: the highest score minus the second highest; of merged windows, likewise; NaN for silence.
      scores: of every class; NaN for silence.
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
      scored: scores of the recording's windows; a silent one is unknown, and another one without scores gets no label.
      windows: how the recording was cut.
      threshold: windows with a smaller margin are unknown; None for none.

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

    Windows that overlap share their time: each stands for the hop around its middle, the first one also for what is before, the
    last one for what is behind. Stretches of different classes then never overlap.

    Args:
      labels: of one recording, in the order of time.
      windows: how the recording was cut.
      duration_s: of the recording.

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
        # Silent windows have no scores; where there is sound in a stretch, its scores are means over that.
        sound = [one for one in run if one.nearest] or run
        scores = np.stack([one.scores for one in sound]).mean(axis=0, dtype=np.float64).astype(np.float32)
        nearest = run[0].label if run[0].label != UNKNOWN else max(sound, key=lambda one: one.score).nearest
        score, margin = (float(np.mean([getattr(one, name) for one in sound])) for name in ("score", "margin"))
        merged.append(Label(run[0].recording, start_s, end_s, run[0].label, nearest, score, margin, scores))
    return merged
