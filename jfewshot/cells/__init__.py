"""The cells of a run: what is to be computed, and computing it.

- `finishing`: records are made and written while the next cell is solved
- `planning`: from stores and options to cells, and what names each of them
- `tables`: the clip tables that a run draws from
- `joining`: what cells need whose supports and queries come from different clips
- `curves`: where a curve over shots stops, and whether it can end with all labels
- `all_labels`: the end of a curve over shots: training on all labels of an episode's classes
- `mteb`: mteb's audio classification: training and classifying in its experiments
- `planning_mteb`: the cells of a run under that protocol
- `scored`: what records say of scores, and where scores can be kept
- `computing`: from cells to records; a record that is there already is not computed again
- `sizes`: how much disk the results of cells take
- `units`: what several processes share out: the cells of one view together
- `processes`: one run by several processes
- `channel`: the messages between these processes
- `on_ray`: one run by the machines of a Ray cluster
"""

from typing import Any

from jfewshot import _moved


def __getattr__(name: str) -> Any:
    return _moved.old_name(__name__, name)
