"""Load an s3prl encoder by name, check that it has the weights of its file, and wrap it."""

import ast
import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import logging
import re
from collections.abc import Callable
from pathlib import Path

from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.isolation import quiet, random_states_kept
from extraction.upstreams.probing import shortest_finite
from extraction.upstreams.s3prl import compat
from extraction.upstreams.s3prl.checking import (
    WANTS_FILE,
    check_format,
    check_weights,
    explain,
    warn_of_another_variant,
)
from extraction.upstreams.s3prl.paper import KINDS, PAPER_UPSTREAMS, S3PRL_RATE
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file, sha256_of_json

log = logging.getLogger(__name__)

# Errors that are known to occur if an encoder is built from a wrong file, including assertions of s3prl.
BUILDING_ERRORS = (RuntimeError, TypeError, KeyError, ValueError, AttributeError, AssertionError, IndexError)


def load_s3prl(name: str, options: UpstreamOptions):
    """Load the encoder with a name of s3prl from its download, its cache, or `options.checkpoint`.

    Args:
      name: any of s3prl's upstreams: an encoder of the paper (`hubert_base`), a baseline (`fbank`), another encoder
        (`xls_r_300m`), or an encoder that reads the user's own file (`hubert_local`, with a checkpoint).
      options: checkpoint, device, autocast, threads, faster, trust.

    Returns:
      an `S3prlUpstream`.

    Raises:
      UserError: if s3prl or another package is missing, if the name is unknown, if the weights cannot be downloaded, or if they
        do not fit.
    """
    if name == "pase_plus":
        raise UserError(
            "PASE+ does not need s3prl here (s3prl's own version needs packages that are not on PyPI): use the name pase_plus"
        )
    compat.prepare()
    import torch

    from extraction.upstreams import torch_runtime
    from extraction.upstreams.s3prl import baselines, encoder, faster, weights
    from extraction.upstreams.torch_checkpoint import own_checkpoint

    torch_runtime.check_autocast(options.autocast)
    device = torch_runtime.resolve_device(options.device)
    torch_runtime.apply_threads(options)
    checkpoint = own_checkpoint(name, options.checkpoint)
    files = weights.Files(name, checkpoint, options.trust_checkpoint)
    with quiet(log), random_states_kept():
        entry = find_entry(name)
        arguments = _arguments(name, entry, checkpoint)
        if arguments and checkpoint is not None:
            files.paths.append(checkpoint)
        with weights.watching(files):
            expert = _build(name, entry, arguments, files)
        kind = KINDS.get(_folder(entry))
        if kind:
            check_weights(name, kind, expert, files)
        elif files.read:
            log.info(
                "%s: loaded as s3prl does; its tensors are not compared with the file, since the format of the file is unknown",
                name,
            )
        if name in baselines.MIN_SAMPLES:
            baselines.keep_trailing_silence(expert)
        n_parameters = sum(parameter.numel() for parameter in expert.parameters())
        expert = encoder.settle(expert, device)
        if options.faster and device.type == "cpu" and options.autocast == "none":
            faster.speed_up(_folder(entry), expert)
        with torch_runtime.inference(device, options.autocast):
            known = kind.min_samples if kind else baselines.MIN_SAMPLES.get(name)
            min_samples = known or shortest_finite(name, encoder.as_arrays(expert, device), S3PRL_RATE)
            states = encoder.hidden_states(expert, torch.zeros(1, max(min_samples, 1600), device=device))
    files.read.clear()
    warn_of_another_variant(name, len(states), states[-1].shape[2])
    return encoder.S3prlUpstream(
        name=_store_name(name, checkpoint),
        title=PAPER_UPSTREAMS.get(name) or baselines.TITLES.get(name, f"s3prl {name}"),
        revision=_revision(name, files, options.autocast),
        licence="",
        source=_source(name, files),
        n_parameters=n_parameters,
        min_samples=min_samples,
        layers=tuple(str(number) for number in range(len(states))),
        expert=expert,
        device=device,
        autocast=options.autocast,
        max_samples=encoder.longest_uncut(expert),
    )


