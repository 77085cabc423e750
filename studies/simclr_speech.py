"""A folder of speech to pretrain on, from Debian's packages of spoken prompts and words: about six hours, 30 languages;
and, from two published datasets of words, what to test on.

    apt-get install asterisk-core-sounds-{en,es,fr,it,ru}-g722 tuxpaint-stamps-default klettres-data ktuberling-data gcin-voice
    python studies/simclr_speech.py --out SPEECH

(Or `apt-get download` them, unpack each with `dpkg-deb -x PACKAGE ROOT`, and give --root ROOT.) It writes 16 kHz FLAC
files and SPEECH/manifest.jsonl, for `python -m jfewshot.simclr.train --data.source SPEECH/manifest.jsonl`.

Left out, so that nothing of what the encoders are later tested on is heard: spoken digits, and all Arabic; and what is no
speech (animals, silence). Needs ffmpeg, for Asterisk's G.722.

With `--arabic FOLDER` (Arabic Speech Commands: a folder per word, of {speaker}_{word}_{take}.wav), every other word by the first
two thirds of the speakers is trained on; the other words by the other speakers are SPEECH/tests/arabic_words and, under the
speakers' names, SPEECH/tests/arabic_speakers: no word and no voice is on both sides. With `--fsdd FOLDER` (the Free Spoken Digit
Dataset's recordings: {digit}_{speaker}_{take}.wav), takes 0 to 9 are SPEECH/tests/fsdd_digits, and 0 to 5 by speaker
SPEECH/tests/fsdd_speakers; nothing of it is trained on.

With `--per-voice N`, at most N recordings of each voice are taken, at even distances: enough for the mean and covariance of an
encoder's embeddings, which ship with jfewshot (docs/classifiers.md).
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import tyro

from jfewshot.audio import AudioError, read_audio

RATE = 16_000
SHORTEST_S = 0.25


@dataclass(frozen=True)
class SpeechPretraining:
    """From where to where."""

    out: Path
    """Folder to write."""
    root: Path = Path("/")
    """Where the packages are unpacked."""
    arabic: Path | None = None
    """Arabic Speech Commands: half to train on, half to test on."""
    fsdd: Path | None = None
    """The Free Spoken Digit Dataset's recordings, to test on."""
    per_voice: int | None = None
    """Take at most this many recordings of each voice. Without this option, all."""


def recordings(share: Path) -> Iterator[tuple[Path, str]]:
    """(file, voice) of everything that is wanted; a voice is one speaker, or at least one package's one language."""
    for path in sorted((share / "asterisk" / "sounds").rglob("*.g722")):
        voice = path.relative_to(share / "asterisk" / "sounds").parts[0]
        if not {"silence", "digits"} & set(path.parts):
            yield path, f"asterisk-{voice}"
    for path in sorted((share / "tuxpaint" / "stamps").rglob("*_desc*.ogg")):
        match = re.search(r"_desc_(\w+)$", path.stem)
        if "math" not in path.parts:
            yield path, f"tuxpaint-{match[1] if match else 'en'}"
    for path in sorted((share / "klettres").rglob("*.ogg")):
        language = path.relative_to(share / "klettres").parts[0]
        if language != "ar":
            yield path, f"klettres-{language}"
    for path in sorted((share / "ktuberling" / "sounds").rglob("*.*")):
        if path.suffix in (".ogg", ".wav"):
            yield path, f"ktuberling-{path.relative_to(share / 'ktuberling' / 'sounds').parts[0]}"
    for path in sorted((share / "gcin-voice").rglob("*.ogg")):
        yield path, f"gcin-{path.stem}"


def of_each_voice(found: list[tuple[Path, str]], most: int) -> list[tuple[Path, str]]:
    """Some recordings of each voice, at even distances in its list.

    Args:
      found: (file, voice) of every recording.
      most: how many recordings of a voice are taken.

    Returns:
      those that are taken, in order.
    """
    by_voice: dict[str, list[tuple[Path, str]]] = {}
    for each in found:
        by_voice.setdefault(each[1], []).append(each)
    chosen = []
    for of_one in by_voice.values():
        count = min(most, len(of_one))
        chosen += [of_one[number * len(of_one) // count] for number in range(count)]
    return chosen


def arabic(folder: Path) -> tuple[list[tuple[Path, str]], list[tuple[Path, str, str]]]:
    """What to train on, (file, voice), and what to test on, (file, word, speaker)."""
    words = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_"))
    files = [
        (path, word, path.name.partition("_")[0]) for word in words for path in sorted((folder / word).glob("*.wav"))
    ]
    speakers = sorted({speaker for *_, speaker in files})
    trained_words, trained_speakers = set(words[::2]), set(speakers[: len(speakers) * 2 // 3])
    train = [(path, f"arabic-{who}") for path, word, who in files if word in trained_words and who in trained_speakers]
    test = [each for each in files if each[1] not in trained_words and each[2] not in trained_speakers]
    return train, test


def link_tests(settings: SpeechPretraining) -> None:
    """Folders of class folders, of links to the published files."""
    tests: list[tuple[str, str, Path]] = []
    if settings.arabic:
        for path, word, speaker in arabic(settings.arabic)[1]:
            tests += [("arabic_words", word, path), ("arabic_speakers", speaker, path)]
    for path in sorted(settings.fsdd.glob("*.wav")) if settings.fsdd else ():
        digit, speaker, take = path.stem.split("_")
        tests += [("fsdd_digits", digit, path)] if int(take) < 10 else []
        tests += [("fsdd_speakers", speaker, path)] if int(take) < 6 else []
    for dataset, label, path in tests:
        # Takes of two words may have one file name.
        link = settings.out / "tests" / dataset / label / f"{path.parent.name}_{path.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())


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
    settings = tyro.cli(SpeechPretraining, description=__doc__)
    settings.out.mkdir(parents=True, exist_ok=True)
    rows: list[Any] = []
    left_out, seconds = 0, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [
            *recordings(settings.root / "usr" / "share"),
            *(arabic(settings.arabic)[0] if settings.arabic else ()),
        ]
        if settings.per_voice is not None:
            wanted = of_each_voice(wanted, settings.per_voice)
        for path, voice in wanted:
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
    link_tests(settings)
    voices = len({row["speaker"] for row in rows})
    print(f"{len(rows)} recordings, {seconds / 3600:.2f} h, {voices} voices; {left_out} left out")


if __name__ == "__main__":
    main()
