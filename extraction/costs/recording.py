"""The cost of each finished part, and the cost of a store from the costs of its parts."""

import collections
import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from extraction.costs.flop import flop_of
from extraction.costs.machine import machine_of
from extraction.encoding import EncodedBlock
from extraction.upstreams.base import Upstream


@dataclasses.dataclass(eq=False)
class Meter:
    """Measures the cost of one encoder in this process, part by part.

    Attributes:
      upstream: the encoder; its operations are counted up to its last layer.
    """

    upstream: Upstream
    _counted: tuple[int, int | None] | None = None
    _is_first: bool = True

    def cost_of(self, encoded: EncodedBlock, seconds: float) -> dict[str, Any]:
        """Measure the cost of a part.

        Operations are counted once per process, for one wave. Its length is the mean length of the first part's segments.

        Args:
          encoded: the rows of the part.
          seconds: time for encoding the part.

        Returns:
          values for JSON.
        """
        if self._counted is None and encoded.waves:
            samples = round(encoded.samples / encoded.waves)
            self._counted = samples, flop_of(self.upstream, samples)
        samples, flop = self._counted or (0, None)
        was_first, self._is_first = self._is_first, False
        return {
            "clips": int((encoded.n_segments > 0).sum()),
            "waves": encoded.waves,
            "seconds": seconds,
            "first": was_first,
            "flop": flop,
            "flop_samples": samples,
            "machine": machine_of(self.upstream),
        }


def cost_of_store(parts: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Compute the cost of an encoder for a store from the costs of the store's parts.

    If a process encoded several parts, the time of its first part does not count: JAX compiles during that part, and libraries
    start their threads. If parts were made on several machines, only the times from one machine count: the one that made most
    parts.

    Args:
      parts: costs from `Meter.cost_of`; None for a part from an older version, which recorded no cost.

    Returns:
      the manifest's `cost` (docs/store.md); None if a part has no cost.
    """
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not sum(part["clips"] for part in known):
        return None
    machines = collections.Counter(json.dumps(part["machine"], sort_keys=True) for part in known)
    machine = machines.most_common(1)[0][0]
    timed = [part for part in known if json.dumps(part["machine"], sort_keys=True) == machine]
    timed = [part for part in timed if not part["first"] and part["clips"]] or timed
    clips, seconds = (sum(part[name] for part in timed) for name in ("clips", "seconds"))
    counts = [part["flop"] for part in known if part["waves"]]
    waves_per_clip = sum(part["waves"] for part in known) / sum(part["clips"] for part in known)
    flop = None if None in counts else round(statistics.fmean(counts) * waves_per_clip)
    return {
        **({} if flop is None else {"flop_per_clip": flop}),
        "clips_per_s": float(f"{clips / max(seconds, 1e-9):.4g}"),
        "clips_timed": clips,
        **json.loads(machine),
    }
