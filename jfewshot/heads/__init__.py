"""Heads: one classifier fitted on all labelled clips, kept in a folder, with the accuracy to expect of it.

- `head`: a fitted head, and its scores of new embeddings
- `folder`: a head's folder, written whole and read with checks
- `fitting`: from labelled embeddings to a head
- `solving`: the evaluator's solvers on labelled clips of any number per class
- `exact`: the same problems in float64, for many leavings-out
- `left_out`: scores of each clip by the head that was fitted without the clip or its group
- `unknown`: a threshold below which a clip is of none of the classes
"""

from jfewshot.heads.fitting import Fitted, fit_head
from jfewshot.heads.folder import read_head, write_head
from jfewshot.heads.head import Head

__all__ = ["Fitted", "Head", "fit_head", "read_head", "write_head"]
