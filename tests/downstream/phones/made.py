"""TIMIT and DIRHA, made: the published layout, few speakers, phones that are tones.

Each phone has a pitch of its own, so that frames tell phones and a probe can learn them.
"""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
# Label of the files, and the pitch of its tone. The closures and h# are silence; q is left out of training and scoring.
HZ = {"h#": 0.0, "iy": 500.0, "aa": 1100.0, "s": 4000.0, "n": 250.0, "q": 2000.0, "tcl": 0.0}
TRAINING = ("FCJF0", "MABC0", "FDAW0", "MDAB9")
DEVELOPMENT, CORE_TEST, OTHERS = ("FAKS0", "MGWT0"), ("MDAB0", "FELC0", "MWBT0"), ("MXYZ0",)


def spoken(rng, n_phones: int = 7) -> tuple[np.ndarray, list[tuple[int, int, str]]]:
    """A wave, and its lines of begin, end and phone."""
    phones = ["h#", *rng.choice(["iy", "aa", "s", "n", "q", "tcl"], n_phones).tolist(), "h#"]
    waves, lines, at = [], [], 0
    for phone in phones:
        n = int(rng.integers(640, 1760))
        tone = 0.3 * np.sin(2 * np.pi * HZ[phone] * np.arange(n) / RATE) + 0.003 * rng.standard_normal(n)
        waves.append(tone)
        lines.append((at, at + n, phone))
        at += n
    return np.concatenate(waves), lines


def write_phn(path: Path, lines) -> None:
    """A .PHN file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{begin} {end} {phone}\n" for begin, end, phone in lines))


def make_timit(root: Path, sentences=("SA1", "SI1", "SX1", "SX2"), seed: int = 0) -> Path:
    """TRAIN and TEST with a few speakers of each part; audio in NIST SPHERE, as published."""
    rng = np.random.default_rng(seed)
    for side, speakers in (("TRAIN", TRAINING), ("TEST", (*DEVELOPMENT, *CORE_TEST, *OTHERS))):
        for speaker in speakers:
            for sentence in sentences:
                wave, lines = spoken(rng)
                path = root / side / "DR1" / speaker / f"{sentence}.WAV"
                write_phn(path.with_suffix(".PHN"), lines)
                soundfile.write(path, wave, RATE, format="NIST", subtype="PCM_16")
    return root


def make_dirha(root: Path, microphone: str = "Beam_Circular_Array", seed: int = 7) -> tuple[Path, Path]:
    """Two sequences of two sentences each, and a folder of labels; the corpus itself has no phones."""
    rng = np.random.default_rng(seed)
    corpus, labels = root / "dirha", root / "labels"
    for number, speaker in enumerate(("F1", "M1")):
        folder = corpus / "data" / "DIRHA_English_wsj" / "Real" / f"seq_{number}" / "Livingroom" / "Circular_Array"
        folder.mkdir(parents=True)
        waves, sources, at = [], [], 0
        for sentence in range(2):
            quiet = 0.003 * rng.standard_normal(int(rng.integers(1000, 3000)))
            wave, lines = spoken(rng)
            waves += [quiet, wave]
            begin, at = at + len(quiet), at + len(quiet) + len(wave)
            name = f"44{number}c020{sentence}"
            sources.append(
                f"<SOURCE><name>{name}</name><spk_id>{speaker}</spk_id><gender>x</gender><position>x=1 y=2 z=3</position>"
                f"<begin_sample>{begin + 1}</begin_sample><end_sample>{at}</end_sample><txt>some words</txt></SOURCE>"
            )
            write_phn(labels / speaker / f"{name}.phn", lines)
        soundfile.write(folder / f"{microphone}.wav", np.concatenate(waves), RATE, subtype="PCM_16")
        text = f"<?xml version='1.0'?>\n<ANNOTATION><MIC><mic_id>{microphone}</mic_id></MIC>{''.join(sources)}</ANNOTATION>\n"
        (folder / f"{microphone}.xml").write_text(text)
    return corpus, labels
