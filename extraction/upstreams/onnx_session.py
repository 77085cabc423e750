"""Open an ONNX network so that it gives the same numbers every time."""

from pathlib import Path

import onnxruntime


def open_onnx(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open a session on the CPU.

    Args:
      path: an `.onnx` or `.ort` file.
      threads: number of CPU threads for one operation; None: onnxruntime's default, one per core.
    """
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # only errors: warnings concern operators that the network's authors chose
    if threads is not None:
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
