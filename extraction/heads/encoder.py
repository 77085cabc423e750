"""Load the encoder of a head, and refuse any other encoder: revision, view and preprocessing are compared first."""

import importlib.resources
from collections.abc import Mapping
from typing import Any

from extraction.planning import preprocessing_words
from extraction.pooling import POOLINGS
from extraction.upstreams import ALIASES, UPSTREAMS, load_upstream
from extraction.upstreams.base import Upstream, UpstreamOptions, further_layers
from jfewshot.commandline.progress import Progress
from jfewshot.errors import UserError
from jfewshot.heads.head import Head


def loads_as(name: str) -> str | None:
    """The name with which the encoder of a store can be loaded; None if the store does not determine it.

    Args:
      name: the encoder's name in the store.
    """
    if name in UPSTREAMS or name in ALIASES:
        return name
    shipped = importlib.resources.files("jfewshot") / "data" / "encoders" / name
    return f"simclr:{name}" if shipped.is_dir() else None


def load_encoder(head: Head, path: str, asked: str | None, options: UpstreamOptions) -> Upstream:
    """Load a head's encoder.

    Args:
      head: the head.
      path: the head's folder, for messages.
      asked: the name with which the user wants to load the encoder; None: the name that was used when the head was fitted.
      options: device and weights.

    Returns:
      the encoder.

    Raises:
      UserError: if the encoder cannot be loaded, or is not the one with which the head was fitted.
    """
    name = asked or head.facts["encoder"].get("load")
    if name is None:
        raise UserError(
            f"{path} does not say how its encoder '{head.facts['encoder']['name']}' is loaded; pass --upstream with a name that "
            "`jfewshot upstreams list` shows"
        )
    with Progress(f"loading {name}"):
        encoder = load_upstream(name, options)
    require_same(head, path, encoder)
    return encoder


def require_same(head: Head, path: str, encoder: Upstream) -> None:
    """Refuse an encoder whose embeddings are not those on which the head was fitted.

    Args:
      head: the head.
      path: the head's folder, for messages.
      encoder: a loaded encoder.

    Raises:
      UserError: if the encoder, its revision, sample rate, view or preprocessing is another one.
    """
    wanted, audio = head.facts["encoder"], head.facts["audio"]
    layer, _, pooling = head.facts["view"].rpartition(".")
    again = "fit the head again"
    if encoder.name != wanted["name"]:
        raise UserError(f"{path} was fitted with the encoder {wanted['name']}, and this is {encoder.name}; {again}")
    if encoder.revision != wanted.get("revision"):
        raise UserError(
            f"{path} was fitted with {encoder.name} {wanted.get('revision')}, and this is {encoder.revision}; load the former, "
            f"or {again}"
        )
    known = ("last", *encoder.layers, *further_layers(encoder))
    if layer not in known or pooling not in POOLINGS or pooling == "frames":
        raise UserError(
            f"{path} was fitted on the view {head.facts['view']}, which {encoder.name} does not give; {again}"
        )
    now = preprocessing_words(audio["segment_samples"], encoder.sample_rate)
    if encoder.sample_rate != audio["sample_rate"] or audio["preprocessing"] != now:
        raise UserError(
            f"{path} was fitted on audio prepared in another way ({audio['sample_rate']} Hz; {audio['preprocessing']}) than now "
            f"({encoder.sample_rate} Hz; {now}); {again}"
        )


def why_not_applied(facts: Mapping[str, Any]) -> str:
    """Why no encoder can compute the embeddings of a head for recordings; empty if an encoder can.

    Args:
      facts: the head's facts.
    """
    if str(facts["encoder"].get("revision")).startswith("fused "):
        return (
            f"it was fitted on several embeddings side by side ({facts['encoder']['name']}), and `jfewshot apply` computes only "
            "one embedding per clip; fit a head on one of the stores that were fused"
        )
    if facts["audio"]["sample_rate"] is None or not facts["audio"]["preprocessing"]:
        return (
            "it was fitted on a store that does not say how its audio was prepared, so recordings cannot be prepared in the same "
            "way; fit a head on a store that `jfewshot extract` or `jfewshot try` made"
        )
    return ""


def head_encoder(facts: Mapping[str, Any]) -> str:
    """The title of a head's encoder, for messages."""
    return str(facts["encoder"].get("title") or facts["encoder"]["name"])
