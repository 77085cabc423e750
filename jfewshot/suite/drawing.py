"""The digest of a task's drawn episodes, drawn again: the one that a run's records hold."""

import numpy as np

from jfewshot.cells.planning import Cell
from jfewshot.evaluator.evaluator import Evaluator
from jfewshot.files import canonical_json
from jfewshot.results.draws import digest_of_draws


def draws_digest(cell: Cell, evaluator: Evaluator) -> str:
    """Draw the episodes of a cell and digest them as its record does.

    Args:
      cell: of a suite; neither its supports nor its queries have pools of their own.
      evaluator: the devices that draw.

    Returns:
      `draws_sha256` of the cell's record.
    """
    drawn = evaluator.draw(cell.clips, cell.protocol, cell.store.dataset)
    table = cell.clips
    return digest_of_draws(
        {
            "clips": drawn.clips,
            "segment": drawn.support_segment,
            "clip_id": table.clip_id,
            "class": table.class_name,
            "group": table.group,
            "split": table.split,
            "protocol": np.array(canonical_json(cell.draw_identity())),
        }
    )
