"""List the encoders of installed zoos, each with rate, dimension, window and licence as far as they are known.

This module imports the zoos' packages, which takes time (seconds for mteb). `zoo_names` only knows names, but imports nothing.
"""

import importlib
import importlib.metadata
import logging
import types
from collections.abc import Callable, Iterator
from typing import Any

from extraction.upstreams.isolation import quiet
from extraction.upstreams.zoo_names import hear_modules, package_folder
from jfewshot.commandline.progress import Progress

logger = logging.getLogger(__name__)


def facts(
    what: str,
    sample_rate: float | None = None,
    dim: int | None = None,
    window_s: float | None = None,
    licence: str | None = "",
) -> str:
    """Describe an encoder in a line.

    Args:
      what: the zoo, or a title.
      sample_rate: sample rate in Hz.
      dim: dimension of the embeddings.
      window_s: length of the pieces that the encoder takes, in seconds.
      licence: licence of the weights.

    Returns:
      the known facts in words.
    """
    numbers = [
        f"{sample_rate / 1000:g} kHz" if sample_rate else "",
        f"{dim} dimensions" if dim else "",
        f"windows of {window_s:g} s" if window_s else "",
    ]
    return "; ".join(part for part in (what, ", ".join(filter(None, numbers)), licence) if part)


def zoo_lines() -> list[str]:
    """A line for each encoder of each installed zoo. If a zoo cannot be imported, this is logged, and it is left out."""
    lines: list[str] = []
    for family, (package, read) in _ZOOS.items():
        if package is not None and package_folder(package) is None:
            continue
        try:
            with Progress(f"reading the list of {family}"), quiet(logger):
                lines += [f"{f'{family}:{name}':24} {what}" for name, what in read()]
        except Exception as error:  # foreign code may raise any error with other versions of packages than it knows
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            logger.warning("the encoders of %s are left out of the list: %s", family, reason)
    return lines


def _hear() -> Iterator[tuple[str, str]]:
    for name in hear_modules():
        yield name, "HEAR's API"


def _mteb() -> Iterator[tuple[str, str]]:
    mteb = importlib.import_module("mteb")
    for meta in mteb.get_model_metas(modalities=["audio"]):
        dim = meta.embed_dim if isinstance(meta.embed_dim, int) else None
        yield meta.name, facts("mteb", dim=dim, licence=str(meta.license or ""))


def _hoplite() -> Iterator[tuple[str, str]]:
    """The facts in the presets. Imports and downloads that the presets would cause (TensorFlow, weights) are prevented."""
    from extraction.upstreams.hoplite import licence_of, preset_names

    configs: Any = importlib.import_module("perch_hoplite.zoo.model_configs")
    own, own_gpu = configs.importlib, configs.has_gpu_tf
    absent = types.SimpleNamespace(cache_onnx_model=lambda url: url)

    def import_module(name: str) -> Any:
        return own.import_module(name) if name.endswith("handcrafted_features_model") else absent

    configs.importlib, configs.has_gpu_tf = types.SimpleNamespace(import_module=import_module), lambda: False
    try:
        for name in preset_names(configs):
            preset = configs.get_preset_model_config(name)
            config = preset.model_config
            window_s = config.get("window_size_s")
            yield name, facts("Perch Hoplite", config.sample_rate, preset.embedding_dim, window_s, licence_of(name))
    finally:
        configs.importlib, configs.has_gpu_tf = own, own_gpu


def _avex() -> Iterator[tuple[str, str]]:
    """The facts in the files of specs, so that torch need not be imported."""
    yaml = importlib.import_module("yaml")
    folder = package_folder("avex")
    assert folder is not None
    for file in sorted((folder / "api" / "configs" / "official_models").glob("*.yml")):
        spec = yaml.safe_load(file.read_text(encoding="utf-8"))["model_spec"]
        audio = spec.get("audio_config") or {}
        dim = (spec.get("init_config") or {}).get("encoder_embed_dim")
        yield file.stem, facts(f"avex, {spec['name']}", audio.get("sample_rate"), dim)


_ZOOS: dict[str, tuple[str | None, Callable[[], Iterator[tuple[str, str]]]]] = {
    "hear": (None, _hear),
    "mteb": ("mteb", _mteb),
    "hoplite": ("perch_hoplite", _hoplite),
    "avex": ("avex", _avex),
}
