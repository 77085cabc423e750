"""Opening an ONNX network so that it gives the same numbers every time."""

from pathlib import Path

import onnxruntime


def open_onnx(path: Path, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A CPU session.

    Args:
      path: an `.onnx` or `.ort` file.
      threads: CPU threads for one operation; None: onnxruntime's default, one per core.
    """
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors only: its warnings are about operators we did not choose
    if threads is not None:
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
