"""What a report says of fusions: their parts, and the weights of these."""

from collections.abc import Mapping, Sequence
from typing import Any

from jfewshot.reporting.conditions import describe
from jfewshot.reporting.grid import Grid, grid
from jfewshot.reporting.labels import Identity, UpstreamNames, upstream_identity

Record = Mapping[str, Any]
_MOST_ROWS = 200


def chosen_weights_grid(records: Sequence[Record]) -> Grid | None:
    """The weights that episodes chose for the parts of fusions; None where no record has such weights.

    Args:
      records: as `read_results` gives them.
    """
    names = UpstreamNames(records)
    rows = []
    for record in records:
        if record.get("chosen_weights"):
            mixed = not has_several_upstreams(record)
            name = names.with_view(record) if mixed else names.of(record)
            parts = [part["view"] if mixed else part["title"] for part in record["fusion"]["parts"]]
            weights = [_weight(found) for found in record["chosen_weights"]]
            words = ", ".join(f"{part} {weight}" for part, weight in zip(parts, weights, strict=True))
            rows.append([describe(record["identity"]), name, str(record["dataset"]["name"]), words])
    if not rows:
        return None
    notes = [
        "Each episode chose the weights of the parts by leave-one-out on its supports. Percentages: the mean over the "
        "episodes, and in brackets the first and the ninth decile."
    ]
    if len(rows) > _MOST_ROWS:
        notes.append(f"{_MOST_ROWS} of {len(rows)} results are shown; the records (`chosen_weights`) have all.")
    headings = ["Condition", "Fusion", "Dataset", "Chosen weights"]
    return grid("Weights of fused parts that episodes chose", headings, sorted(rows)[:_MOST_ROWS], notes, n_labels=4)


def _weight(found: Mapping[str, Any]) -> str:
    low, _, high = (100 * decile for decile in found["deciles"])
    return f"{100 * found['mean']:.0f}% ({low:.0f} to {high:.0f})"


def has_several_upstreams(record: Record) -> bool:
    """Whether a record is of several upstreams; mixed layers are a view of one upstream.

    Args:
      record: a result record.
    """
    return len({part["upstream"] for part in (record.get("fusion") or {}).get("parts", ())}) > 1


def weights_words(fusion: Mapping[str, Any]) -> str:
    """`weights 75-25`, or `weights chosen in each episode`.

    Args:
      fusion: of a record.
    """
    weights = [part["weight"] for part in fusion["parts"]]
    if None in weights:
        return "weights chosen in each episode"
    return f"weights {'-'.join(f'{100 * weight:.0f}' for weight in weights)}"


def identity_of_parts(record: Record) -> Identity:
    """What makes two records results of one upstream, or of one fusion of upstreams whatever its weights.

    Args:
      record: a result record.

    Returns:
      as `upstream_identity`: names, digests and titles of the parts.
    """
    if not has_several_upstreams(record):
        return upstream_identity(record)
    parts = record["fusion"]["parts"]
    digests = ", ".join(part["store"]["digest"] for part in parts)
    return "+".join(part["upstream"] for part in parts), digests, " + ".join(part["title"] for part in parts)


def tidy_parts(record: Record) -> dict[str, str | None]:
    """The columns of a flat table that name a fusion's parts and weights; empty for a single encoder's result.

    Args:
      record: a result record.
    """
    fusion = record.get("fusion")
    if not fusion:
        return {"fusion_parts": None, "fusion_weights": None}
    weights = [part["weight"] for part in fusion["parts"]]
    return {
        "fusion_parts": "; ".join(f"{part['upstream']} {part['view']}" for part in fusion["parts"]),
        "fusion_weights": "auto" if None in weights else "; ".join(f"{weight:.6g}" for weight in weights),
    }
