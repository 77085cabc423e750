"""Make a store from finished parts: check that all exist, write the store, remove the parts."""

import logging
from pathlib import Path

import numpy as np

from extraction.costs.recording import cost_of_store
from extraction.parts import SUFFIX, Parts
from extraction.planning import lost_classes, versions_of
from jfewshot.errors import UserError
from jfewshot.store import ClipTable, Store, check_store_place, open_store, write_store

logger = logging.getLogger(__name__)


def assemble(parts: Parts, store: Path, replace: bool = False) -> Store:
    """Write the store of some parts, and then remove the parts.

    Args:
      parts: the parts, with all blocks on disk.
      store: folder of the store.
      replace: replace an existing store.

    Returns:
      the finished store.

    Raises:
      UserError: if blocks are missing (the message says how many and which), if no clip could be used, or if `store`
          exists and may not be replaced.
    """
    missing = parts.missing()
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise UserError(
            f"{store}: {len(missing)} of {parts.n_blocks} parts are missing (numbers {shown}). "
            "Run the shards that make these parts (part p is made by shard p % n of n), then merge again"
        )
    counts, costs, left_out, dims = [], [], list(parts.plan["left_out"]), {}
    for clips, block in parts.blocks():
        counts.append(block.n_segments)
        costs.append(block.cost)
        left_out += [{"clip_id": clips[clip].clip_id, "reason": reason} for clip, reason in block.reasons.items()]
        dims.update({name: view.shape[1] for name, view in block.views.items()})
    n_segments = np.concatenate(counts)
    used = np.flatnonzero(n_segments)
    if not len(used):
        raise UserError(f"{store}: none of {len(parts.recordings)} clips could be used; first: {left_out[0]['reason']}")
    views = {name: _fill_view(parts, name, int(n_segments.sum()), dim) for name, dim in dims.items()}
    recordings = [parts.recordings[clip] for clip in used]
    lost = lost_classes(parts.recordings, {recording.label for recording in recordings}, left_out)
    if lost:
        logger.warning("%s: %s", store, lost)
    table = ClipTable.build(
        [recording.clip_id for recording in recordings],
        [recording.label for recording in recordings],
        [recording.group for recording in recordings],
        [recording.split for recording in recordings],
        n_segments=n_segments[used].tolist(),
        further={
            name: [dict(recording.further).get(name, "") for recording in recordings]
            for name in dict.fromkeys(name for recording in recordings for name, _ in recording.further)
        },
    )
    plan = parts.plan
    finished = write_store(
        store,
        views=views,
        clips=table,
        dataset=plan["dataset"],
        upstream=plan["upstream"],
        sample_rate=plan["sample_rate"],
        segment_samples=plan["segment_samples"],
        preprocessing=plan["preprocessing"],
        default_view=plan.get("default_view"),
        left_out=sorted(left_out, key=lambda item: item["clip_id"]),
        made_with=versions_of(parts),
        cost=cost_of_store(costs),
        replace=replace,
    )
    parts.remove()
    logger.info("%s: %d clips, %d segments, %d left out", store, len(table), n_segments.sum(), len(left_out))
    return finished


def merge_all(out: Path, replace: bool = False) -> list[Store]:
    """Make stores of all parts in a folder of stores (`out/<dataset>/.<upstream>.parts`).

    Args:
      out: the folder of stores.
      replace: replace existing stores.

    Raises:
      UserError: if there are no parts, or if some are incomplete; stores with complete parts are made first.
    """
    folders = sorted(path.parent for path in out.glob(f"*/.*{SUFFIX}/plan.json"))
    if not folders:
        raise UserError(f"{out} holds no unfinished extractions: nothing to merge")
    stores, incomplete = [], []
    for folder in folders:
        store = folder.with_name(folder.name.removeprefix(".").removesuffix(SUFFIX))
        try:
            stores.append(assemble(Parts.open(folder), store, replace))
        except UserError as error:
            incomplete.append(str(error))
    if incomplete:
        raise UserError("; ".join(incomplete))
    return stores


def is_finished(parts: Parts, store: Path, replace: bool = False) -> bool:
    """Whether the store of this plan exists.

    Args:
      parts: the plan.
      store: folder of the store.
      replace: whether another existing store may be replaced.

    Returns:
      whether the store is finished.

    Raises:
      UserError: if other files exist at its path that may not be replaced.
    """
    if not (store / "manifest.json").exists() or replace:
        check_store_place(store, replace)
    if not (store / "manifest.json").exists():
        return False
    if open_store(store).manifest.get("made_with", {}).get("plan") == parts.digest:
        return True
    if replace:
        return False
    raise UserError(
        f"{store} is there already, and was made of other clips or with other settings. "
        "Name another --out, or give --replace to replace it"
    )


def _fill_view(parts: Parts, name: str, n_rows: int, dim: int) -> Path:
    """Write the blocks' rows one after another to a file, without holding all of them in memory."""
    path = parts.folder / f"{name}.npy"
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(parts.plan["dtype"]), shape=(n_rows, dim))
    start = 0
    for _, block in parts.blocks():
        rows = block.views.get(name)
        if rows is not None:
            array[start : start + len(rows)] = rows
            start += len(rows)
    array.flush()
    return path