@functools.cache
def entry_names() -> dict[str, list[str]]:
    """All hub functions of s3prl with the folders that define them, read from the source without importing it."""
    spec = importlib.util.find_spec("s3prl")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / "upstream"
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*/hubconf.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.endswith(("_url", "_gdriveid")):
                found.setdefault(node.name, []).append(path.parent.name)
    return found


def find_entry(name: str) -> Callable:
    """Import s3prl's hub function with a name.

    Raises:
      UserError: if there is no such function (the message gives similar names), or if its module needs a missing package.
    """
    folders = entry_names().get(name)
    if not folders:
        near = difflib.get_close_matches(name, entry_names(), n=4)
        hint = f"did you mean {' or '.join(near)}?" if near else "see the list in its documentation"
        raise UserError(f"s3prl has no upstream '{name}'; {hint}")
    # vq_wav2vec's module also defines a wav2vec2_local. The right folder is the one with which the name begins.
    folder = max(folders, key=lambda folder: (name.startswith(folder), len(folder)))
    try:
        module = importlib.import_module(f"s3prl.upstream.{folder}.hubconf")
        if folder in ("tera", "mockingjay"):
            compat.use_fast_sinusoid_table()
        if folder == "roberta":
            importlib.import_module("s3prl.hub")  # the function uses it to find another encoder
    except ModuleNotFoundError as error:
        raise UserError(f"s3prl's {name} needs the package {error.name}: pip install {error.name}") from error
    return getattr(module, name)


def _folder(entry: Callable) -> str:
    return entry.__module__.split(".")[2]


def _arguments(name: str, entry: Callable, checkpoint: Path | None) -> dict[str, str]:
    parameters = inspect.signature(entry).parameters.values()
    named = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    required = [parameter.name for parameter in named if parameter.default is parameter.empty]
    if not required and not name.endswith(WANTS_FILE):
        return {}
    if len(required) > 1:
        raise UserError(
            f"s3prl's {name} needs {', '.join(required)}; wrap it in a class of your own (docs/upstreams.md)"
        )
    if checkpoint is None:
        raise UserError(f"s3prl's {name} needs a file of your own: pass --checkpoint FILE")
    return {required[0] if required else "ckpt": str(checkpoint)}


def _build(name: str, entry: Callable, arguments: dict[str, str], files):
    try:
        return entry(**arguments)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(f"s3prl's {name} needs the package '{error.name}': pip install {error.name}") from error
    except BUILDING_ERRORS as error:
        if not files.paths:
            raise UserError(f"s3prl's {name} cannot be built here: {explain(error)}") from error
        path = files.paths[-1]
        kind = KINDS.get(_folder(entry))
        if kind and path in files.read:
            check_format(name, kind, files.read[path], path)
        raise UserError(f"{path} does not fill {name}: {explain(error)}") from error


def _store_name(name: str, checkpoint: Path | None) -> str:
    from extraction.upstreams.s3prl import baselines

    if name in baselines.MIN_SAMPLES:
        return f"s3prl_{name}"
    if name.endswith(WANTS_FILE):
        assert checkpoint is not None  # without one, `_arguments` raises an error
        return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{name}-{checkpoint.stem}")
    return name


def _revision(name: str, files, autocast: str) -> str:
    digests = [sha256_of_file(path) for path in dict.fromkeys(files.paths)]
    version = importlib.metadata.version("s3prl")
    if not digests:
        return f"s3prl {version}"
    digest = digests[0] if len(digests) == 1 else sha256_of_json(digests)
    return f"sha256:{digest}" + (f" {autocast}" if autocast != "none" else "")


def _source(name: str, files) -> str:
    if files.checkpoint is not None:
        return f"s3prl {name}, from a file of the user's"
    return f"s3prl {name}" + (f", {' '.join(files.urls)}" if files.urls else "")
