"""Replace "all queries" and "all classes" in a protocol by their numbers in a clip table."""

import dataclasses

from jfewshot.episodes.mteb_draws import resolved_mteb
from jfewshot.episodes.pool import class_pool
from jfewshot.episodes.protocol import MAX_DRAWN, MAX_WAYS, Protocol
from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable


def resolved(protocol: Protocol, clips: ClipTable, dataset: str) -> Protocol:
    """The protocol with numbers instead of "all classes" and "all queries".

    Args:
      protocol: the protocol.
      clips: the clip table.
      dataset: name of the dataset, for messages.

    Returns:
      the protocol with these numbers; the same protocol if it has neither.

    Raises:
      UserError: as for `class_pool`; also if there are more classes, or more queries of a class, than an episode can
          have.
    """
    if protocol.mteb is not None:
        return resolved_mteb(protocol, clips, dataset)
    if not (protocol.every_query or protocol.every_class):
        return protocol
    pool = class_pool(clips, protocol, dataset)
    n_way = len(pool.names) if protocol.every_class else protocol.n_way
    n_query = int(pool.count.max()) if protocol.every_query else protocol.n_query
    if n_way > MAX_WAYS:
        raise UserError(f"{dataset} has {n_way} classes, and an episode at most {MAX_WAYS}; give a number of --ways")
    if n_query + protocol.shots_drawn > MAX_DRAWN:
        raise UserError(
            f"{dataset} has {n_query:,} query clips in a class, and an episode at most {MAX_DRAWN:,}; give a number of --n-query"
        )
    return dataclasses.replace(protocol, n_way=n_way, n_query=n_query)
