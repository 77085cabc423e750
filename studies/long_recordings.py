"""How good are a head's labels on a long recording, in which held-out clips and noise alternate at known times?

    python -m studies.long_recordings --audio ../shared/audio --json benchmarks/measured/long_recordings.json

Heads are fitted on folds 1 to 3 of ESC-10 (24 clips per class): once on these classes alone, and once with an additional class
`background`, which holds half of the pieces of machine noise (boiler, washing machine). The recording has 60 clips of folds 4 and
5, and 5 s of the other pieces of noise before each clip. It is labelled twice: in windows of 5 s without overlap, and with a hop
of 2.5 s, merging neighbouring windows with the same label. No recording of ESC-10 is in both halves, because its folds keep
the segments of a recording together. The study takes about three minutes on two cores.
"""

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import jfewshot
from benchmarks.tools.measuring import write_json
from extraction.datasets.base import Columns
from extraction.heads.applying import apply_head
from extraction.heads.fitting import fit_head
from extraction.pipeline import extract
from extraction.settings import ExtractionSettings
from extraction.trying.finding import find_clips
from extraction.upstreams import load_upstream
from jfewshot._version import made_with
from jfewshot.audio import decode, resample
from jfewshot.store import open_store, write_store

RATE, PIECE_S, N_EVENTS = 16_000, 5.0, 60
UPSTREAMS = ("fbank", "mfcc", "simclr:speech_simclr_small")
BACKGROUND = "background"


def make(audio: Path, folder: Path) -> list[tuple[float, float, str]]:
    """Write the clips to fit on, the background, and the long recording.

    Args:
      audio: the folder of ESC-10 and of the noise.
      folder: the folder to write to.

    Returns:
      begin and end in seconds, and class, of each clip and each piece of noise in the long recording.
    """
    rng = np.random.default_rng(0)
    size = round(PIECE_S * RATE)
    events = []
    with open(next((audio / "esc10" / "meta").glob("*.csv")), newline="") as file:
        for row in csv.DictReader(file):
            wave = np.resize(_read(audio / "esc10" / "audio" / row["filename"]), size)
            if int(row["fold"]) <= 3:
                _write(folder / "clips" / row["category"] / row["filename"].replace(".ogg", ".wav"), wave)
            else:
                events.append((row["category"], wave))
    noises = []
    for path in sorted((audio / "arabic-speech-commands" / "_background_noise_").glob("*.wav")):
        wave = _read(path)
        noises += [wave[start : start + size] for start in range(0, len(wave) - size + 1, size)]
    noises = [noises[place] for place in rng.permutation(len(noises))]
    half = len(noises) // 2
    for number, wave in enumerate(noises[:half]):
        _write(folder / "clips" / BACKGROUND / f"{number}.wav", wave)
    parts: list[np.ndarray] = []
    truth: list[tuple[float, float, str]] = []
    for place in rng.permutation(len(events))[:N_EVENTS]:
        category, wave = events[place]
        quiet = noises[half + int(rng.integers(len(noises) - half))]
        start_s = PIECE_S * len(truth)
        truth += [(start_s, start_s + PIECE_S, BACKGROUND), (start_s + PIECE_S, start_s + 2 * PIECE_S, category)]
        parts += [quiet, wave]
    _write(folder / "recording" / "joined.wav", np.concatenate(parts))
    return truth


