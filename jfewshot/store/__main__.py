"""The store's command line: create, inspect, verify."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from jfewshot.commandline import run_cli
from jfewshot.store.creating import create_from_files
from jfewshot.store.reading import Store, find_stores, open_store
from jfewshot.store.verifying import verify_store


@dataclasses.dataclass(frozen=True)
class Create:
    """Make a store from your own embeddings and labels.

    Example: python -m jfewshot.store create --embeddings X.npy --labels labels.csv --dataset birds --upstream mine
    --out stores/birds/mine
    """

    embeddings: Path
    """A .npy file (segments x dim, rows in the CSV's order), or a folder with one <clip_id>.npy per clip."""
    labels: Path
    """A CSV with a column `class` (or `label`) and, if you have them, `clip_id`, `group`, `split`, `n_segments`."""
    dataset: str
    """The dataset's name. Stores with the same clips are compared on the same episodes."""
    upstream: str
    """The encoder's name."""
    out: Path
    """The folder to write."""
    view: str = "last.mean"
    """What the embeddings are: <layer>.<pooling>."""
    licence: str = ""
    """The audio's licence, kept in the manifest."""
    source: str = ""
    """Where the audio came from, kept in the manifest."""

    def run(self) -> int:
        facts = {"name": self.dataset, "licence": self.licence, "source": self.source}
        store = create_from_files(
            self.out,
            self.embeddings,
            self.labels,
            dataset={key: value for key, value in facts.items() if value},
            upstream=self.upstream,
            view=self.view,
        )
        sys.stdout.write(describe(store) + "\n")
        return 0


@dataclasses.dataclass(frozen=True)
class Inspect:
    """Say what is in a store, or in every store below a folder."""

    stores: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of stores, or folders above them."""
    json: bool = False
    """Print the manifests as JSON instead."""

    def run(self) -> int:
        opened = [open_store(path) for path in find_stores(*self.stores)]
        if self.json:
            sys.stdout.write(
                json.dumps([dict(store.manifest) for store in opened], indent=2, ensure_ascii=False) + "\n"
            )
        else:
            sys.stdout.write("\n\n".join(describe(store) for store in opened) + "\n")
        return 0


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check that stores are whole and sane. Exits 1 if one is not."""

    stores: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of stores, or folders above them."""

    def run(self) -> int:
        status = 0
        for path in find_stores(*self.stores):
            report = verify_store(path)
            sys.stdout.write(f"{'BROKEN' if report.errors else 'ok'}  {path}\n")
            sys.stdout.writelines(f"  error: {line}\n" for line in report.errors)
            sys.stdout.writelines(f"  warning: {line}\n" for line in report.warnings)
            status = 1 if report.errors else status
        return status


def describe(store: Store) -> str:
    """A few lines about a store, for people."""
    manifest, clips = store.manifest, store.clips
    sizes = np.unique(clips.class_name, return_counts=True)[1]
    groups = len(set(clips.group.tolist()) - {""})
    splits = sorted(set(clips.split.tolist()) - {""})
    segment = manifest.get("segment_samples")
    rate = manifest.get("sample_rate")
    lines = [
        f"{store.path}",
        f"  dataset   {store.dataset}" + _extra(manifest["dataset"], "title", "licence", "source"),
        f"  upstream  {store.upstream}" + _extra(manifest["upstream"], "title", "revision", "licence"),
        f"  clips     {len(clips)} in {len(sizes)} classes of {sizes.min()} to {sizes.max()} clips"
        + (f", {groups} groups" if groups else ", no groups")
        + (f", splits {', '.join(splits)}" if splits else ""),
        f"  segments  {int(clips.n_segments.sum())}, at most {clips.n_segments.max()} a clip"
        + (f", {segment / rate:g} s at {rate} Hz" if segment and rate else ""),
        *(
            f"  view      {name}: {view.get('dim')}-d {view.get('dtype')}"
            for name, view in sorted(manifest["views"].items())
        ),
        f"  digests   store {store.digest[:16]}, clip table {clips.digest[:16]}",
    ]
    left_out = manifest.get("left_out", [])
    if left_out:
        lines.append(
            f"  left out  {len(left_out)} recordings, first '{left_out[0]['clip_id']}': {left_out[0]['reason']}"
        )
    return "\n".join(lines)


def _extra(facts: dict, *names: str) -> str:
    known = [str(facts[name]) for name in names if facts.get(name)]
    return f" ({'; '.join(known)})" if known else ""


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it."""
    commands = (
        Annotated[Create, tyro.conf.subcommand("create")]
        | Annotated[Inspect, tyro.conf.subcommand("inspect")]
        | Annotated[Verify, tyro.conf.subcommand("verify")]
    )
    return tyro.cli(commands, prog="python -m jfewshot.store", args=arguments).run()


if __name__ == "__main__":
    run_cli(main)
