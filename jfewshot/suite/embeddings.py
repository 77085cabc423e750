"""Which stores a suite's tasks are evaluated on, and which are missing."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jfewshot.errors import UserError
from jfewshot.store import Store, find_stores, open_store
from jfewshot.store.reading import sample_stores
from jfewshot.suite.definition import Suite

STORES = "stores"


class Found(NamedTuple):
    """The stores that were found for the requested encoders, and those that are missing.

    Attributes:
      stores: by encoder, as its stores call it, and dataset.
      missing: by encoder, as the user named it, the datasets without a store.
    """

    stores: dict[str, dict[str, Store]]
    missing: dict[str, list[str]]


def extracted_folder(out: Path, upstream: str) -> Path:
    """Where a run puts the stores that it extracts with an encoder.

    Args:
      out: folder of the run.
      upstream: what the user calls the encoder; a store may call it otherwise (`simclr:PATH`).
    """
    return out / STORES / (re.sub(r"[^\w.-]+", "-", upstream).strip("-.") or "encoder")


def find_embeddings(
    suite: Suite, datasets: Sequence[str], upstreams: Sequence[str], folders: Sequence[Path], out: Path
) -> Found:
    """Look for a store of each encoder on each dataset.

    Args:
      suite: for messages, and for whether the sample stores are looked through.
      datasets: names of the datasets.
      upstreams: encoders as the user named them; none for every encoder that has a store.
      folders: of stores, or with stores below them.
      out: folder of the run, with what earlier runs extracted.

    Returns:
      the stores that are there, and what is missing.

    Raises:
      UserError: if two stores are of one encoder and dataset, or no encoder is named and none is there.
    """
    given = _by_encoder(find_stores(*folders) if folders else [], datasets)
    if suite.name == "samples":
        shipped = _by_encoder(find_stores(sample_stores()), datasets)
        for name, stores in shipped.items():
            given[name] = stores | given.get(name, {})
    if not upstreams and any((out / STORES).rglob("manifest.json")):
        for name, stores in _by_encoder(find_stores(out / STORES), datasets).items():
            given[name] = stores | given.get(name, {})
    wanted = list(dict.fromkeys(upstreams)) or sorted(given)
    if not wanted:
        raise UserError(
            f"suite '{suite.name}': name an encoder with --upstreams, or give --stores with stores of its datasets "
            f"({', '.join(datasets)})"
        )
    found: dict[str, dict[str, Store]] = {}
    missing: dict[str, list[str]] = {}
    for upstream in wanted:
        own = extracted_folder(out, upstream)
        made = _by_encoder(find_stores(own) if any(own.rglob("manifest.json")) else [], datasets)
        encoders = {name: given.get(name, {}) for name in ([upstream] if upstream in given else [])}
        for name, stores in made.items():
            encoders[name] = stores | encoders.get(name, {})
        lacking = [one for one in datasets if not encoders or any(one not in stores for stores in encoders.values())]
        if lacking:
            missing[upstream] = lacking
        found |= encoders
    return Found(found, missing)


def _by_encoder(paths: Iterable[Path], datasets: Sequence[str]) -> dict[str, dict[str, Store]]:
    found: dict[str, dict[str, Store]] = {}
    for path in paths:
        store = open_store(path)
        if store.dataset not in datasets:
            continue
        of_encoder = found.setdefault(store.upstream, {})
        if store.dataset in of_encoder:
            raise UserError(
                f"{of_encoder[store.dataset].path} and {path} are both '{store.upstream}' on '{store.dataset}'; "
                "give --stores that hold one of them"
            )
        of_encoder[store.dataset] = store
    return found
