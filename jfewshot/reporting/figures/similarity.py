"""How alike the embedding spaces of encoders are: a map of linear CKA for each dataset."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jfewshot.reporting.figures.style import SEQUENTIAL, ink_on, look, shorten

_ACROSS = 2
_MOST_NUMBERED = 16  # encoders; the numbers of more would overlap


class SimilarityPanel(NamedTuple):
    """One panel.

    Attributes:
      title: name of the dataset.
      names: of the encoders.
      values: similarity of every two of them; NaN where unknown.
    """

    title: str
    names: Sequence[str]
    values: Float[np.ndarray, "n n"]


def similarity_maps(panels: Sequence[SimilarityPanel], title: str) -> Figure:
    """Draw the similarity of every two encoders, the lower triangle of a matrix for each dataset.

    Args:
      panels: the datasets.
      title: of the figure.

    Returns:
      the figure.
    """
    columns = min(len(panels), _ACROSS)
    rows = -(-len(panels) // columns)
    most = max(len(panel.names) for panel in panels)
    side = 1.5 + 0.32 * min(most, 40)
    with look():
        figure = Figure(figsize=(max(side * columns, 4.0), side * rows + 0.3))
        axes = figure.subplots(rows, columns, squeeze=False)
        for axis in axes.ravel()[len(panels) :]:
            axis.set_visible(False)
        for axis, panel in zip(axes.ravel(), panels, strict=False):
            n = len(panel.names)
            values = np.where(np.tri(n, k=-1, dtype=bool), panel.values, np.nan)[1:, :-1]
            picture = axis.imshow(values, cmap=SEQUENTIAL, vmin=0, vmax=1)
            if n <= _MOST_NUMBERED:
                for row, column in np.argwhere(~np.isnan(values)).tolist():
                    ink = ink_on(picture.cmap(picture.norm(values[row, column])))
                    text = f"{values[row, column]:.2f}".replace("-", "−")
                    axis.text(column, row, text, ha="center", va="center", fontsize=6, color=ink)
            names = [shorten(name, 24) for name in panel.names]
            axis.set_xticks(range(n - 1), names[:-1], rotation=60, ha="right", rotation_mode="anchor")
            axis.set_yticks(range(n - 1), names[1:])
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
            axis.set_title(shorten(panel.title), loc="left")
        figure.suptitle(title, fontsize=9)
    return figure
