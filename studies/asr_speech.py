"""Real speech with known words, to try speech recognition on: strings of digits, and telephone prompts.

    python -m studies.asr_speech digits --source fsdd/recordings --out DIGITS
    python -m studies.asr_speech prompts --source ROOT/usr --out PROMPTS

`digits`: the Free Spoken Digit Dataset (3,000 recordings, 6 speakers). Each speaker's recordings are shuffled and strung
together, 3 to 5 in a string, with gaps of 60 to 160 ms; every recording is in one string, but for the one or two that are
left over. Leave a speaker out with `--dataset table:DIGITS/strings.csv`.

`prompts`: Debian's `asterisk-core-sounds-en-g722` (one speaker), texts from /usr/share/doc/asterisk-core-sounds-en. Give
--docs where the texts are elsewhere than below --source. Needs ffmpeg. Tones, numbers of several digits and prompts of over
--longest seconds are left out; equal texts are in one part; a tenth tests, a tenth chooses.

Both write 16 kHz FLAC and a CSV of path, text, speaker (and split), the same ones for the same seed.
"""

import csv
import gzip
import itertools
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import tyro

from jfewshot.audio import AudioError, read_audio
from jfewshot.commandline import run_cli
from jfewshot.downstream.asr.units import shape_text
from jfewshot.errors import UserError

RATE = 16_000
DIGITS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905


@dataclass(frozen=True)
class Digits:
    """Strings of digits from the Free Spoken Digit Dataset."""

    source: Path
    """Its folder `recordings`."""
    out: Path
    """Folder to write."""
    shortest: int = 3
    """Digits in a string, at least."""
    longest: int = 5
    """At most."""
    seed: int = 0
    """Of the shuffling, the lengths and the gaps."""


@dataclass(frozen=True)
class Prompts:
    """Telephone prompts from Asterisk's core sounds."""

    source: Path
    """The folder above `share/asterisk/sounds`."""
    out: Path
    """Folder to write."""
    docs: Path | None = None
    """Where the texts are; None: below the source, else below /usr/share/doc."""
    longest: float = 8.0
    """Seconds."""
    seed: int = 0
    """Of the division."""


def build_digits(settings: Digits) -> list[dict[str, str]]:
    """Write the strings; their rows."""
    takes: dict[str, list[Path]] = {}
    for path in sorted(settings.source.glob("*.wav")):
        digit, speaker, _ = path.stem.split("_")
        takes.setdefault(speaker, []).append(path)
        assert digit.isdigit()
    if not takes:
        raise UserError(f"{settings.source} holds no <digit>_<speaker>_<take>.wav; name FSDD's folder recordings")
    rows = []
    for number, (speaker, paths) in enumerate(sorted(takes.items())):
        rng = np.random.default_rng([settings.seed, number])
        order, at = rng.permutation(len(paths)), 0
        for place in itertools.count():
            size = int(rng.integers(settings.shortest, settings.longest + 1))
            chosen = [paths[each] for each in order[at : at + size]]
            if len(chosen) < settings.shortest:
                break
            at += size
            parts = []
            for path in chosen:
                gap = rng.integers(int(0.06 * RATE), int(0.16 * RATE))
                # One step of 16-bit audio: what a converter makes of silence.
                parts += [rng.integers(-1, 2, gap).astype(np.float32) / 32768, read_audio(path, RATE)]
            name = f"{speaker}/{place:03d}.flac"
            (settings.out / speaker).mkdir(parents=True, exist_ok=True)
            soundfile.write(settings.out / name, np.clip(np.concatenate(parts), -1, 1), RATE, subtype="PCM_16")
            text = " ".join(DIGITS[int(path.stem.split("_")[0])] for path in chosen)
            rows.append({"path": name, "text": text, "speaker": speaker})
    return rows


def build_prompts(settings: Prompts) -> list[dict[str, str]]:
    """Write the prompts; their rows."""
    share = settings.source / "share"
    folder = share / "doc" / "asterisk-core-sounds-en"
    if settings.docs is not None:
        folder = settings.docs
    elif not folder.is_dir():
        folder = Path("/usr/share/doc/asterisk-core-sounds-en")
    path = folder / "core-sounds-en.txt.gz"
    if not path.exists():
        raise UserError(f"{path} is not there: install asterisk-core-sounds-en, or name the texts' folder with --docs")
    lines = gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace").splitlines()
    matches = [re.match(r"([\w/-]+):\s*(.*)", line) for line in lines]
    texts = {match[1]: match[2] for match in matches if match}
    sounds = share / "asterisk" / "sounds" / "en_US_f_Allison"
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, written in sorted(texts.items()):
            text, source = _spoken(written), sounds / f"{name}.g722"
            if not text or not source.exists():
                continue
            decoded = Path(scratch) / "decoded.wav"
            command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "g722", "-i", str(source), str(decoded)]
            subprocess.run(command, check=True)
            try:
                wave = read_audio(decoded, RATE)
            except AudioError:
                continue
            # More than 25 characters a second is no speech of that text.
            if not 0.2 * RATE <= len(wave) <= settings.longest * RATE or len(text) > 25 * len(wave) / RATE:
                continue
            target = settings.out / f"{name}.flac"
            target.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(target, wave, RATE, subtype="PCM_16")
            rows.append({"path": f"{name}.flac", "text": text, "speaker": "allison"})
    unique = sorted({row["text"] for row in rows})
    order = np.random.default_rng(settings.seed).permutation(len(unique))
    tenth = round(len(unique) / 10)
    part_of = {unique[n]: "test" if k < tenth else "dev" if k < 2 * tenth else "train" for k, n in enumerate(order)}
    return [row | {"split": part_of[row["text"]]} for row in rows]


def _spoken(written: str) -> str:
    """What is said, in small letters; empty where that is not known."""
    if re.search(r"[\[\](){}<>@]|\d\d|www", written):
        return ""
    return shape_text(re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", written), "plain")


def main() -> None:
    """Build one of the two."""
    settings = tyro.cli(Digits | Prompts, description=__doc__)  # type: ignore[arg-type]
    is_digits = isinstance(settings, Digits)
    rows = build_digits(settings) if is_digits else build_prompts(settings)  # type: ignore[arg-type]
    table = settings.out / ("strings.csv" if is_digits else "prompts.csv")
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    seconds = sum(soundfile.info(settings.out / row["path"]).duration for row in rows)
    words = sum(len(row["text"].split()) for row in rows)
    print(f"{len(rows)} utterances, {words} words, {seconds / 60:.1f} min; {table}")


if __name__ == "__main__":
    run_cli(main)
