"""Facts about the paper's 13 encoders, from a table in this package."""

import csv
from importlib import resources


def paper_table() -> list[dict[str, str]]:
    """Read the rows of `jfewshot/data/upstreams.csv`, in the paper's order.

    Columns: name, title, n_parameters, objective, network, input, dim, layers (number of hidden states), frames_5s and gflop_5s
    (number of frames of a 5-s segment, and operations for it as torch counts them, without its attention kernel),
    superb_checkpoint_note (says so if SUPERB scored another checkpoint), corpus, reference.
    """
    text = (resources.files("jfewshot") / "data" / "upstreams.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
