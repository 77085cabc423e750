"""An unfinished extraction on disk: a plan, the recordings, and one file per finished block of clips.

    OUT/<dataset>/.<upstream>.parts/
      plan.json           the plan of the store; a run with another plan does not continue it
      recordings.json     the clips, in order
      block-00000.npz     rows of the first `block_clips` clips, and so on

Every file appears by atomic rename. A run, or a shard of a run, makes the missing blocks. There is no other state,
so any number of processes may work on one folder, and any of them may be killed at any moment.
"""

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from extraction.datasets.base import Recording
from extraction.encoding import EncodedBlock
from jfewshot.errors import UserError
from jfewshot.files import atomic_write, canonical_json, sha256_of_json

SUFFIX = ".parts"


@dataclasses.dataclass(frozen=True)
class Parts:
    """The unfinished store of one dataset and one upstream.

    Attributes:
      folder: folder of the files.
      plan: plan of the store; see `extraction.planning`.
      recordings: every clip to be used, in the order of clip ids.
    """

    folder: Path
    plan: dict[str, Any]
    recordings: tuple[Recording, ...]

    @property
    def digest(self) -> str:
        """A digest of the plan, which identifies the store that will be made."""
        return sha256_of_json(self.plan)

    @property
    def n_blocks(self) -> int:
        """Total number of parts."""
        return -(-len(self.recordings) // self.plan["block_clips"])

    def block(self, number: int) -> Sequence[Recording]:
        """The clips of a block."""
        size = self.plan["block_clips"]
        return self.recordings[number * size : (number + 1) * size]

    def missing(self) -> list[int]:
        """List the blocks that are not on disk yet."""
        there = {path.name for path in self.folder.glob("block-*.npz")}
        return [number for number in range(self.n_blocks) if _block_name(number) not in there]

    def has(self, number: int) -> bool:
        """Whether a block is on disk."""
        return (self.folder / _block_name(number)).exists()

    def begin(self) -> None:
        """Write the plan, or check that an existing plan is the same.

        Raises:
          UserError: if the folder has parts of another plan.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        plan_path = self.folder / "plan.json"
        if plan_path.exists():
            there = json.loads(plan_path.read_text("utf-8"))
            if there != json.loads(canonical_json(self.plan)):
                changed = sorted(key for key in {*there, *self.plan} if there.get(key) != self.plan.get(key))
                raise UserError(
                    f"{self.folder} holds an unfinished extraction with another {', '.join(changed)}. "
                    "Give the same settings to continue it, name another --out, or remove that folder"
                )
            return
        rows = [
            [
                recording.clip_id,
                str(recording.path),
                recording.label,
                recording.group,
                recording.split,
                *([dict(recording.further)] if recording.further else []),
            ]
            for recording in self.recordings
        ]
        with atomic_write(self.folder / "recordings.json", "w") as file:
            json.dump(rows, file, ensure_ascii=False)
        # The plan is written last, so if it exists, the recordings are complete.
        with atomic_write(plan_path, "w") as file:
            json.dump(self.plan, file, indent=2, sort_keys=True, ensure_ascii=False)

    def write(self, number: int, encoded: EncodedBlock) -> None:
        """Write a finished block."""
        arrays: dict[str, Any] = {f"view:{name}": view for name, view in encoded.views.items()}
        reasons = np.array(json.dumps({str(clip): reason for clip, reason in encoded.reasons.items()}))
        with atomic_write(self.folder / _block_name(number)) as file:
            np.savez(
                file,
                n_segments=encoded.n_segments,
                reasons=reasons,
                cost=np.array(json.dumps(encoded.cost)),
                **arrays,
            )

    def read(self, number: int) -> EncodedBlock:
        """Read a finished block.

        Raises:
          UserError: if the file is damaged.
        """
        path = self.folder / _block_name(number)
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
                return EncodedBlock(
                    views={name.removeprefix("view:"): arrays[name] for name in arrays if name.startswith("view:")},
                    n_segments=arrays["n_segments"],
                    reasons={int(clip): reason for clip, reason in json.loads(str(arrays["reasons"])).items()},
                    cost=json.loads(str(arrays["cost"])) if "cost" in arrays else None,
                )
        except Exception as error:
            # A damaged file can raise any error of zipfile, zlib, NumPy, and Python's tokenizer and parser.
            raise UserError(f"{path} is damaged ({error}); remove it and run the same command again") from error

    def blocks(self) -> Iterator[tuple[Sequence[Recording], EncodedBlock]]:
        """Yield all blocks in order, each with its clips."""
        for number in range(self.n_blocks):
            yield self.block(number), self.read(number)

    def remove(self) -> None:
        """Remove the parts after the store is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @classmethod
    def open(cls, folder: Path) -> "Parts":
        """Open the parts of an extraction that an earlier run began.

        Raises:
          UserError: if the folder holds no plan.
        """
        try:
            plan = json.loads((folder / "plan.json").read_text("utf-8"))
            rows = json.loads((folder / "recordings.json").read_text("utf-8"))
        except FileNotFoundError as error:
            raise UserError(f"{folder} holds no unfinished extraction: {error.filename} is missing") from error
        recordings = tuple(
            Recording(clip_id, Path(path), label, group, split, further=tuple((further[0] if further else {}).items()))
            for clip_id, path, label, group, split, *further in rows
        )
        return cls(folder, plan, recordings)


def parts_folder(store: Path) -> Path:
    """The folder of a store's parts until the store is complete."""
    return store.with_name(f".{store.name}{SUFFIX}")


def _block_name(number: int) -> str:
    return f"block-{number:05d}.npz"
