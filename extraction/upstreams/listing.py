"""List the names of encoders, each with a description."""

import importlib.util
import json
from collections.abc import Sequence
from importlib import resources

from extraction.upstreams import FAMILIES, UPSTREAMS
from extraction.upstreams.base import PAPER_SAMPLE_RATE, PAPER_SEGMENT_SAMPLES
from extraction.upstreams.paper_table import paper_table
from extraction.upstreams.s3prl.baselines import TITLES
from extraction.upstreams.s3prl.loading import entry_names
from extraction.upstreams.zoo_listing import facts, zoo_lines
from extraction.upstreams.zoo_names import names_of
from jfewshot.errors import UserError

# Descriptions of the text that follows the colon.
FAMILY_HINTS = {
    "s3prl": "another encoder of s3prl by name (s3prl:xls_r_300m); s3prl:hubert_local --checkpoint FILE for your own training",
    "hf": "a speech encoder of the Hugging Face hub, or a folder (hf:facebook/hubert-base-ls960)",
    "onnx": "an ONNX file (onnx:my_encoder.onnx)",
    "hear": "a module with the common API of HEAR 2021 (hear:hearbaseline.vqt)",
    "mteb": "a model of mteb's registry that takes audio (mteb:laion/clap-htsat-unfused)",
    "hoplite": "a preset of Perch Hoplite's zoo (hoplite:perch_v2, hoplite:birdnet_V2.4)",
    "avex": "an encoder of animal sounds from avex's registry (avex:esp_aves2_sl_beats_bio)",
    "speechbrain": "an encoder of SpeechBrain, on the hub or in a folder (speechbrain:speechbrain/spkrec-ecapa-voxceleb)",
    "xares": "a file with an encoder class for X-ARES (xares:my_encoder.py)",
    "simclr": "a folder written by `jfewshot export`",
    "mt_slvr": "MT-SLVR with waves scaled in another way (mt_slvr:clip, mt_slvr:audioset)",
}


def found(words: Sequence[str]) -> str:
    """The lines of encoders whose name or description contains all words. Encoders of all installed zoos are included.

    Args:
      words: words to search for; upper and lower case are equal.

    Raises:
      UserError: if there is no such encoder.
    """
    lines = listing().splitlines()
    known = {line.split()[0].removeprefix("s3prl_") for line in lines}
    if importlib.util.find_spec("s3prl") is not None:
        others = (name for name in sorted(entry_names()) if name not in known)
        lines += [f"{'s3prl:' + name:24} of s3prl" for name in others]
    sampled = _sampled()
    lines += [f"{f'simclr:{name}':24} {sampled.get(name, '')}".rstrip() for name in names_of("simclr")]
    lines += zoo_lines()
    matching = [line for line in lines if all(word.casefold() in line.casefold() for word in words)]
    if not matching:
        raise UserError(
            f"no encoder has {' and '.join(repr(word) for word in words)} in its name or description; `jfewshot upstreams list` "
            "shows all encoders that need no other package, and hf:ID takes any speech encoder of the Hugging Face hub"
        )
    return "\n".join(matching) + "\n"


def listing() -> str:
    """A line for each encoder and each family of encoders."""
    window_s = PAPER_SEGMENT_SAMPLES / PAPER_SAMPLE_RATE
    titles = {
        row["name"]: facts(
            f"{row['title']}: {row['objective']}; {row['corpus']}", PAPER_SAMPLE_RATE, int(row["dim"]), window_s
        )
        for row in paper_table()
    }
    titles["mt_slvr"] = "MT-SLVR: contrastive and predictive at once; AudioSet; pass its file with --checkpoint"
    titles |= {f"s3prl_{name}": title for name, title in TITLES.items()} | _sampled()
    lines = [f"{name:24} {titles.get(name, '')}".rstrip() for name in UPSTREAMS]
    lines += [f"{family + ':...':24} {FAMILY_HINTS[family]}" for family in FAMILIES]
    lines += [f"{'MODULE:CLASS':24} a class of yours (docs/upstreams.md)"]
    return "\n".join(lines) + "\n"


def _sampled() -> dict[str, str]:
    """Descriptions of the encoders of the sample stores, from the stores' manifests."""
    found = {}
    for store in (resources.files("jfewshot") / "data" / "stores" / "esc10").iterdir():
        manifest = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
        upstream, rate = manifest["upstream"], manifest["sample_rate"]
        (view,) = manifest["views"].values()
        window_s = manifest["segment_samples"] / rate
        found[upstream["name"]] = facts(upstream["title"], rate, view["dim"], window_s, upstream["licence"])
    return found
