"""Makes folders of real speech with known words for studies of speech recognition: strings of digits and telephone prompts.

    python -m studies.asr_speech digits --source fsdd/recordings --out DIGITS
    python -m studies.asr_speech prompts --source ROOT/usr --out PROMPTS

`digits` uses the Free Spoken Digit Dataset (3,000 recordings, 6 speakers). The recordings of each speaker are shuffled and joined
to strings of 3 to 5 digits with gaps of 60 to 160 ms. Every recording is in one string, except one or two that are left over. To
leave out one speaker at a time, train with `--dataset table:DIGITS/strings.csv`.

`prompts` uses Debian's `asterisk-core-sounds-en-g722` (one speaker) with texts from /usr/share/doc/asterisk-core-sounds-en. Give
--docs if the texts are not below --source. It needs ffmpeg. Tones, numbers of several digits, and prompts of more than --longest
seconds are left out. A tenth of the texts is for testing and a tenth for validation; prompts with the same text are in the same
part.

Both write 16 kHz FLAC files and a CSV file with the columns path, text and speaker (and split for `prompts`). The same seed gives
the same files.
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
    """The folder `recordings` of the Free Spoken Digit Dataset."""
    out: Path
    """Folder for the recordings and the CSV file."""
    shortest: int = 3
    """Smallest number of digits in a string."""
    longest: int = 5
    """Largest number of digits in a string."""
    seed: int = 0
    """Seed of the shuffling, the lengths and the gaps."""


@dataclass(frozen=True)
class Prompts:
    """Telephone prompts from Asterisk's core sounds."""

    source: Path
    """The folder that holds `share/asterisk/sounds`."""
    out: Path
    """Folder for the recordings and the CSV file."""
    docs: Path | None = None
    """Folder of the texts. Without this option, the folder below --source or, if there is none, below /usr/share/doc."""
    longest: float = 8.0
    """Largest length of a prompt in seconds."""
    seed: int = 0
    """Seed of the division into parts for training, validation and testing."""


def build_digits(settings: Digits) -> list[dict[str, str]]:
    """Write the strings of digits; returns the rows of the CSV file."""
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
                # The gaps hold noise of one step of 16-bit audio, as recorded silence does.
                parts += [rng.integers(-1, 2, gap).astype(np.float32) / 32768, read_audio(path, RATE)]
            name = f"{speaker}/{place:03d}.flac"
            (settings.out / speaker).mkdir(parents=True, exist_ok=True)
            soundfile.write(settings.out / name, np.clip(np.concatenate(parts), -1, 1), RATE, subtype="PCM_16")
            text = " ".join(DIGITS[int(path.stem.split("_")[0])] for path in chosen)
            rows.append({"path": name, "text": text, "speaker": speaker})
    return rows


def build_prompts(settings: Prompts) -> list[dict[str, str]]:
    """Write the prompts; returns the rows of the CSV file."""
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
            # A recording with more than 25 characters per second cannot be speech of this text.
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
    """The spoken words of a text in small letters; empty if they are not known."""
    if re.search(r"[\[\](){}<>@]|\d\d|www", written):
        return ""
    return shape_text(re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", written), "plain")


def main() -> None:
    """Build the strings of digits or the prompts."""
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