def measure(upstream: str, folder: Path, truth: list[tuple[float, float, str]]) -> list[dict[str, Any]]:
    """Label the long recording with one encoder, without and with the background class.

    Args:
      upstream: name of the encoder.
      folder: the folder that `make` filled.
      truth: the result of `make`.

    Returns:
      one entry for each of the two heads.
    """
    encoder = load_upstream(upstream)
    clips = find_clips(folder / "clips", None, Columns(), None)
    extract(clips.dataset(), clips.root, [encoder], folder / "stores", ExtractionSettings(workers=0))
    whole = folder / "stores" / clips.name / encoder.name
    found = []
    for with_background in (False, True):
        name = f"{encoder.name} {with_background}"
        store = whole if with_background else _without_background(whole, folder / f"store {name}")
        load = {"upstream": upstream, "classifier": "ridge:alpha=auto"}
        fitted = fit_head(store, **load, out=folder / f"head {name}")  # type: ignore[arg-type]
        windows = _apply(folder, name)
        own = [(label, true) for label, (_, _, true) in zip(windows, truth, strict=True)]
        sounds = [(label, true) for label, true in own if true != BACKGROUND]
        quiet = [label for label, true in own if true == BACKGROUND]
        stretches = _apply(folder, name, hop_s=2.5, merge=True)
        starts, ends = _found(stretches, truth)
        expected = fitted.head.facts["expected"]
        found.append(
            {
                "upstream": encoder.name,
                "background class": with_background,
                "expected": round(expected["n_correct"] / expected["n"], 3),
                "clips: nearest class right": round(float(np.mean([one.nearest == true for one, true in sounds])), 3),
                "clips: label right": round(float(np.mean([one.label == true for one, true in sounds])), 3),
                "clips: unknown": round(float(np.mean([one.is_unknown for one, _ in sounds])), 3),
                "noise: unknown": round(float(np.mean([one.is_unknown for one in quiet])), 3),
                "noise: background": round(float(np.mean([one.label == BACKGROUND for one in quiet])), 3),
                "merged: clips found": len(starts),
                "merged: begin within half a hop": round(float(np.mean(np.abs(starts) <= 1.25 + 1e-6)), 3),
                "merged: end within half a hop": round(float(np.mean(np.abs(ends) <= 1.25 + 1e-6)), 3),
            }
        )
    return found


def _without_background(whole: Path, path: Path) -> Path:
    """Write the store without the clips of the background; returns its path."""
    store = open_store(whole)
    manifest = store.manifest
    facts = {
        name: manifest[name] for name in ("dataset", "upstream", "sample_rate", "segment_samples", "preprocessing")
    }
    views = {name: np.asarray(store.view(name)) for name in store.views}
    write_store(path, views=views, clips=store.clips.select(store.clips.class_name != BACKGROUND), **facts)
    return path


def _found(stretches: list[Any], truth: list[tuple[float, float, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Errors of begins and ends in seconds, for each clip of which a labelled stretch of its class covers half or more."""
    starts, ends = [], []
    for start_s, end_s, category in truth:
        if category == BACKGROUND:
            continue
        over = [(min(one.end_s, end_s) - max(one.start_s, start_s), one) for one in stretches if one.label == category]
        length, best = max(over, key=lambda pair: pair[0], default=(0.0, None))
        if best is not None and length >= PIECE_S / 2 - 1e-6:
            starts.append(best.start_s - start_s)
            ends.append(best.end_s - end_s)
    return np.array(starts), np.array(ends)


def _apply(folder: Path, name: str, **options: Any) -> list[Any]:
    out = folder / f"labels {name} {len(options)}"
    return apply_head(folder / f"head {name}", folder / "recording", out=out, workers=0, **options).labels["joined.wav"]


def _read(path: Path) -> np.ndarray:
    wave, rate = decode(path)
    return resample(wave, rate, RATE)


def _write(path: Path, wave: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE)


def main(arguments: list[str]) -> int:
    """Measure, write the JSON, and print it.

    Args:
      arguments: the arguments of the command line, without the program's name.

    Returns:
      the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder that holds esc10 and arabic-speech-commands")
    parser.add_argument("--json", type=Path, required=True, help="file for the results")
    parser.add_argument("--upstreams", nargs="+", default=UPSTREAMS)
    options = parser.parse_args(arguments)
    jfewshot.use_all_cores()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        truth = make(options.audio, folder)
        for upstream in options.upstreams:
            rows += measure(upstream, folder, truth)
    found = {"made_with": made_with("jax", "numpy", "soxr"), "clips": N_EVENTS, "heads": rows}
    write_json(options.json, found, a_line_each=True)
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
