"""The encoders that can be named, each with what it is."""

from extraction.upstreams import FAMILIES, UPSTREAMS
from extraction.upstreams.paper_table import paper_table
from extraction.upstreams.s3prl.baselines import TITLES

# What follows the colon.
FAMILY_HINTS = {
    "s3prl": "any other encoder of s3prl by name (s3prl:xls_r_300m); s3prl:hubert_local --checkpoint FILE for your own training",
    "hf": "a speech encoder of the Hugging Face hub, or a folder (hf:facebook/hubert-base-ls960)",
    "onnx": "an ONNX file (onnx:my_encoder.onnx)",
    "simclr": "a folder written by `jfewshot export`",
    "mt_slvr": "MT-SLVR on waves scaled otherwise (mt_slvr:clip, mt_slvr:audioset)",
}


def listing() -> str:
    """A line for each encoder and each family of encoders."""
    titles = {row["name"]: f"{row['title']}: {row['objective']}; {row['corpus']}" for row in paper_table()}
    titles["mt_slvr"] = "MT-SLVR: contrastive and predictive at once; AudioSet; its file with --checkpoint"
    titles |= {f"s3prl_{name}": title for name, title in TITLES.items()}
    lines = [f"{name:24} {titles.get(name, '')}".rstrip() for name in UPSTREAMS]
    lines += [f"{family + ':...':24} {FAMILY_HINTS[family]}" for family in FAMILIES]
    lines += [f"{'MODULE:CLASS':24} a class of yours (docs/upstreams.md)"]
    return "\n".join(lines) + "\n"
