"""An encoder in an ONNX file: `onnx:PATH`.

The network has one float32 input, waves of batch x samples. Each of its outputs is a layer: float32, batch x frames x dim, or
batch x dim for one vector per wave. If the file fixes a dimension, the waves are adapted to it: with a fixed batch of 1, waves
are encoded one by one, and a fixed number of samples becomes the segment length.

Other facts are read from the file's metadata (`onnx.helper.set_model_props`). Defaults for missing facts:

    sample_rate        16000
    segment_samples    5 s; whole for whole clips
    min_samples        found by trying waves of different lengths
    title, licence, n_parameters
"""

import dataclasses
import importlib.util
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from extraction.upstreams.base import UpstreamOptions, require_known_layers, true_layer
from extraction.upstreams.probing import TOO_SHORT, shortest_finite
from jfewshot.errors import UserError
from jfewshot.files import sha256_of_file

log = logging.getLogger(__name__)

SAMPLE_RATE = 16_000
SEGMENT_S = 5
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclasses.dataclass(eq=False)
class OnnxUpstream:
    """One ONNX network behind the interface of `extraction.upstreams.base.Upstream`.

    Attributes beyond the interface:
      session: onnxruntime's session.
      outputs: for each layer, the output's name in the network, which may have characters that a file name must not have.
      fixed_batch: the only batch size that the file allows; None for any.
      max_samples: the only length that the file allows; None for any.
      device: `cpu` or `cuda`.
    """

    name: str
    title: str
    revision: str
    licence: str
    source: str
    n_parameters: int | None
    sample_rate: int
    segment_samples: int | None
    layers: tuple[str, ...]
    session: Any
    outputs: dict[str, str]
    fixed_batch: int | None
    max_samples: int | None
    device: str
    min_samples: int = 1
    packages: tuple[str, ...] = ("onnxruntime",)

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames dim"]]:
        """Frames of the requested layers; see `extraction.upstreams.base.Upstream.encode`.

        Raises:
          UserError: if a layer is unknown, or if the network does not take waves of this length.
        """
        require_known_layers(self.name, self.layers, layers)
        length = waves.shape[1]
        if length < self.min_samples or (self.max_samples is not None and length > self.max_samples):
            most = f" and at most {self.max_samples}" if self.max_samples else ""
            raise UserError(f"{self.name} takes at least {self.min_samples}{most} samples; this wave has {length}")
        own = {layer: true_layer(self.layers, layer) for layer in layers}
        step = self.fixed_batch or len(waves)
        pieces = [self._run(waves[start : start + step], step, own) for start in range(0, len(waves), step)]
        return {layer: np.concatenate([piece[layer] for piece in pieces])[: len(waves)] for layer in layers}

    def _run(self, waves: np.ndarray, batch: int, own: dict[str, str]) -> dict[str, np.ndarray]:
        # If the batch size is fixed, the batch is filled with copies of its last wave; the caller removes their rows.
        filled = np.concatenate([waves, np.repeat(waves[-1:], batch - len(waves), axis=0)])
        asked = [self.outputs[layer] for layer in own.values()]
        arrays = self.session.run(asked, {self.session.get_inputs()[0].name: filled.astype(np.float32)})
        return {
            layer: (array[:, None, :] if array.ndim == 2 else array).astype(np.float32)
            for layer, array in zip(own, arrays, strict=True)
        }


def load_onnx(rest: str, options: UpstreamOptions) -> OnnxUpstream:
    """Open a network and read its metadata.

    Args:
      rest: the file; the upstream is named after it.
      options: device (a GPU is used if onnxruntime supports it) and threads.

    Raises:
      UserError: if onnxruntime is missing, if the file does not exist or is no ONNX network, or if the network does not map waves
        to frames.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise UserError("onnx: encoders need the package onnxruntime: pip install 'jfewshot[onnx]'")
    path = Path(options.checkpoint or rest).expanduser()
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    session = _open(path, options)
    told = dict(session.get_modelmeta().custom_metadata_map)
    batch, length = _input_shape(path, session)
    rate = _number(path, told, "sample_rate", SAMPLE_RATE)
    segment = (
        None if told.get("segment_samples") == "whole" else _number(path, told, "segment_samples", SEGMENT_S * rate)
    )
    outputs = {
        re.sub(r"[^A-Za-z0-9_-]+", "_", output.name).strip("_") or "0": output.name for output in session.get_outputs()
    }
    if len(outputs) < len(session.get_outputs()):
        raise UserError(f"{path} has outputs whose names differ only in punctuation; rename them")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem)
    upstream = OnnxUpstream(
        name=name,
        title=told.get("title", name),
        revision=f"sha256:{sha256_of_file(path)}",
        licence=told.get("licence", ""),
        source=path.name,
        n_parameters=_number(path, told, "n_parameters", None),
        sample_rate=rate,
        segment_samples=length or segment,
        layers=tuple(outputs),
        session=session,
        outputs=outputs,
        fixed_batch=batch,
        max_samples=length,
        device="cuda" if "CUDAExecutionProvider" in session.get_providers() else "cpu",
    )
    upstream.min_samples = length or _number(path, told, "min_samples", None) or _probe(upstream)
    return upstream


def _open(path: Path, options: UpstreamOptions) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    if not _DEVICE.fullmatch(options.device):
        raise UserError(
            f"onnx: encoders run on auto, cpu, cuda, or cuda:1 for the second GPU, not on '{options.device}'"
        )
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors only
    if options.threads is not None:
        settings.intra_op_num_threads = options.threads
    providers: list[Any] = ["CPUExecutionProvider"]
    if options.device != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        _, _, index = options.device.partition(":")
        # Without this, products would be rounded to TF32 (10 bits), and features would depend on the batch.
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(index or 0), "use_tf32": 0}))
    elif options.device.startswith("cuda"):
        raise UserError(
            f"device {options.device} was requested, and this onnxruntime has no CUDA: pip install onnxruntime-gpu, or pass "
            "--device cpu"
        )
    try:
        return onnxruntime.InferenceSession(str(path), settings, providers=providers)
    except (
        errors.InvalidProtobuf,
        errors.InvalidGraph,
        errors.Fail,
        errors.NotImplemented,
        errors.InvalidArgument,
    ) as error:
        raise UserError(f"{path} cannot be opened as an ONNX network: {str(error).splitlines()[0][:300]}") from error


def _input_shape(path: Path, session: Any) -> tuple[int | None, int | None]:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        seen = ", ".join(f"{given.name}: {given.type} {given.shape}" for given in inputs)
        raise UserError(f"{path} takes {seen}; one float32 input, waves of batch x samples, is needed")
    for output in session.get_outputs():
        if output.type != "tensor(float)" or len(output.shape) not in (2, 3):
            raise UserError(
                f"{path} gives {output.name}: {output.type} {output.shape}; float32 of batch x frames x dim, or batch x dim, is "
                "needed"
            )
    batch, length = (size if isinstance(size, int) else None for size in inputs[0].shape)
    return batch, length


def _number(path: Path, told: dict[str, str], key: str, default: Any) -> Any:
    if key not in told:
        return default
    if not told[key].isdigit() or int(told[key]) == 0:
        raise UserError(f"the metadata of {path} gives {key} as {told[key]!r}; a positive whole number is needed")
    return int(told[key])


def _probe(upstream: OnnxUpstream) -> int:
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    return shortest_finite(
        upstream.name,
        lambda waves: upstream.encode(waves, upstream.layers).values(),
        upstream.sample_rate,
        errors=(*TOO_SHORT, errors.Fail, errors.RuntimeException, errors.InvalidArgument),
    )
