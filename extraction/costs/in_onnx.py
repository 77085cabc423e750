"""Count the operations of ONNX networks from the shapes of each node, which onnxruntime's profiler reports."""

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime

# Names of operators for matrix products and convolutions, both in network files and after onnxruntime's optimiser.
_PRODUCTS = (
    "MatMul",
    "FusedMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
    "QLinearMatMul",
    "Gemm",
    "FusedGemm",
)
_CONVOLUTIONS = ("Conv", "FusedConv", "ConvInteger", "QLinearConv", "NhwcFusedConv")
# Operators that compute products, but whose operations cannot be counted from the shapes of inputs and outputs.
_NOT_COUNTED = (
    "LSTM",
    "GRU",
    "RNN",
    "Einsum",
    "Attention",
    "MultiHeadAttention",
    "ConvTranspose",
    "MatMulNBits",
    "STFT",
)


def sessions_of(upstream: Any) -> dict[str, onnxruntime.InferenceSession]:
    """An upstream's networks, by the names of its attributes.

    Args:
      upstream: a loaded encoder.
    """
    return {name: one for name, one in vars(upstream).items() if isinstance(one, onnxruntime.InferenceSession)}


def count_onnx(upstream: Any, work: Callable[[], object]) -> int | None:
    """Count the operations of an upstream's ONNX networks: two for each multiplication and addition of a product.

    This function opens each network again with onnxruntime's profiler, which lists the shapes of each node's arrays. While
    `work` runs, these copies replace the networks in the upstream's attributes.

    Args:
      upstream: a loaded encoder.
      work: function that runs the networks once.

    Returns:
      operations; None if a network has a node whose operations cannot be counted.
    """
    originals = sessions_of(upstream)
    with tempfile.TemporaryDirectory() as folder:
        profiled = {name: _profiled(one, Path(folder) / name) for name, one in originals.items()}
        try:
            for name, one in profiled.items():
                setattr(upstream, name, one)
            work()
        finally:
            for name, one in originals.items():
                setattr(upstream, name, one)
        files = [Path(one.end_profiling()) for one in profiled.values()]
        events = [event for file in files for event in json.loads(file.read_text("utf-8"))]
    counts = [_of_node(event["args"]) for event in events if event.get("cat") == "Node" and _ran(event)]
    return None if None in counts else sum(count for count in counts if count is not None)


def _profiled(session: onnxruntime.InferenceSession, prefix: Path) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.enable_profiling = True
    settings.profile_file_prefix = str(prefix)
    # Without optimisation no nodes are fused: the shapes of a fused node do not determine its operations.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(session._model_path, settings, providers=["CPUExecutionProvider"])


def _ran(event: dict[str, Any]) -> bool:
    return event["name"].endswith("_kernel_time") and "op_name" in event.get("args", {})


def _of_node(node: dict[str, Any]) -> int | None:
    operator = node["op_name"]
    if operator in _NOT_COUNTED:
        return None
    if operator not in _PRODUCTS + _CONVOLUTIONS:
        return 0
    inputs, outputs = (_shapes(node[name]) for name in ("input_type_shape", "output_type_shape"))
    if operator in ("Gemm", "FusedGemm"):  # the first factor may be transposed: its last axis may be that of the result
        return 2 * math.prod(inputs[0]) * outputs[0][1]
    if operator in _PRODUCTS:
        return 2 * math.prod(outputs[0]) * inputs[0][-1]
    # The kernel's shape: output channels, input channels of a group, width, height.
    kernel = inputs[3] if operator == "QLinearConv" else inputs[1]
    return 2 * math.prod(outputs[0]) * math.prod(kernel[1:])


def _shapes(described: list[dict[str, list[int]]]) -> list[list[int]]:
    return [next(iter(one.values())) for one in described]
