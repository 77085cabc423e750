"""One kind of error for what a user can mend."""


class UserError(ValueError):
    """Something that the user gave or must mend.

    The message says what was seen, what is needed, and what to do next, in one or two lines;
    nobody needs a traceback to act on it.
    """


# The extra that installs each package which the core does without; the smallest extra where several install it.
_EXTRAS = {
    **dict.fromkeys(("flax", "optax", "orbax", "grain", "soundfile", "soxr"), "pretrain"),
    **dict.fromkeys(("jiwer", "sentencepiece"), "asr"),
    **dict.fromkeys(("torch", "torchaudio", "s3prl", "kaldi_native_fbank"), "extraction"),
    "kenlm": "lm",
    "pyarrow": "arrow",
    "transformers": "huggingface",
    "onnxruntime": "onnx",
    "ray": "ray",
    "ai_edge_litert": "samples",
}


def explain_missing_package(error: ModuleNotFoundError) -> str | None:
    """Which extra installs the package that an import did not find, in one line; None if no extra does (then it is a bug)."""
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    if extra is None:
        return None
    return f"this command needs the Python package {package}, which is not installed: pip install 'jfewshot[{extra}]'"
