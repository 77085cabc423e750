"""Load the encoders that are installed and need no download."""

import importlib.util
import logging
from collections.abc import Sequence

from extraction.settings import UpstreamOptions
from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

# Encoders in the order in which they are tried. The weights of the encoders in SAMPLES are in packages of the extra `samples`.
BASIC = ("fbank", "mfcc", "simclr:speech_simclr_small")
SAMPLES = ("resemblyzer", "speech_embedding", "whisper_tiny_en", "moonshine_tiny", "yamnet")
# Encoders of the Hugging Face hub: two speech encoders with different pretraining, and a multilingual recogniser. About 1 GB.
HUB = ("hf:facebook/hubert-base-ls960", "hf:microsoft/wavlm-base-plus", "hf:openai/whisper-base")
AUDIO_PACKAGES = ("soundfile", "soxr", "kaldi_native_fbank", "flax")
INSTALL = "pip install 'jfewshot[audio]'"


def require_audio_packages(names: Sequence[str]) -> None:
    """Refuse to start without the packages that read audio and, if no encoder is named, without those of the basic encoders.

    Args:
      names: names of the encoders to try; empty for all.

    Raises:
      UserError: if packages are missing; the message names them and the extra that installs them.
    """
    wanted = ("soundfile", "soxr") if names else AUDIO_PACKAGES
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"trying needs the Python packages {', '.join(missing)}, which are not installed: {INSTALL}")


def wanted(names: Sequence[str], hub: bool) -> tuple[str, ...]:
    """The encoders to try, by the names that `load_upstream` takes.

    Args:
      names: names that the user gave; if empty, all encoders that need no download.
      hub: whether to add a few encoders of the Hugging Face hub.

    Returns:
      the names, each once.
    """
    return tuple(dict.fromkeys((*(names or (*BASIC, *SAMPLES)), *(HUB if hub else ()))))


def load_encoders(names: Sequence[str] = (), hub: bool = False) -> tuple[list[Upstream], list[str]]:
    """Load the named encoders, or all that are installed and need no download; on request also those of the hub.

    Args:
      names: names that `load_upstream` takes; empty for all.
      hub: whether to add a few encoders of the Hugging Face hub.

    Returns:
      the encoders, and a sentence for each that is not installed or cannot be downloaded.

    Raises:
      UserError: if a named or a basic encoder cannot be loaded.
    """
    loaded, without = [], []
    for name in wanted(names, hub):
        with Progress(f"loading {name}"):
            try:
                loaded.append(load_upstream(name, UpstreamOptions()))
            except UserError as error:
                if name in names or name in BASIC:
                    raise
                without.append(f"{name}: {error}")
    return loaded, without


def loaded_as(names: Sequence[str], hub: bool, encoders: Sequence[Upstream], without: Sequence[str]) -> dict[str, str]:
    """The name with which each encoder can be loaded again.

    Args:
      names: as for `load_encoders`.
      hub: as for `load_encoders`.
      encoders: the encoders that `load_encoders` returned.
      without: the sentences that `load_encoders` returned.

    Returns:
      the name that `load_upstream` takes, by the encoder's own name.
    """
    given = [name for name in wanted(names, hub) if not any(text.startswith(f"{name}: ") for text in without)]
    return {encoder.name: name for encoder, name in zip(encoders, given, strict=True)}
