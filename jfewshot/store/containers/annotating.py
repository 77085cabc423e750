"""Label windows of recordings by annotation files."""

import importlib
import logging
from collections.abc import Sequence

from jfewshot.commandline.commands import ANNOTATED_STRETCHES
from jfewshot.errors import UserError
from jfewshot.printable import counted
from jfewshot.store.containers.windows import Annotate, Annotation

_log = logging.getLogger(__name__)


def annotate_with(annotations: str, columns: Sequence[str] = ()) -> Annotate | None:
    """Prepare to label windows by annotation files.

    Args:
      annotations: `raven:FOLDER`, or another kind that docs/datasets describes; empty for none.
      columns: pairs WHAT=COLUMN for columns of the annotations whose names are not the usual ones.

    Returns:
      a function from names of recordings to labelled stretches; None for no annotations.

    Raises:
      UserError: if columns are given without annotations.
    """
    if not annotations:
        if columns:
            raise UserError("--annotation-columns names columns of --annotations, which is not given")
        return None

    def annotate(recordings: Sequence[str]) -> list[Annotation]:
        module, name = ANNOTATED_STRETCHES
        found, unknown = getattr(importlib.import_module(module), name)(annotations, columns, recordings)
        if unknown:
            _log.warning(
                "%s: %s belong to no recording of the database; the first is %s",
                annotations,
                counted(len(unknown), "annotated name"),
                unknown[0],
            )
        return [Annotation(one.recording, one.start_s, one.end_s, one.label) for one in found]

    return annotate
