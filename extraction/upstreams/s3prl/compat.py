"""Make s3prl 0.4.18 importable together with current packages, without changing its results.

There are four problems, and each is solved only if it occurs:

1. PyPI's torchaudio wheels are built for CUDA, and their compiled part cannot be loaded with a torch for CPUs. s3prl does not
   need this part (filter banks and transforms are written in torch), so a placeholder replaces it.
2. torchaudio 2.9 removed `set_audio_backend` and `sox_effects`. Some hub modules of s3prl import them, but none of the paper's
   encoders calls them (s3prl issue 575).
3. Python 3.12 removed `distutils`, from which s3prl uses `strtobool`. (setuptools provides it, if installed.)
4. Mockingjay and TERA fill their sinusoid table number by number in Python, which takes 23-45 s per process. `sinusoid_table`
   computes the same numbers in under a second.

`s3prl.hub` is not imported, since it imports the dependencies of all encoders. The hub modules of single encoders need few.
"""

import functools
import importlib
import importlib.util
import sys
import types
from typing import Any, NoReturn

import numpy as np

from jfewshot.errors import UserError

# s3prl's table has this many rows: 240 s of frames.
SINUSOID_POSITIONS = 24_000


@functools.cache
def prepare() -> None:
    """Make s3prl importable. Call this before importing any module of s3prl; it acts once per process.

    Raises:
      UserError: if torch, torchaudio or s3prl is not installed, or if torchaudio does not fit torch.
    """
    for package in ("torch", "torchaudio", "s3prl"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"s3prl's encoders need the package {package}: pip install 'jfewshot[extraction]'")
    prepare_torchaudio()
    if importlib.util.find_spec("distutils") is None:
        distutils: Any = types.ModuleType("distutils")
        util: Any = types.ModuleType("distutils.util")
        distutils.util, util.strtobool = util, strtobool
        sys.modules |= {"distutils": distutils, "distutils.util": util}


@functools.cache
def prepare_torchaudio() -> None:
    """Make torchaudio importable, if it is installed, and define the names that s3prl expects in it.

    Raises:
      UserError: if torchaudio does not fit torch.
    """
    if importlib.util.find_spec("torchaudio") is None:
        return
    import torch

    if torch.version.cuda is None and torch.version.hip is None and "torchaudio" not in sys.modules:
        sys.modules["torchaudio._extension"] = _absent_extension()
    try:
        torchaudio: Any = importlib.import_module("torchaudio")
    except (ImportError, OSError) as error:
        raise UserError(
            f"torchaudio cannot be loaded with torch {torch.__version__} ({error}). With a GPU install both from one "
            "release: pip install torch==2.11.0 torchaudio==2.11.0"
        ) from error
    if not hasattr(torchaudio, "set_audio_backend"):
        torchaudio.set_audio_backend = lambda backend=None: None
    if importlib.util.find_spec("torchaudio.sox_effects") is None:
        effects: Any = types.ModuleType("torchaudio.sox_effects")
        effects.apply_effects_tensor = effects.apply_effects_file = _refuse("torchaudio.sox_effects")
        sys.modules["torchaudio.sox_effects"] = torchaudio.sox_effects = effects


def _absent_extension() -> types.ModuleType:
    """Make a placeholder for torchaudio's compiled part, with the names that torchaudio 2.6 to 2.11 import from it."""
    extension: Any = types.ModuleType("torchaudio._extension")
    for flag in ("_IS_TORCHAUDIO_EXT_AVAILABLE", "_IS_ALIGN_AVAILABLE", "_IS_RIR_AVAILABLE", "_SOX_INITIALIZED"):
        setattr(extension, flag, False)
    extension._FFMPEG_EXT = extension._SOX_EXT = None
    for what in ("align", "rir", "sox", "ffmpeg"):
        setattr(extension, f"fail_if_no_{what}", lambda function, what=what: _refuse(f"torchaudio's {what}"))
    absent = types.SimpleNamespace(is_available=lambda: False)
    extension.lazy_import_sox_ext = extension.lazy_import_ffmpeg_ext = lambda: absent
    return extension


def _refuse(what: str):
    def refuse(*args, **kwargs) -> NoReturn:
        raise UserError(f"{what} is not part of this installation; the encoder that uses it cannot run here")

    return refuse


def strtobool(text: str) -> int:
    """Return 1 for yes and 0 for no. Accepts the spellings of the `distutils` function that Python 3.12 removed.

    Raises:
      ValueError: if the text is neither.
    """
    answers = dict.fromkeys(("y", "yes", "t", "true", "on", "1"), 1) | dict.fromkeys(
        ("n", "no", "f", "false", "off", "0"), 0
    )
    if text.lower() not in answers:
        raise ValueError(f"invalid truth value {text!r}")
    return answers[text.lower()]


@functools.cache
def sinusoid_table(hidden_size: int):
    """s3prl's table of position encodings, computed at once instead of number by number.

    Row p, columns 2i and 2i + 1: sin and cos of p / 10000^(2i / hidden_size) (Vaswani et al. 2017, section 3.5).

    Returns:
      a float32 torch tensor, `SINUSOID_POSITIONS` x `hidden_size`. All callers get the same tensor.
    """
    import torch

    divisors = np.power(10000, 2 * (np.arange(hidden_size) // 2) / hidden_size)
    angles = np.arange(SINUSOID_POSITIONS)[:, None] / divisors
    angles[:, 0::2] = np.sin(angles[:, 0::2])
    angles[:, 1::2] = np.cos(angles[:, 1::2])
    return torch.from_numpy(angles.astype(np.float32))


def use_fast_sinusoid_table() -> None:
    """Replace the function for position encodings, which Mockingjay and TERA share, by `sinusoid_table`."""
    from s3prl.upstream.mockingjay import builder

    builder.get_sinusoid_table = sinusoid_table
