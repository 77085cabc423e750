"""The error for problems that a user can correct."""

from jfewshot.printable import in_a_line

_LONGEST = 2_000  # characters; a name in a damaged file may have millions
_KEPT = 900  # at each end of a longer message


class UserError(ValueError):
    """An error that the user can correct.

    The message says what was seen, what is needed, and what to do next, in one or two lines, so no traceback is
    printed. Names in the message may come from a damaged file, so control characters are replaced by visible symbols,
    and the middle of a message of more than 2,000 characters is left out.

    Args:
      message: what was seen, what is needed, and what to do next.
    """

    def __init__(self, message: object = ""):
        text = in_a_line(str(message))
        super().__init__(text if len(text) <= _LONGEST else f"{text[:_KEPT]} [...] {text[-_KEPT:]}")


class TooFewClips(UserError):
    """A class has too few clips for the episodes of a protocol; fewer shots or queries may do."""


# The extra that installs each package which the core does without; the smallest extra where several install it.
_EXTRAS = {
    **dict.fromkeys(("flax", "optax", "orbax", "grain", "soundfile", "soxr"), "pretrain"),
    **dict.fromkeys(("jiwer", "sentencepiece"), "asr"),
    **dict.fromkeys(("torch", "torchaudio", "s3prl", "kaldi_native_fbank"), "extraction"),
    "kenlm": "lm",
    "pyarrow": "arrow",
    "transformers": "huggingface",
    "onnxruntime": "onnx",
    **dict.fromkeys(("usearch", "yaml"), "databases"),
    "zarr": "zarr",
    "ray": "ray",
    "ai_edge_litert": "samples",
}


def explain_missing_package(error: ModuleNotFoundError) -> str | None:
    """The line that names the extra that installs a missing package; None if no extra does (then it is a bug)."""
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    if extra is None:
        return None
    return f"this command needs the Python package {package}, which is not installed: pip install 'jfewshot[{extra}]'"
