"""The clip tables from which a run draws: the same clips for all stores of a dataset, and the clips of the stores of
supports."""

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from jfewshot.episodes.mteb_draws import order_digest
from jfewshot.episodes.protocol import Protocol
from jfewshot.episodes.separate import pools_digest
from jfewshot.errors import UserError
from jfewshot.store import ClipTable, Store
from jfewshot.store.joined import join_tables

log = logging.getLogger(__name__)


def paired_tables(stores: Sequence[Store], intersect: bool) -> list[ClipTable]:
    """Clip tables with one digest for all stores of a dataset.

    Args:
      stores: of one dataset.
      intersect: if they hold different clips, use the clips that all of them hold.

    Raises:
      UserError: if they hold different clips, or none in common.
    """
    tables = [store.clips for store in stores]
    if len({table.digest for table in tables}) == 1:
        return tables
    rows = [set(zip(*(c.tolist() for c in (t.clip_id, t.class_name, t.group, t.split)), strict=True)) for t in tables]
    common = set.intersection(*rows)
    if not intersect:
        other = next(number for number, table in enumerate(tables) if table.digest != tables[0].digest)
        example = min(rows[0] ^ rows[other])[0]
        raise UserError(
            f"{stores[0].path} ({len(rows[0])} clips) and {stores[other].path} ({len(rows[other])}) hold different clips of "
            f"'{stores[0].dataset}' ('{example}' for one), so their episodes would not be paired. "
            "Pass --clips intersection to use the clips they share, or extract the same clips"
        )
    if not common:
        raise UserError(f"the stores of '{stores[0].dataset}' have no clip in common (id, class, group and split)")
    ids = {row[0] for row in common}
    log.info("%s: %d clips are common to all stores", stores[0].dataset, len(ids))
    return [table.select(np.array([clip in ids for clip in table.clip_id.tolist()])) for table in tables]


def support_store(stores: Sequence[Store], store: Store) -> Store:
    """Choose the store from which supports are drawn: the one of the same upstream.

    Args:
      stores: the stores to choose from.
      store: the evaluated store.

    Raises:
      UserError: if there is none, or more than one.
    """
    found = [other for other in stores if other.upstream == store.upstream]
    if not found:
        there = ", ".join(sorted({other.upstream for other in stores}))
        raise UserError(
            f"--support-from has no store of upstream '{store.upstream}', to which {store.path} belongs; it has {there}. Extract "
            "the other recordings with this upstream too, or evaluate others with --upstreams"
        )
    if len(found) > 1:
        raise UserError(
            f"--support-from has {len(found)} stores of upstream '{store.upstream}': {found[0].path} and {found[1].path}; "
            "name the folder of one dataset"
        )
    return found[0]


def joined_tables(
    stores: Sequence[Store], own: list[ClipTable], sources: Sequence[Store | None], intersect: bool
) -> list[ClipTable]:
    """The tables from which episodes are drawn: those of the stores, or each joined with the table of its supports' store.

    Args:
      stores: stores of one dataset.
      own: their tables, from `paired_tables`.
      sources: the store of the supports of each; None for the same store.
      intersect: as in `paired_tables`, of the supports' stores.

    Returns:
      one table per store.

    Raises:
      UserError: if the supports' stores are of several datasets or hold different clips, or a clip has two classes.
    """
    there = [source for source in sources if source is not None]
    if not there:
        return own
    if len({source.dataset for source in there}) > 1:
        raise UserError(
            f"--support-from has stores of the datasets {', '.join(sorted({source.dataset for source in there}))} for "
            f"'{stores[0].dataset}'; name those of one dataset"
        )
    theirs = paired_tables(there, intersect)
    # Stores of one dataset share their table, so they also share the joined table and everything that is computed from
    # it.
    joined: dict[tuple[int, int], ClipTable] = {}
    for first, second in zip(own, theirs, strict=True):
        pair = id(first), id(second)
        if pair not in joined:
            joined[pair] = join_tables(first, second, (stores[0].dataset, there[0].dataset))
    return [joined[id(first), id(second)] for first, second in zip(own, theirs, strict=True)]


def with_supports(protocol: Protocol, source: Store | None) -> Protocol:
    """The protocol, with the name of the dataset of the supports."""
    return protocol if source is None else dataclasses.replace(protocol, support_from=source.dataset)


def check_pools(stores: Sequence[Store], tables: Sequence[ClipTable], protocols: Sequence[Protocol]) -> None:
    """Refuse stores of one dataset whose columns select different clips, since their episodes would not be paired.

    Args:
      stores: of one dataset.
      tables: the table of each that episodes are drawn from.
      protocols: of the run.

    Raises:
      UserError: naming two stores.
    """
    for protocol in protocols:
        if protocol.is_separate:
            found = [pools_digest(table, protocol, store.dataset) for store, table in zip(stores, tables, strict=True)]
            other = next((number for number, digest in enumerate(found) if digest != found[0]), None)
            if other is not None:
                raise UserError(
                    f"{stores[0].path} and {stores[other].path} have equal clips, but --support-where and --query-where select "
                    "different ones: their columns differ. Write one of the stores again with the other's columns"
                )


def check_order(stores: Sequence[Store], tables: Sequence[ClipTable], protocols: Sequence[Protocol]) -> None:
    """Refuse stores of one dataset with embeddings in different orders, if mteb's draws depend on the order.

    Args:
      stores: of one dataset.
      tables: the table of each.
      protocols: of the run.

    Raises:
      UserError: naming two stores.
    """
    if any(protocol.draws_by_order for protocol in protocols):
        found = [order_digest(table) for table in tables]
        other = next((number for number, digest in enumerate(found) if digest != found[0]), None)
        if other is not None:
            raise UserError(
                f"{stores[0].path} and {stores[other].path} hold the clips of '{stores[0].dataset}' in different orders, and "
                "mteb draws by the order. Write one of the stores again, or draw independently of it with --episodes 1000"
            )


def check_support_view(source: Store, store: Store, view: str) -> None:
    """Refuse supports whose embeddings have another kind than those of the queries.

    Args:
      source: the store of the supports.
      store: the store of the queries.
      view: name of the view.

    Raises:
      UserError: if the view, its dimension or the upstream's revision differ.
    """
    if view not in source.views:
        raise UserError(f"--support-from {source.path} has no view '{view}', which {store.path} has; extract it")
    dims = [one.view(view).shape[1] for one in (source, store)]
    if dims[0] != dims[1]:
        raise UserError(
            f"--support-from {source.path}: its view '{view}' has {dims[0]} dimensions, and that of {store.path} has {dims[1]}; "
            "take stores of one upstream"
        )
    revisions = [one.manifest["upstream"].get("revision") for one in (source, store)]
    if revisions[0] != revisions[1]:
        raise UserError(
            f"--support-from {source.path} was extracted with revision {revisions[0]} of '{store.upstream}', and {store.path} "
            f"with revision {revisions[1]}; extract both with one"
        )
