"""Settings of the optimiser, and the comparison of a run's settings with those in its folder."""

import dataclasses
import json
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.files.json_values import decode_json

log = logging.getLogger(__name__)

WARMUP_STEPS = 8000
"""Warm-up of a long run, in steps. A run of fewer than five times as many steps has a shorter one."""


@dataclass(frozen=True)
class OptimiserConfig:
    """Settings of AdamW; the Speech SimCLR paper does not give these."""

    schedule: Literal["noam", "cosine", "constant"] = "noam"
    """Learning-rate schedule after a linear warm-up. noam at step n: rate * d_model^-0.5 * min(n^-0.5, n * warmup^-1.5).
    cosine: from the highest rate down to zero. constant: the highest rate throughout."""
    rate: float = 0.5
    """Learning rate. For the schedule noam, its factor (0.5 makes a highest rate of 2.0e-4 for a width of 768 and 8,000 warm-up
    steps); for the other schedules, the highest rate."""
    warmup_steps: int | None = None
    """Steps during which the learning rate increases linearly. Without this option, 8,000 or a fifth of the run's steps,
    whichever is fewer; with the schedule noam, the highest rate is then that of 8,000 steps."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW; biases and LayerNorms have none."""
    b2: float = 0.98
    """Decay rate of the running average of squared gradients; 0.98 is usual with the schedule noam."""
    clip_norm: float = 1.0
    """Scale gradients with a larger norm down to this norm; 0 switches clipping off."""


def settled(chosen: OptimiserConfig, steps: int) -> OptimiserConfig:
    """Write the usual warm-up as a number if the run is long enough for all of it.

    Args:
      chosen: settings of the optimiser.
      steps: number of steps of the whole run.

    Returns:
      the settings. The record of a long run then has 8,000, like records of older versions.
    """
    if chosen.warmup_steps is None and steps // 5 >= WARMUP_STEPS:
        return dataclasses.replace(chosen, warmup_steps=WARMUP_STEPS)
    return chosen


def as_record(config: Any) -> dict[str, Any]:
    """A configuration (nested dataclasses) as JSON."""
    return {item.name: _as_json(getattr(config, item.name)) for item in dataclasses.fields(config)}


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return as_record(value)
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def differences(one: dict[str, Any], other: dict[str, Any], free: Collection[str] = ()) -> list[str]:
    """List settings that make two runs compute different results: `encoder.d_model: 768 here, 512 there`.

    Args:
      one: nested record of the settings here.
      other: nested record of the settings there.
      free: dotted names of settings that may differ.

    Returns:
      one text for each setting that differs.
    """
    here, there = _flat(one), _flat(other)
    return [
        f"{name}: {here.get(name, 'not set')} here, {there.get(name, 'not set')} there"
        for name in sorted(set(here) | set(there))
        if name not in free and here.get(name) != there.get(name)
    ]


def settle_record(
    folder: Path, config: Any, data: dict[str, Any], free: Collection[str] = (), counted: str = "utterances"
) -> None:
    """Write config.json, or compare the settings with the config.json that exists.

    Args:
      folder: folder of the run.
      config: settings of the run, a dataclass.
      data: facts about the data; the fact `digest` identifies the data.
      free: settings that may differ between two starts of one run.
      counted: name of the fact that is a number of items, for the message.

    Raises:
      UserError: if settings or data differ; the message gives the differences.
    """
    import jax  # here, because the command line reads these settings before it needs JAX

    path = folder / "config.json"
    # The record goes through JSON, so that tuples are lists as in the file.
    record = json.loads(json.dumps(as_record(config)))
    if path.exists():
        there = read_config(path)
        different = differences(record, there["config"], free)
        if there["data"].get("digest") != data["digest"]:
            different.append(
                f"the data: {data[counted]} {counted} here, {there['data'].get(counted)} there, not the same ones"
            )
        if different:
            raise UserError(
                f"{folder} holds a run of another configuration ({'; '.join(different)}). "
                "Give another --out, or the same settings to continue it"
            )
    elif jax.process_index() == 0:
        with atomic_write(path, "w") as file:
            json.dump({"config": record, "data": data}, file, indent=2)


def read_config(path: Path) -> dict[str, Any]:
    """Read the configuration and the facts about the data from the `config.json` of a run.

    Args:
      path: the file.

    Raises:
      FileNotFoundError: if there is no such file.
      UserError: if the file is damaged.
    """
    try:
        record = decode_json(path.read_bytes())
        if not isinstance(record, dict) or not all(isinstance(record.get(part), dict) for part in ("config", "data")):
            raise UserError("it does not hold the objects 'config' and 'data'")
    except UserError as error:
        raise UserError(f"{path} is damaged ({error}); name another --out, or copy the run again") from error
    return record


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
