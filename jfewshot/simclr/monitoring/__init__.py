"""Measures an encoder while it trains: does it learn, and do its embeddings collapse?

- `embedding`: embeddings of a fixed set of waves with the parameters of a step
- `variance`: the spread of embeddings
- `collapse`: when these numbers mean a collapse, and of which kind
- `monitor`: all measurements of a step, and when to stop early
- `picture`: the measurements of a run as a picture
"""

from jfewshot.simclr.monitoring.collapse import name_collapse
from jfewshot.simclr.monitoring.monitor import Monitor, make_monitor
from jfewshot.simclr.monitoring.picture import draw_run
from jfewshot.simclr.monitoring.variance import spread

__all__ = ["Monitor", "draw_run", "make_monitor", "name_collapse", "spread"]
