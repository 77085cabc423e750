"""Heads: one classifier fitted on all labelled clips, stored in a folder, with its expected accuracy.

- `head`: a fitted head, and its scores of new embeddings
- `folder`: a head's folder, written completely and checked when read
- `fitting`: fits a head on labelled embeddings
- `solving`: the evaluator's solvers on labelled clips, with any number of clips per class
- `exact`: the same problems in float64, for many fits with clips left out
- `left_out`: scores of each clip by the head that was fitted without the clip or its group
- `unknown`: a threshold below which a clip is assigned to no class
"""

from jfewshot.heads.fitting import Fitted, fit_head
from jfewshot.heads.folder import read_head, write_head
from jfewshot.heads.head import Head

__all__ = ["Fitted", "Head", "fit_head", "read_head", "write_head"]
