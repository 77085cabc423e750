"""Make s3prl 0.4.18 importable beside current packages, without changing what it computes.

Four obstacles, each removed only where it stands in the way:

1. PyPI's torchaudio wheels are CUDA builds: beside a CPU-only torch their compiled part cannot be loaded. s3prl needs none of
   it (filter banks and transforms are written in torch), so a placeholder takes its place.
2. torchaudio 2.9 dropped `set_audio_backend` and `sox_effects`, which some hub modules of s3prl import and none of the
   paper's encoders calls (s3prl issue 575).
3. Python 3.12 dropped `distutils`, of which s3prl uses `strtobool` (setuptools brings it back, if installed).
4. Mockingjay's and TERA's sinusoid table is filled number by number in Python, 23-45 s per process; `sinusoid_table` gives
   the same numbers in under a second.

`s3prl.hub` is not imported: it pulls in every encoder's dependencies at once. The hub modules of single encoders need few.
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
    """Remove what keeps s3prl from being imported; once per process, before anything of s3prl is.

    Raises:
      UserError: torch, torchaudio or s3prl is not installed, or torchaudio does not fit torch.
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
    """Make torchaudio importable if it is installed, and give it back the names that s3prl expects.

    Raises:
      UserError: it does not fit torch.
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
            f"torchaudio does not load beside torch {torch.__version__} ({error}). With a GPU install both from one "
            "release: pip install torch==2.11.0 torchaudio==2.11.0"
        ) from error
    if not hasattr(torchaudio, "set_audio_backend"):
        torchaudio.set_audio_backend = lambda backend=None: None
    if importlib.util.find_spec("torchaudio.sox_effects") is None:
        effects: Any = types.ModuleType("torchaudio.sox_effects")
        effects.apply_effects_tensor = effects.apply_effects_file = _refuse("torchaudio.sox_effects")
        sys.modules["torchaudio.sox_effects"] = torchaudio.sox_effects = effects


def _absent_extension() -> types.ModuleType:
    """Stands for torchaudio's compiled part, with the names that torchaudio 2.6 to 2.11 import from it."""
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
        raise UserError(f"{what} is not part of this installation; the encoder that asked for it cannot run here")

    return refuse


def strtobool(text: str) -> int:
    """1 for yes, 0 for no, in the spellings of the `distutils` function that Python 3.12 dropped.

    Raises:
      ValueError: for anything else.
    """
    answers = dict.fromkeys(("y", "yes", "t", "true", "on", "1"), 1) | dict.fromkeys(
        ("n", "no", "f", "false", "off", "0"), 0
    )
    if text.lower() not in answers:
        raise ValueError(f"invalid truth value {text!r}")
    return answers[text.lower()]


@functools.cache
def sinusoid_table(hidden_size: int):
    """s3prl's table of position encodings, filled at once.

    Row p, columns 2i and 2i + 1: sin and cos of p / 10000^(2i / hidden_size) (Vaswani et al. 2017, section 3.5).

    Returns:
      A float32 torch tensor, `SINUSOID_POSITIONS` x `hidden_size`, shared by all who ask.
    """
    import torch

    divisors = np.power(10000, 2 * (np.arange(hidden_size) // 2) / hidden_size)
    angles = np.arange(SINUSOID_POSITIONS)[:, None] / divisors
    angles[:, 0::2] = np.sin(angles[:, 0::2])
    angles[:, 1::2] = np.cos(angles[:, 1::2])
    return torch.from_numpy(angles.astype(np.float32))


def use_fast_sinusoid_table() -> None:
    """Let Mockingjay's and TERA's shared code find `sinusoid_table` under its own name for it."""
    from s3prl.upstream.mockingjay import builder

    builder.get_sinusoid_table = sinusoid_table
