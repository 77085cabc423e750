"""The cells of a run with mteb's protocol, which fixes everything except the splits and the number of experiments."""

from collections.abc import Mapping, Sequence
from typing import Any

from jfewshot.cells.mteb import mteb_classifier
from jfewshot.cells.planning import Cell, plan_cells
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.sides import Side
from jfewshot.errors import UserError
from jfewshot.store import Store


def plan_mteb(
    stores: Sequence[Store],
    faithful: bool,
    *,
    n_episodes: int | None,
    seed: int,
    split: str | None,
    support: Side | None,
    query: Side | None,
    views: Sequence[str] | None,
    intersect_clips: bool,
    keep_scores: bool,
) -> list[Cell]:
    """All cells of a run with mteb's protocol.

    Args:
      stores: the stores to evaluate.
      faithful: call scikit-learn as mteb does, instead of solving to convergence.
      n_episodes: number of independent experiments; None for mteb's own.
      seed: seed of the draws.
      split: use folds of this split; None for mteb's choice.
      support: the training split, if it is not named train.
      query: the test split, if it is not named test.
      views: names of views; None for each store's default view.
      intersect_clips: if stores of one dataset hold different clips, use the clips that all of them hold.
      keep_scores: whether the scores of all queries are kept.

    Returns:
      the cells, one for each store and view.

    Raises:
      UserError: if the splits do not fit together; also as for `plan_cells`.
    """
    protocol = Protocol.of_mteb(n_episodes, seed, split, support, query)
    return plan_cells(
        stores,
        [protocol],
        [mteb_classifier(faithful)],
        preprocessing="none",
        views=views,
        intersect_clips=intersect_clips,
        keep_scores=keep_scores,
    )


def refuse_fixed(protocol: str, given: Mapping[str, Any]) -> None:
    """Refuse arguments that would make another protocol of mteb's.

    Args:
      protocol: `mteb` or `mteb_faithful`.
      given: arguments by name; a value that is true was given.

    Raises:
      UserError: names the first argument that was given.
    """
    other = next((name for name, value in given.items() if value), None)
    if other is not None:
        raise UserError(
            f"protocol '{protocol}' fixes what {other} sets; leave {other} out, or describe a protocol of your own without "
            "protocol, for instance ways='all', shots=8, n_query='all'"
        )
