"""The fusions of a run: which stores, or which layers of one, are evaluated together (`--fuse`, `--mix`)."""

import itertools
import logging
import re
from collections.abc import Sequence

import numpy as np

from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.printable import counted
from jfewshot.store.fused import FusedStore, fused_store, mixed_stores
from jfewshot.store.reading import Store

log = logging.getLogger(__name__)

PAIRS = "pairs"
# Fewer digits than this are lost between weights that are written down and a sum of 100.
_NEARLY = 1e-6
# None is for weights that each episode chooses, no weights for equal ones.
Weights = tuple[float, ...] | None


def parse_weights(text: str) -> Weights:
    """Read how a fusion's parts are weighted.

    Args:
      text: `equal`, `auto`, or a number for each part, as in `75-25`: percentages, or shares that sum to 1.

    Returns:
      the weights; none for equal ones, None for weights that each episode chooses.

    Raises:
      UserError: if a number is not above 0, or the numbers do not sum to 100 or 1.
    """
    if text == "equal":
        return ()
    if text == "auto":
        return None
    numbers = text.split("-")
    if not all(re.fullmatch(r"\d+(\.\d+)?|\.\d+", number) for number in numbers):
        raise UserError(
            f"'{text}' are no weights of a fusion; write equal, auto, or a percentage for each part as in 75-25"
        )
    weights = tuple(float(number) for number in numbers)
    if min(weights) <= 0:
        raise UserError(f"the weights {text} of a fusion have a 0; leave that part out of the fusion")
    if not np.isclose(sum(weights), [1.0, 100.0], rtol=_NEARLY, atol=0.0).any():
        raise UserError(f"the weights {text} of a fusion sum to {sum(weights):g}; they must sum to 100, or to 1")
    return weights


def fusions(
    stores: Sequence[Store],
    fuse: Sequence[str] = (),
    weights: Sequence[str] = (),
    mix_layers: bool = False,
    views: Sequence[str] = (),
) -> list[FusedStore]:
    """The fusions that are evaluated in addition to some stores.

    Args:
      stores: which are evaluated, and may be parts.
      fuse: upstreams joined by `+` as in `whisper_tiny_en+yamnet`, which may have weights of their own as in
        `whisper_tiny_en+yamnet@75-25`; or `pairs`, for every two upstreams of each dataset.
      weights: of fusions without weights of their own, and of layers; each makes a fusion of its own. None for equal ones.
      mix_layers: whether the layers of each store are mixed.
      views: which layers to mix; none for all of the default view's pooling.

    Returns:
      the fusions.

    Raises:
      UserError: if an upstream has no store, no dataset has all parts, no store has two layers, a fusion is named twice, or
        weights do not fit.
    """
    ways = [parse_weights(text) for text in weights] or [()]
    by_dataset: dict[str, list[Store]] = {}
    for store in stores:
        by_dataset.setdefault(store.dataset, []).append(store)
    found: list[FusedStore] = []
    for text in fuse:
        if text == PAIRS:
            found.extend(_pairs(by_dataset, ways))
        else:
            found.extend(_named(text, by_dataset, ways))
    if mix_layers:
        found.extend(_mixes(stores, views, ways))
    seen: set[tuple[str, str, str]] = set()
    for fusion in found:
        name = f"{fusion.upstream}, {fusion.default_view}" if fusion.is_mix else fusion.upstream
        # In another order of the parts it is the same fusion.
        key = fusion.dataset, fusion.default_view, fusion.view_digest(fusion.default_view)
        if key in seen:
            raise UserError(f"the fusion {name} is named twice; name each fusion once")
        seen.add(key)
    return found


def _named(text: str, by_dataset: dict[str, list[Store]], ways: Sequence[Weights]) -> list[FusedStore]:
    """The fusions of some upstreams, one for each dataset that has all of them."""
    joined, at, own = text.partition("@")
    names = joined.split("+")
    if at:
        ways = [parse_weights(own)]
    if len(names) < 2 or not all(names):
        raise UserError(f"--fuse {text} names no two upstreams; write A+B with the names of two upstreams, or {PAIRS}")
    known = {store.upstream for own_stores in by_dataset.values() for store in own_stores}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise UserError(
            f"--fuse {text}: no store of upstream '{unknown}' is evaluated; there are {', '.join(sorted(known))}"
        )
    found: list[FusedStore] = []
    lacking = []
    for dataset, stores in by_dataset.items():
        by_name = {store.upstream: store for store in stores}
        missing = [name for name in names if name not in by_name]
        if missing:
            lacking.append(f"{dataset} (no {' and no '.join(missing)})")
        else:
            found.extend(fused_store([by_name[name] for name in names], weights) for weights in ways)
    if not found:
        raise UserError(
            f"--fuse {text}: no dataset has stores of all parts: {', '.join(lacking)}; extract what is missing"
        )
    if lacking:
        log.warning("--fuse %s skips %s: %s", text, counted(len(lacking), "dataset"), ", ".join(lacking))
    return found


def _pairs(by_dataset: dict[str, list[Store]], ways: Sequence[Weights]) -> list[FusedStore]:
    alone = [dataset for dataset, stores in by_dataset.items() if len(stores) < 2]
    pairs = [pair for stores in by_dataset.values() for pair in itertools.combinations(stores, 2)]
    if not pairs:
        raise UserError(
            f"--fuse {PAIRS}: no dataset has stores of two upstreams; name more --stores, --datasets or --upstreams"
        )
    if alone:
        log.warning("--fuse %s skips %s with one upstream: %s", PAIRS, counted(len(alone), "dataset"), ", ".join(alone))
    return [fused_store(pair, weights) for weights in ways for pair in pairs]


def _mixes(stores: Sequence[Store], views: Sequence[str], ways: Sequence[Weights]) -> list[FusedStore]:
    found, single = [], []
    for store in stores:
        own = [mix for weights in ways for mix in mixed_stores(store, views, weights)]
        found.extend(own)
        if not own:
            single.append(f"{store.upstream} on {store.dataset}")
    if not found:
        raise UserError("--mix layers: no store has two layers of one pooling; extract more layers (--layers all)")
    if single:
        some = ", ".join(single[:8]) + (f" and {len(single) - 8} more" if len(single) > 8 else "")
        log.warning("--mix layers skips %s with a single layer: %s", counted(len(single), "store"), some)
    return found


def check_fusions(stores: Sequence[Store], protocols: Sequence[Protocol], from_others: bool) -> None:
    """Refuse conditions under which fusions cannot be evaluated.

    Args:
      stores: of one dataset.
      protocols: of the run.
      from_others: whether supports are from other stores.

    Raises:
      UserError: naming the fusion and what to leave out.
    """
    for store in stores:
        if not isinstance(store, FusedStore):
            continue
        name = f"the mixed layers of {store.upstream}" if store.is_mix else store.upstream
        if from_others:
            raise UserError(
                f"--support-from gives single stores, and {name} has several parts; leave one of the two out"
            )
        if store.shares is None and any(protocol.all_labels for protocol in protocols):
            raise UserError(
                f"--shots all trains once for many episodes, and the weights of {name} are chosen in each episode; leave out "
                "--shots all, or give fixed weights"
            )
