"""Compute when the annotations of an ELAN tier begin and end, including annotations without own times.

If a tier divides the annotations of another tier, its own annotations may have no times. ELAN shows annotations between two known
times as equally long (ELAN's manual, "tier stereotypes": time subdivision and symbolic subdivision). This module does the same.
"""

from typing import Any, NamedTuple


class Annotation(NamedTuple):
    """An annotation of a tier.

    Attributes:
      start_ms, end_ms: beginning and end in milliseconds; None if they cannot be computed.
      text: text as in the file.
    """

    start_ms: float | None
    end_ms: float | None
    text: str


def annotations_of(file: Any, tier: str) -> list[Annotation]:
    """All annotations of a tier, in the order of the file.

    Args:
      file: pympi's `Eaf`.
      tier: name of the tier.

    Raises:
      KeyError: if the file has no such tier, or if an annotation refers to a missing one.
    """
    times: dict[str, tuple[float | None, float | None]] = {}
    aligned, referring, *_ = file.tiers[tier]
    for identity in [*aligned, *referring]:
        _find(file, identity, times, ())
    texts = [(identity, annotation[2]) for identity, annotation in aligned.items()]
    texts += [(identity, annotation[1]) for identity, annotation in referring.items()]
    return [Annotation(*times[identity], text or "") for identity, text in texts]


def _find(
    file: Any, identity: str, times: dict[str, tuple[float | None, float | None]], above: tuple[str, ...]
) -> None:
    """Add the times of an annotation and its siblings to `times`. `above` lists the annotations that depend on them."""
    if identity in times:
        return
    if identity in above:
        raise KeyError(f"annotation {identity} refers to itself")
    aligned, referring, *_ = file.tiers[file.annotations[identity]]
    if identity in aligned:
        known = _with_shares(aligned, file.timeslots)
        times.update({other: (known[start], known[end]) for other, (start, end, *_) in aligned.items()})
        return
    parent = referring[identity][0]
    _find(file, parent, times, (*above, identity))
    start, end = times[parent]
    children = _in_order({other: row[2] for other, row in referring.items() if row[0] == parent})
    for place, other in enumerate(children):
        if start is None or end is None:
            times[other] = None, None
        else:
            share = (end - start) / len(children)
            times[other] = start + place * share, end if other == children[-1] else start + (place + 1) * share


def _with_shares(aligned: dict[str, Any], slots: dict[str, int | None]) -> dict[str, float | None]:
    """The time of each slot. Consecutive annotations between two known times are equally long."""
    follows = {start: end for start, end, *_ in aligned.values()}
    known: dict[str, float | None] = dict(slots)
    for first, begin in slots.items():
        if begin is None or first not in follows:
            continue
        chain = [first, follows[first]]
        while known.get(chain[-1]) is None and chain[-1] in follows and len(chain) <= len(follows):
            chain.append(follows[chain[-1]])
        end = known.get(chain[-1])
        if end is not None:
            for place, slot in enumerate(chain[1:-1], 1):
                known[slot] = begin + place * (end - begin) / (len(chain) - 1)
    return known


def _in_order(previous: dict[str, str | None]) -> list[str]:
    """Siblings in the order of their references to the previous one; in the order of the file if the references give none."""
    following = {before: identity for identity, before in previous.items() if before}
    ordered = [identity for identity, before in previous.items() if not before][:1]
    while ordered and ordered[-1] in following and len(ordered) < len(previous):
        ordered.append(following[ordered[-1]])
    return ordered if set(ordered) == set(previous) else list(previous)
