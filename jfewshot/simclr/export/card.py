"""Writes the model card: a description of the encoder, its training data, its licence and its use."""

from collections.abc import Mapping
from typing import Any


def model_card(manifest: Mapping[str, Any]) -> str:
    """Make the Markdown text from the contents of `encoder.json`."""
    encoder, training = manifest["encoder"], manifest["training"]
    lines = [
        f"# {manifest['title']}",
        "",
        f"A frozen speech encoder for `jfewshot`: {encoder['n_layers']} transformer layers "
        f"of width {encoder['d_model']}, "
        f"{manifest['n_parameters']:,} parameters"
        + ("." if encoder["prenet"] == "none" else f", one output frame for four input frames ({encoder['prenet']})."),
        "",
    ]
    if manifest["fbank"] is not None:
        fbank = manifest["fbank"]
        lines += [
            f"Input: mono audio at {fbank['sample_rate']} Hz, turned into {fbank['n_mels']} log-mel energies "
            f"as Kaldi computes them every {fbank['hop_ms']:g} ms, "
            "normalised by the training set's global mean and deviation (per-speaker statistics "
            "would give the speaker away on speaker tasks).",
            "",
        ]
    else:
        lines += ["Input: features that this folder does not say how to compute; see the source.", ""]
    lines += [
        "| | |",
        "|---|---|",
        f"| licence | {manifest['licence'] or 'not stated'} |",
        f"| source | {manifest['source'] or 'not stated'} |",
    ]
    lines += [f"| {key.replace('_', ' ')} | {_plain(value)} |" for key, value in training.items()]
    lines += [
        f"| weights | SHA-256 `{manifest['weights_sha256']}` |",
        "",
        "```python",
        "from jfewshot.simclr.export import load_encoder",
        "",
        "encoder = load_encoder(FOLDER)",
        'frames = encoder(waves, ["last"])["last"]  # waves: float32 (batch, samples) -> (batch, frames, dim)',
        "```",
        "",
    ]
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
