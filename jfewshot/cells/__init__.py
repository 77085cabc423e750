"""The cells of a run: planning them and computing them.

- `finishing`: makes and writes records while the next cell is solved
- `planning`: makes cells from stores and options, and their identities and keys
- `fusions`: which stores, or which layers of one, are evaluated together
- `tables`: the clip tables from which a run draws
- `joining`: embeddings and pools of cells whose supports and queries come from different clips
- `curves`: where a curve over shots stops, and whether it can end with all labels
- `all_labels`: the last point of a curve over shots: training on all labels of an episode's classes
- `mteb`: mteb's audio classification: training and classifying in its experiments
- `planning_mteb`: the cells of a run with mteb's protocol
- `scored`: the parts of records that come from scores, and checks that scores can be kept
- `computing`: makes records from cells; existing records are not computed again
- `record_parts`: the parts of a record: names, counts, accuracy, convergence, time
- `estimating`: how much of a run is left to compute, and the disk that its results take
- `sizes`: how much disk the results of cells take
- `units`: the units of work for several processes: the cells of one view together
- `processes`: one run by several processes
- `channel`: the messages between these processes
- `on_ray`: one run by the machines of a Ray cluster
"""

from typing import Any

from jfewshot import _moved


def __getattr__(name: str) -> Any:
    return _moved.old_name(__name__, name)
