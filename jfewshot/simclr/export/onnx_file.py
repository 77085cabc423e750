"""Writes an exported encoder as an ONNX network, from waves to the hidden states of every layer.

The graph is written node by node from the parameters. The filter bank is a strided convolution (framing, removal of the mean,
pre-emphasis, window and Fourier transform are all linear), followed by powers, the mel filters and a logarithm. Then come the
layers. Batch and length may vary. The metadata have the facts that `onnx:PATH` of `jfewshot extract` reads.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.simclr.export.folder import EncoderFolder
from jfewshot.simclr.features.fbank import LOG_FLOOR, mel_filters, povey_window
from jfewshot.simclr.settings import FbankSettings

_OPSET = 17
_IR_VERSION = 8


def write_onnx(path: Path, encoder: EncoderFolder) -> None:
    """Write the network. An error leaves everything as it was before.

    Args:
      path: file to write.
      encoder: the encoder; the network computes in float32.

    Raises:
      UserError: if the package onnx is missing, or the encoder has no filter bank.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError:
        raise UserError("--format onnx needs the package onnx: pip install onnx") from None
    if encoder.fbank is None:
        raise UserError(
            f"encoder {encoder.name} does not say how its input features are computed, so a network from waves cannot be written"
        )
    graph = _Graph(encoder)
    states = graph.encoder(graph.features())
    nodes = [helper.make_node("Identity", [state], [str(number)]) for number, state in enumerate(states)]
    width = encoder.config.d_model
    outputs = [
        helper.make_tensor_value_info(str(number), TensorProto.FLOAT, ["batch", "frames", width])
        for number in range(len(states))
    ]
    waves = helper.make_tensor_value_info("waves", TensorProto.FLOAT, ["batch", "samples"])
    whole = helper.make_graph([*graph.nodes, *nodes], encoder.name, [waves], outputs, graph.constants)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    told = {
        "title": encoder.title or encoder.name,
        "licence": encoder.licence,
        "source": encoder.source,
        "sample_rate": str(encoder.fbank.sample_rate),
        "min_samples": str(encoder.fbank.frame_length),
        "n_parameters": str(int(sum(np.size(value) for value in encoder.arrays.values()))),
        "training": json.dumps(dict(encoder.training), ensure_ascii=False),
    }
    helper.set_model_props(model, {key: value for key, value in told.items() if value})
    onnx.checker.check_model(model)
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def frame_transform(settings: FbankSettings) -> Float[np.ndarray, "numbers frame"]:
    """Compute one matrix, in float64, for the Fourier transform of a frame and everything that Kaldi does to the frame before.

    Args:
      settings: settings of the filter bank.

    Returns:
      a row for the real part of each bin except the one at half the sample rate, then rows for the imaginary parts; a column for
      each sample of a frame.
    """
    n = settings.frame_length
    centred = np.eye(n) - 1.0 / n
    emphasis = np.eye(n) - settings.preemphasis * np.eye(n, k=-1)
    emphasis[0, 0] -= settings.preemphasis  # Kaldi repeats the first sample before the first
    prepared = povey_window(n).astype(np.float64)[:, None] * (emphasis @ centred) * settings.scale
    angle = 2 * np.pi * np.outer(np.arange(settings.n_fft // 2), np.arange(n)) / settings.n_fft
    return np.concatenate([np.cos(angle), -np.sin(angle)]) @ prepared


class _Graph:
    """Collects nodes and constants. Methods add nodes, and return the names of their outputs."""

    def __init__(self, encoder: EncoderFolder):
        self.folder, self.config = encoder, encoder.config
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        from onnx import helper

        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def split(self, value: str) -> tuple[str, str]:
        """Split the last axis into two halves."""
        from onnx import helper

        names = f"half_{len(self.nodes)}", f"other_{len(self.nodes)}"
        self.nodes.append(helper.make_node("Split", [value], list(names), axis=-1))
        return names

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant; returns its name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def parameter(self, name: str) -> str:
        """Add a parameter of the encoder as a constant."""
        return self.constant(self.folder.arrays[name])

    def features(self) -> str:
        """Add the normalised log-mel frames of the waves."""
        settings = self.folder.fbank
        assert settings is not None
        assert self.folder.mean is not None
        assert self.folder.std is not None
        kernel = self.constant(frame_transform(settings)[:, None])
        one_channel = self.op("Unsqueeze", "waves", self.constant([1], np.int64))
        spectrum = self.op("Conv", one_channel, kernel, strides=[settings.hop_length])
        real, imaginary = self.split(self.op("Transpose", spectrum, perm=[0, 2, 1]))
        power = self.op("Add", self.op("Mul", real, real), self.op("Mul", imaginary, imaginary))
        energies = self.op("MatMul", power, self.constant(mel_filters(settings)))
        logarithm = self.op("Log", self.op("Max", energies, self.constant(LOG_FLOOR)))
        centred = self.op("Sub", logarithm, self.constant(self.folder.mean))
        return self.op("Div", centred, self.constant(self.folder.std))

    def encoder(self, features: str) -> list[str]:
        """Add the encoder; returns the names of all hidden states."""
        x = self.linear(features, "input") if self.config.prenet == "none" else self.prenet(features)
        x = self.norm(self.op("Add", x, self.positions(x)), "input_norm")
        states = [x]
        for number in range(self.config.n_layers):
            x = self.layer(x, f"layers.{number}")
            states.append(x)
        if self.config.norm == "pre":
            states = [self.norm(state, f"hidden_norms.{number}") for number, state in enumerate(states)]
        return states

    def linear(self, x: str, name: str) -> str:
        return self.op("Add", self.op("MatMul", x, self.parameter(f"{name}.kernel")), self.parameter(f"{name}.bias"))

    def norm(self, x: str, name: str) -> str:
        # The variance takes two passes, since the rounding error of E[x²] - E[x]² is larger than TERA's epsilon.
        last = {"axes": [-1], "keepdims": 1}
        centred = self.op("Sub", x, self.op("ReduceMean", x, **last))
        variance = self.op("ReduceMean", self.op("Mul", centred, centred), **last)
        deviation = self.op("Sqrt", self.op("Add", variance, self.constant(self.config.layer_norm_eps)))
        scaled = self.op("Mul", self.op("Div", centred, deviation), self.parameter(f"{name}.scale"))
        return self.op("Add", scaled, self.parameter(f"{name}.bias"))

    def prenet(self, features: str) -> str:
        two_dimensional = self.config.prenet == "conv2d"
        if two_dimensional:
            x = self.op("Unsqueeze", features, self.constant([1], np.int64))
        else:
            x = self.op("Transpose", features, perm=[0, 2, 1])
        for number in range(2):
            kernel = np.asarray(self.folder.arrays[f"input.convolutions.{number}.kernel"])
            axes = kernel.ndim - 2  # kernels are (axes, in, out) in flax and (out, in, axes) in ONNX
            weights = self.constant(np.moveaxis(kernel, (-1, -2), (0, 1)))
            bias = self.parameter(f"input.convolutions.{number}.bias")
            x = self.op("Relu", self.op("Conv", x, weights, bias, strides=[2] * axes, pads=[1] * 2 * axes))
        if two_dimensional:
            x = self.op("Transpose", x, perm=[0, 2, 3, 1])
            x = self.op("Reshape", x, self.constant([0, 0, -1], np.int64))
        else:
            x = self.op("Transpose", x, perm=[0, 2, 1])
        return self.linear(x, "input.output")

    def positions(self, x: str) -> str:
        """Add the position table of sines and cosines. Angles are in float64, because large angles lose digits in float32."""
        from onnx import TensorProto

        size = self.config.d_model
        rate = 1.0 / np.power(10000.0, 2 * (np.arange(size) // 2) / size)
        n_frames = self.op("Gather", self.op("Shape", x), self.constant(1, np.int64))
        numbers = self.op("Range", self.constant(0, np.int64), n_frames, self.constant(1, np.int64))
        column = self.op("Unsqueeze", self.op("Cast", numbers, to=TensorProto.DOUBLE), self.constant([1], np.int64))
        angle = self.op("Mul", column, self.constant(rate, np.float64))
        quarter = self.constant((np.arange(size) % 2) * (np.pi / 2), np.float64)  # cos x = sin(x + pi / 2)
        turns = self.op("Mod", self.op("Add", angle, quarter), self.constant(2 * np.pi, np.float64), fmod=1)
        return self.op("Sin", self.op("Cast", turns, to=TensorProto.FLOAT))

    def layer(self, x: str, name: str) -> str:
        before = self.config.norm == "pre"
        attended = self.attention(self.norm(x, f"{name}.attention_norm") if before else x, name)
        x = self.op("Add", x, attended)
        x = x if before else self.norm(x, f"{name}.attention_norm")
        hidden = self.linear(self.norm(x, f"{name}.output_norm") if before else x, f"{name}.intermediate")
        x = self.op("Add", x, self.linear(self.gelu(hidden), f"{name}.output"))
        return x if before else self.norm(x, f"{name}.output_norm")

    def attention(self, x: str, name: str) -> str:
        heads = self.constant([0, 0, self.config.n_heads, self.config.d_model // self.config.n_heads], np.int64)

        def of(part: str, perm: list[int]) -> str:
            return self.op("Transpose", self.op("Reshape", self.linear(x, f"{name}.{part}"), heads), perm=perm)

        query, key, value = of("query", [0, 2, 1, 3]), of("key", [0, 2, 3, 1]), of("value", [0, 2, 1, 3])
        scale = self.constant((self.config.d_model // self.config.n_heads) ** -0.5)
        weights = self.op("Softmax", self.op("Mul", self.op("MatMul", query, key), scale), axis=-1)
        context = self.op("Transpose", self.op("MatMul", weights, value), perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", context, self.constant([0, 0, -1], np.int64)), f"{name}.attention_output")

    def gelu(self, x: str) -> str:
        inside = self.op("Add", self.op("Erf", self.op("Mul", x, self.constant(0.5**0.5))), self.constant(1.0))
        return self.op("Mul", self.op("Mul", x, self.constant(0.5)), inside)
