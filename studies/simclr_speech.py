"""Makes a folder of speech for pretraining, from Debian's packages of spoken prompts: about six hours in 30 languages.

From two published datasets of words, it can also make tasks for tests of the pretrained encoders.

    apt-get install asterisk-core-sounds-{en,es,fr,it,ru}-g722 tuxpaint-stamps-default klettres-data ktuberling-data gcin-voice
    python studies/simclr_speech.py --out SPEECH

Instead of installing the packages, you can fetch them with `apt-get download`, unpack each with `dpkg-deb -x PACKAGE ROOT`, and
give --root ROOT. The command writes 16 kHz FLAC files and SPEECH/manifest.jsonl, for
`python -m jfewshot.simclr.train --data.source SPEECH/manifest.jsonl`. It needs ffmpeg, which decodes Asterisk's G.722.

Spoken digits and all Arabic recordings are left out, because the encoders are tested on both later. Recordings without speech
(animals, silence) are left out as well.

`--arabic FOLDER` is Arabic Speech Commands, with a folder of {speaker}_{word}_{take}.wav for each word. Every second word, spoken
by the first two thirds of the speakers, is used for pretraining. The other words, spoken by the other speakers, become the tests
SPEECH/tests/arabic_words and, with the speakers as classes, SPEECH/tests/arabic_speakers. So no word and no voice is in both
pretraining and tests.

`--fsdd FOLDER` is the folder of recordings of the Free Spoken Digit Dataset, named {digit}_{speaker}_{take}.wav. Takes 0 to 9
become the test SPEECH/tests/fsdd_digits, and takes 0 to 5, with the speakers as classes, SPEECH/tests/fsdd_speakers. None of them
is used for pretraining.

With `--per-voice N`, at most N recordings of each voice are used, at even distances in its list. This is enough for the mean and
covariance of an encoder's embeddings, which ship with jfewshot (docs/classifiers.md).
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
    """Folders to read from and to write to."""

    out: Path
    """Folder for the recordings, the manifest and the tests."""
    root: Path = Path("/")
    """Folder in which the packages are unpacked."""
    arabic: Path | None = None
    """Folder of Arabic Speech Commands: a part is for pretraining, and a part for tests."""
    fsdd: Path | None = None
    """Folder of the Free Spoken Digit Dataset's recordings, for tests."""
    per_voice: int | None = None
    """Use at most this many recordings of each voice. Without this option, all recordings are used."""


def recordings(share: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, voice) of every recording to use. A voice is one speaker, or one language of a package without speakers."""
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
      most: largest number of recordings of a voice.

    Returns:
      the chosen recordings, in the order of `found`.
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
    """Recordings for pretraining as (file, voice), and recordings for tests as (file, word, speaker)."""
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
    """Write the tests: for each a folder of class folders, which hold links to the published files."""
    tests: list[tuple[str, str, Path]] = []
    if settings.arabic:
        for path, word, speaker in arabic(settings.arabic)[1]:
            tests += [("arabic_words", word, path), ("arabic_speakers", speaker, path)]
    for path in sorted(settings.fsdd.glob("*.wav")) if settings.fsdd else ():
        digit, speaker, take = path.stem.split("_")
        tests += [("fsdd_digits", digit, path)] if int(take) < 10 else []
        tests += [("fsdd_speakers", speaker, path)] if int(take) < 6 else []
    for dataset, label, path in tests:
        # Recordings of two words can have the same file name, so the link's name also holds the word.
        link = settings.out / "tests" / dataset / label / f"{path.parent.name}_{path.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())


def wave_of(path: Path, folder: Path):
    """Samples of a recording at 16 kHz. ffmpeg decodes G.722, which libsndfile cannot read."""
    if path.suffix != ".g722":
        return read_audio(path, RATE)
    decoded = folder / "decoded.wav"
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "g722", "-i", str(path), str(decoded)]
    subprocess.run(command, check=True)
    return read_audio(decoded, RATE)


def main() -> None:
    """Convert the recordings, and write the manifest and the tests."""
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
