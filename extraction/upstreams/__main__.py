"""The encoders' command line: list, check."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from extraction.upstreams import FAMILIES, UPSTREAMS, load_upstream, upstream_names
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.paper_table import paper_table
from extraction.upstreams.s3prl.baselines import TITLES
from extraction.upstreams.self_check import change_by_autocast, self_check
from jfewshot.commandline import run_cli
from jfewshot.errors import UserError

# What follows the colon, for `list`.
FAMILY_HINTS = {
    "s3prl": "any other of s3prl's by name (s3prl:xls_r_300m); s3prl:hubert_local --checkpoint FILE for your own training",
    "hf": "a speech encoder of the Hugging Face hub, or a folder (hf:facebook/hubert-base-ls960)",
    "onnx": "an ONNX file (onnx:my_encoder.onnx)",
    "simclr": "a folder written by python -m jfewshot.simclr.export",
}


@dataclasses.dataclass(frozen=True)
class List:
    """Say which encoders there are."""

    def run(self) -> int:
        titles = {row["name"]: f"{row['title']}: {row['objective']}; {row['corpus']}" for row in paper_table()}
        titles |= {f"s3prl_{name}": title for name, title in TITLES.items()}
        lines = [f"{name:24} {titles.get(name, '')}".rstrip() for name in UPSTREAMS]
        lines += [f"{family + ':...':24} {FAMILY_HINTS[family]}" for family in FAMILIES]
        lines += [f"{'MODULE:CLASS':24} a class of yours (docs/upstreams.md)"]
        sys.stdout.write("\n".join(lines) + "\n")
        return 0


@dataclasses.dataclass(frozen=True)
class Check:
    """Load encoders and run a second of sound through each: is everything there, and does it keep the interface's promises?

    Weights that are not here yet are downloaded into the cache, so this also prepares compute nodes without internet. Exits 2 if
    an encoder fails.

    Example: python -m extraction.upstreams check hubert_base tera_960hr
    """

    names: tyro.conf.Positional[tuple[str, ...]]
    """Encoders, as `list` names them; `paper` for all 13 of the paper."""
    checkpoint: Path | None = None
    """File with the weights of the one encoder named, or folder in which each file is named after its encoder
    (hubert_base.pt); None: each encoder's download or cache."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    autocast: str = "none"
    """none, bf16 or fp16."""
    trust_checkpoint: bool = False
    """Read a checkpoint that holds Python objects beside numbers, which can run any code."""

    def run(self) -> int:
        names = upstream_names(self.names)
        if not names:
            raise UserError("name at least one encoder, or 'paper' for the paper's 13; `list` shows them")
        if self.checkpoint is not None and len(names) > 1 and not self.checkpoint.is_dir():
            raise UserError(f"--checkpoint FILE is one encoder's, and {len(names)} are named; check them one at a time")
        options = UpstreamOptions(
            checkpoint=self.checkpoint,
            device=self.device,
            autocast=self.autocast,
            trust_checkpoint=self.trust_checkpoint,
        )
        failed = [name for name in names if not _check(name, options)]
        if failed:
            raise UserError(f"{len(failed)} of {len(names)} encoders cannot be used: {', '.join(failed)}")
        return 0


def _check(name: str, options: UpstreamOptions) -> bool:
    try:
        upstream = load_upstream(name, options)
        seen = self_check(upstream)
    except UserError as error:
        sys.stdout.write(f"{name:24} FAILED  {error}\n")
        return False
    frames, dim = seen.shapes[upstream.layers[-1]]
    parameters = "?" if upstream.n_parameters is None else f"{upstream.n_parameters / 1e6:.2f} M"
    sys.stdout.write(
        f"{upstream.name:24} ok  {len(upstream.layers)} layers, {frames} frames x {dim} in a second, {parameters} parameters, "
        f"{seen.rate:.0f} s of sound per s, batch and single differ by {seen.batch_difference:.0e}, {upstream.revision[:19]}"
    )
    if options.autocast != "none":
        exact = load_upstream(name, dataclasses.replace(options, autocast="none"))
        sys.stdout.write(f", {options.autocast} moves means by up to {change_by_autocast(upstream, exact):.1e}")
    sys.stdout.write("\n")
    sys.stdout.flush()
    return True


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run it."""
    commands = Annotated[List, tyro.conf.subcommand("list")] | Annotated[Check, tyro.conf.subcommand("check")]
    return tyro.cli(commands, prog="python -m extraction.upstreams", description=__doc__, args=arguments).run()


if __name__ == "__main__":
    run_cli(main)
