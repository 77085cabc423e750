"""Load encoders and run a second of sound through each."""

import dataclasses
import sys
from pathlib import Path

from extraction.options import CheckOptions
from extraction.upstreams import COMPARISON, load_upstream, upstream_names
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.self_check import change_by_autocast, self_check
from jfewshot.commandline import EXIT_CHECK_FAILED
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError


def check_all(asked: CheckOptions) -> int:
    """Check encoders and write one line about each.

    Args:
      asked: names of the encoders, and options for loading them.

    Returns:
      the exit status: 0 if all encoders can be used.

    Raises:
      UserError: if a checkpoint is given for an encoder that is not named.
    """
    names = upstream_names(asked.names)
    # The paper's comparison encoder cannot be downloaded, so it is checked only if its file is given.
    if "paper" in asked.names and COMPARISON not in names and _is_given(COMPARISON, asked):
        names.append(COMPARISON)
    options = asked.options.for_upstreams(names)
    if "paper" in asked.names and COMPARISON not in names:
        sys.stdout.write(f"{COMPARISON:24} not checked: pass --checkpoint {COMPARISON}=FILE (docs/upstreams.md)\n")
    failed = [name for name in names if not _check(name, options)]
    if failed:
        sys.stderr.write(f"error: {len(failed)} of {len(names)} encoders cannot be used: {', '.join(failed)}\n")
        return EXIT_CHECK_FAILED
    return 0


def _is_given(name: str, asked: CheckOptions) -> bool:
    given = asked.options.checkpoint
    return any(text.startswith(f"{name}=") or (Path(text) / f"{name}.pt").is_file() for text in given)


def _check(name: str, options: UpstreamOptions) -> bool:
    try:
        with Progress(f"loading {name}"):
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
