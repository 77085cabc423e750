"""Where scores can be kept."""

from collections.abc import Sequence

from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.store.clips import ClipTable


def check_scores(protocols: Sequence[Protocol], tables: Sequence[ClipTable], dataset: str) -> None:
    """Refuse to keep scores where a query has none, or where classes have different numbers of queries.

    Args:
      protocols: of the run.
      tables: the clip tables of the dataset's stores.
      dataset: its name, for messages.

    Raises:
      UserError: naming the option that stands in the way.
    """
    for protocol in protocols:
        unequal = {
            "--protocol mteb": protocol.mteb is not None,
            "--shots all": protocol.all_labels,
            "--n-query all": protocol.every_query,
            "--query-balance": protocol.query_balance is not None,
        }
        given = next((name for name, value in unequal.items() if value), None)
        if given is not None:
            raise UserError(
                f"--keep scores needs equally many query clips of every class, and numbers of shots; leave out {given}"
            )
        most = max(int(clips.n_segments.max(initial=1)) for clips in tables)
        if protocol.query_segments == "vote" and most > 1:
            raise UserError(
                f"{dataset}: clips have up to {most} segments, and a vote of segments has no scores to keep; add "
                "--query-segments mean, or --query-segments one"
            )
