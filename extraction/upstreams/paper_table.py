"""What is known of the paper's 13 encoders, from the table that ships with the package."""

import csv
from importlib import resources


def paper_table() -> list[dict[str, str]]:
    """The rows of `jfewshot/data/upstreams.csv`, in the paper's order.

    Columns: name, title, n_parameters, objective, network, input, dim, layers (hidden states), frames_5s and gflop_5s (frames of
    a 5-s segment, and its products as torch counts them, its attention kernel left out),
    superb_checkpoint_note (where SUPERB scored another checkpoint), corpus, reference.
    """
    text = (resources.files("jfewshot") / "data" / "upstreams.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
