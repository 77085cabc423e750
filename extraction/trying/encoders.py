"""Which encoders are installed and need no download."""

import importlib.util
import logging
from collections.abc import Sequence

from extraction.settings import UpstreamOptions
from extraction.upstreams import load_upstream
from extraction.upstreams.base import Upstream
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError

log = logging.getLogger(__name__)

# In the order in which they are tried; those of the extra `samples` have their weights inside packages.
BASIC = ("fbank", "mfcc", "simclr:speech_simclr_small")
SAMPLES = ("resemblyzer", "speech_embedding", "whisper_tiny_en", "moonshine_tiny", "yamnet")
# Of the Hugging Face hub: two of speech that differ in their pretraining, and a recogniser of many languages. About 1 GB.
HUB = ("hf:facebook/hubert-base-ls960", "hf:microsoft/wavlm-base-plus", "hf:openai/whisper-base")
AUDIO_PACKAGES = ("soundfile", "soxr", "kaldi_native_fbank", "flax")
INSTALL = "pip install 'jfewshot[audio]'"


def require_audio_packages(names: Sequence[str]) -> None:
    """Refuse to start without what reads audio and, where no encoder is named, computes the basic ones.

    Args:
      names: of the encoders to try; none for all.

    Raises:
      UserError: names what is missing and the extra that brings it.
    """
    wanted = ("soundfile", "soxr") if names else AUDIO_PACKAGES
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"trying needs the Python packages {', '.join(missing)}, which are not installed: {INSTALL}")


def wanted(names: Sequence[str], hub: bool) -> tuple[str, ...]:
    """The encoders to try, by the names that `load_upstream` takes.

    Args:
      names: those that the user named; none for every one that needs no download.
      hub: whether a few of the Hugging Face hub are tried too.

    Returns:
      the names, each once.
    """
    return tuple(dict.fromkeys((*(names or (*BASIC, *SAMPLES)), *(HUB if hub else ()))))


def load_encoders(names: Sequence[str] = (), hub: bool = False) -> tuple[list[Upstream], list[str]]:
    """Load the named encoders, or every one that is installed and needs no download, and those of the hub on request.

    Args:
      names: as `load_upstream` takes them; none for all.
      hub: whether a few of the Hugging Face hub are tried too.

    Returns:
      the encoders, and a sentence for each that is not installed or cannot be downloaded.

    Raises:
      UserError: a named encoder cannot be loaded.
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
      hub: likewise.
      encoders: what it loaded.
      without: a sentence for each encoder that it did not load.

    Returns:
      the name that `load_upstream` takes, by the encoder's own name.
    """
    given = [name for name in wanted(names, hub) if not any(text.startswith(f"{name}: ") for text in without)]
    return {encoder.name: name for encoder, name in zip(encoders, given, strict=True)}
