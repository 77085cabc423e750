"""The table of clips as a data frame."""

from typing import Any

from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable


def to_frame(clips: ClipTable) -> Any:
    """A pandas DataFrame with a row per clip, by clip id.

    Args:
      clips: the table.

    Returns:
      a frame with the columns clip_id, class, group, split, first_segment, n_segments and the further ones.

    Raises:
      UserError: if pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise UserError("a frame needs the Python package pandas: pip install pandas") from error
    columns = {"clip_id": clips.clip_id, "class": clips.class_name, "group": clips.group, "split": clips.split}
    numbers = {"first_segment": clips.first_segment, "n_segments": clips.n_segments}
    return pandas.DataFrame({**columns, **numbers, **clips.further})
