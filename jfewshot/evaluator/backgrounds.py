"""Which clips the statistics of a preprocessing come from, and whether evaluated clips are among them."""

from collections.abc import Sequence

import numpy as np

from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable
from jfewshot.store.reading import Store
from jfewshot.store.verifying import row_digests

_ROWS_AT_ONCE = 4096


def other_stores(center_from: Store | Sequence[Store], store: Store, view: str) -> list[Store]:
    """Choose the stores that statistics are taken from.

    Args:
      center_from: a store, which is taken, or several, of which those of the same upstream and of another dataset are taken.
      store: the store to be evaluated.
      view: name of the view.

    Returns:
      at least one store, whose view has as many dimensions as the evaluated one.

    Raises:
      UserError: if there is no such store.
    """
    if isinstance(center_from, Store):
        given = [center_from]
    elif len(center_from) == 1:
        given = list(center_from)
    else:
        given = [
            s for s in center_from if s.upstream == store.upstream and s.dataset != store.dataset and view in s.views
        ]
        if not given:
            raise UserError(
                f"--statistics-from: none of the {len(center_from)} stores is of upstream '{store.upstream}' and of another "
                f"dataset than '{store.dataset}', with a view '{view}'; name such a store"
            )
    for source in given:
        if source.view(view).shape[1] != store.view(view).shape[1]:
            raise UserError(
                f"--statistics-from {source.path}: its view '{view}' has another dimension than {store.path}'s"
            )
    return given


def clips_in_common(source: Store, store: Store, view: str, clips: ClipTable, name: str) -> str:
    """Say what is wrong with a background that holds evaluated clips.

    Args:
      source: the background's store.
      store: the store to be evaluated.
      view: name of the view.
      clips: the evaluated clips.
      name: of the preprocessing; only whitening asks for more than different embeddings.

    Returns:
      a sentence with the fix, or nothing where no clip is in both.
    """
    fix = "That is transductive: pass --transductive, and the results will say so, or name another store"
    if source.view_digest(view) == store.view_digest(view):
        return (
            f"--statistics-from {source.path}: its view '{view}' holds the very embeddings that are evaluated "
            f"({store.path}). {fix}"
        )
    if not name.startswith("whiten"):
        return ""
    both = np.intersect1d(source.clips.clip_id, clips.clip_id)
    if len(both):
        return f"--statistics-from {source.path}: clip '{both[0]}' and {len(both) - 1} others are evaluated clips too. {fix}"
    equal = np.intersect1d(_digests(source.view(view)), _digests(store.view(view)))
    if len(equal):
        return (
            f"--statistics-from {source.path}: {len(equal)} of its embeddings in view '{view}' equal evaluated ones "
            f"({store.path}). {fix}"
        )
    return ""


def _digests(view: np.ndarray) -> np.ndarray:
    """Of the rows that are not the same number throughout, such as those of silence."""
    parts = []
    for start in range(0, len(view), _ROWS_AT_ONCE):
        block = np.asarray(view[start : start + _ROWS_AT_ONCE])
        parts.append(row_digests(block)[(block != block[:, :1]).any(axis=1)])
    return np.concatenate(parts)
