"""A folder of speech to pretrain on, from Debian's packages of spoken prompts and words: about six hours, 30 languages.

    apt-get install asterisk-core-sounds-{en,es,fr,it,ru}-g722 tuxpaint-stamps-default klettres-data ktuberling-data gcin-voice
    python benchmarks/simclr_speech.py --out SPEECH

(Or `apt-get download` them, unpack each with `dpkg-deb -x PACKAGE ROOT`, and give --root ROOT.) It writes 16 kHz FLAC
files and SPEECH/manifest.jsonl, for `python -m jfewshot.simclr.train --data.source SPEECH/manifest.jsonl`.

Left out, so that nothing of what the encoders are later tested on is heard: spoken digits, and all Arabic; and what is no
speech (animals, silence). Needs ffmpeg, for Asterisk's G.722.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import soundfile
import tyro

from jfewshot.audio import AudioError, read_audio

RATE = 16_000
SHORTEST_S = 0.25


@dataclass(frozen=True)
class Settings:
    """From where to where."""

    out: Path
    """Folder to write."""
    root: Path = Path("/")
    """Where the packages are unpacked."""


def recordings(share: Path) -> Iterator[tuple[Path, str]]:
    """(file, voice) of everything that is wanted; a voice is one speaker, or at least one package's one language."""
    for path in sorted((share / "asterisk" / "sounds").rglob("*.g722")):
        voice = path.relative_to(share / "asterisk" / "sounds").parts[0]
        if not {"silence", "digits"} & set(path.parts):
            yield path, f"asterisk-{voice}"
    for path in sorted((share / "tuxpaint" / "stamps").rglob("*_desc*.ogg")):
        language = re.search(r"_desc_(\w+)$", path.stem)
        if "math" not in path.parts:
            yield path, f"tuxpaint-{language[1] if language else 'en'}"
    for path in sorted((share / "klettres").rglob("*.ogg")):
        language = path.relative_to(share / "klettres").parts[0]
        if language != "ar":
            yield path, f"klettres-{language}"
    for path in sorted((share / "ktuberling" / "sounds").rglob("*.*")):
        if path.suffix in (".ogg", ".wav"):
            yield path, f"ktuberling-{path.relative_to(share / 'ktuberling' / 'sounds').parts[0]}"
    for path in sorted((share / "gcin-voice").rglob("*.ogg")):
        yield path, f"gcin-{path.stem}"


def wave_of(path: Path, folder: Path):
    """Samples at 16 kHz; libsndfile does not know G.722."""
    if path.suffix != ".g722":
        return read_audio(path, RATE)
    decoded = folder / "decoded.wav"
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "g722", "-i", str(path), str(decoded)]
    subprocess.run(command, check=True)
    return read_audio(decoded, RATE)


def main() -> None:
    """Convert and list."""
    settings = tyro.cli(Settings, description=__doc__)
    settings.out.mkdir(parents=True, exist_ok=True)
    rows, left_out, seconds = [], 0, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for path, voice in recordings(settings.root / "usr" / "share"):
            try:
                wave = wave_of(path, Path(scratch))
            except AudioError:
                left_out += 1
                continue
            if len(wave) < SHORTEST_S * RATE:
                left_out += 1
                continue
            name = f"{voice}/{len(rows):05d}.flac"
            (settings.out / voice).mkdir(exist_ok=True)
            soundfile.write(settings.out / name, wave, RATE, subtype="PCM_16")
            rows.append({"path": name, "speaker": voice, "duration_s": round(len(wave) / RATE, 4), "from": path.name})
            seconds += len(wave) / RATE
    manifest = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (settings.out / "manifest.jsonl").write_text(manifest, encoding="utf-8")
    voices = len({row["speaker"] for row in rows})
    print(f"{len(rows)} recordings, {seconds / 3600:.2f} h, {voices} voices; {left_out} left out")


if __name__ == "__main__":
    main()
