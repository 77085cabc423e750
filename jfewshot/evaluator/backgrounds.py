"""Choose the clips from which a preprocessing's statistics come, and check whether evaluated clips are among them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable
from jfewshot.store.moments import Moments, digests_of_clips, digests_of_rows, revision_of
from jfewshot.store.moments_file import names_of, read_moments, shipped_moments
from jfewshot.store.reading import Store, find_stores, open_store

Background: TypeAlias = Store | Moments | Sequence[Store | Moments]
_TRANSDUCTIVE = "That is transductive: pass --transductive, and the results will say so, or name another store"


def opened_backgrounds(given: Sequence[Path | str | Store | Moments]) -> list[Store | Moments] | None:
    """Open the stores and the files of statistics that `--statistics-from` names.

    Args:
      given: `train` alone; or `shipped`, files of statistics, stores, and folders that contain stores.

    Returns:
      stores and statistics; None for the training split, which is also the default.

    Raises:
      UserError: if `train` is one of several, or a file or a folder is missing or damaged.
    """
    if not given or [str(item) for item in given] == ["train"]:
        return None
    opened: list[Store | Moments] = []
    for item in given:
        if isinstance(item, Store | Moments):
            opened.append(item)
        elif str(item) == "shipped":
            opened.extend(shipped_moments())
        elif str(item) == "train":
            raise UserError("--statistics-from: train is the evaluated store's own training split; name it alone")
        elif Path(item).suffix == ".npz":
            opened.append(read_moments(item))
        else:
            opened.extend(map(open_store, find_stores(item)))
    return opened


def background_of(given: Background, store: Store, view: str) -> list[Store] | Moments:
    """Choose the statistics of the evaluated store's encoder, or the stores from which they are computed.

    Args:
      given: stores, or statistics that were computed before.
      store: the store to be evaluated.
      view: name of the view.

    Returns:
      statistics of the evaluated store's encoder, or at least one store whose view has as many dimensions as the evaluated one.

    Raises:
      UserError: if neither statistics nor stores fit, or if both are given.
    """
    listed = [given] if isinstance(given, Store | Moments) else list(given)
    stores = [item for item in listed if isinstance(item, Store)]
    ready = [item for item in listed if isinstance(item, Moments)]
    if stores and ready:
        raise UserError("--statistics-from takes stores, or files of statistics and shipped; give one kind")
    return moments_for(ready, store, view) if ready else other_stores(stores, store, view)


def moments_for(given: Sequence[Moments], store: Store, view: str) -> Moments:
    """Choose the statistics of the evaluated store's encoder and view.

    Args:
      given: statistics, of any encoders.
      store: the store to be evaluated.
      view: name of the view.

    Returns:
      the statistics of this encoder and view.

    Raises:
      UserError: if there are none or several, or if they are of another revision or dimension.
    """
    fitting = [each for each in given if each.upstream == store.upstream and each.about["view"] == view]
    if not fitting:
        raise UserError(
            f"--statistics-from: there are no statistics of '{store.upstream}', view '{view}' ({store.path}); there are "
            f"{names_of(given)}. Name stores of other clips instead, or make such statistics with `jfewshot store statistics`"
        )
    if len(fitting) > 1:
        where = " and ".join(f"{each.path or 'some'} of {each.corpus}" for each in fitting)
        raise UserError(f"--statistics-from: {where} are both of '{store.upstream}', view '{view}'; name one of them")
    (found,) = fitting
    revision = found.about["upstream"].get("revision")
    if revision != revision_of(store):
        raise UserError(
            f"--statistics-from: the statistics of '{store.upstream}' are of revision {revision}, and {store.path} is of "
            f"revision {revision_of(store)}. Name stores of that revision instead, or make statistics of them with "
            "`jfewshot store statistics`"
        )
    if len(found.mean) != store.view(view).shape[1]:
        raise UserError(
            f"--statistics-from: the statistics of '{store.upstream}', view '{view}', have {len(found.mean)} features, and "
            f"{store.path} has {store.view(view).shape[1]}; name stores of that encoder instead"
        )
    return found


def other_stores(given: Sequence[Store], store: Store, view: str) -> list[Store]:
    """Choose the stores from which statistics are computed.

    Args:
      given: one store, which is used; or several, of which those of the same upstream and of another dataset are used.
      store: the store to be evaluated.
      view: name of the view.

    Returns:
      at least one store, whose view has as many dimensions as the evaluated one.

    Raises:
      UserError: if there is no such store.
    """
    if len(given) != 1:
        several = given
        given = [s for s in several if s.upstream == store.upstream and s.dataset != store.dataset and view in s.views]
        if not given:
            raise UserError(
                f"--statistics-from: none of the {len(several)} stores is of upstream '{store.upstream}' and of another "
                f"dataset than '{store.dataset}', with a view '{view}'; name such a store"
            )
    for source in given:
        if source.view(view).shape[1] != store.view(view).shape[1]:
            raise UserError(
                f"--statistics-from {source.path}: its view '{view}' has another dimension than {store.path}'s"
            )
    return list(given)


def clips_in_common(source: Store, store: Store, view: str, clips: ClipTable, name: str) -> str:
    """Describe the error if a background contains evaluated clips.

    Args:
      source: the background's store.
      store: the store to be evaluated.
      view: name of the view.
      clips: the evaluated clips.
      name: of the preprocessing; only whitening asks for more than different embeddings.

    Returns:
      a sentence with the fix, or nothing where no clip is in both.
    """
    if source.view_digest(view) == store.view_digest(view):
        return (
            f"--statistics-from {source.path}: its view '{view}' holds the very embeddings that are evaluated "
            f"({store.path}). {_TRANSDUCTIVE}"
        )
    if not name.startswith("whiten"):
        return ""
    both = np.intersect1d(source.clips.clip_id, clips.clip_id)
    if len(both):
        return (
            f"--statistics-from {source.path}: clip '{both[0]}' and {len(both) - 1} others are evaluated clips too. "
            f"{_TRANSDUCTIVE}"
        )
    theirs, ours = (digests_of_rows(s.view(view), np.arange(len(s.view(view)))) for s in (source, store))
    equal = np.intersect1d(theirs, ours)
    if len(equal):
        return (
            f"--statistics-from {source.path}: {len(equal)} of its embeddings in view '{view}' equal evaluated ones "
            f"({store.path}). {_TRANSDUCTIVE}"
        )
    return ""


def evaluated_clips_in(moments: Moments, store: Store, view: str, clips: ClipTable, name: str) -> str:
    """Describe the error if statistics were computed from evaluated clips.

    Args:
      moments: the statistics.
      store: the store to be evaluated.
      view: name of the view.
      clips: the evaluated clips.
      name: of the preprocessing; only whitening asks for more than different embeddings.

    Returns:
      a sentence with the fix, or nothing where no clip is in both.
    """
    where = f"--statistics-from: the statistics of corpus '{moments.corpus}'"
    if any(digest == store.view_digest(view) for digest, _ in moments.about["embeddings"]):
        return f"{where} are of the very embeddings that are evaluated ({store.path}). {_TRANSDUCTIVE}"
    if not name.startswith("whiten"):
        return ""
    both = clips.clip_id[np.isin(digests_of_clips(clips), moments.clip_digests)]
    if len(both):
        return f"{where} include clip '{both[0]}' and {len(both) - 1} others that are evaluated. {_TRANSDUCTIVE}"
    rows = clips.rows(np.arange(len(clips)))[0]
    equal = np.isin(digests_of_rows(store.view(view), rows), moments.row_digests).sum()
    if equal:
        return f"{where} include {equal} embeddings that equal evaluated ones ({store.path}). {_TRANSDUCTIVE}"
    return ""
