"""Makes development tasks for choosing a recipe of Speech SimCLR, without recordings of the sample tasks or the pretraining.

    apt-get install fluidsynth fluid-soundfont-gm espeak-ng
    python -m studies.simclr_speech --out SPEECH
    python -m studies.simclr_development --speech SPEECH --emodb EMODB/wav --out DEVELOPMENT

DEVELOPMENT/pretraining.jsonl lists the recordings of SPEECH/manifest.jsonl that remain for training, for
`jfewshot pretrain --data.source`. The other files are the tasks, with the columns path, class and group:

- `emodb_texts.csv`: Emo-DB's ten sentences, cut to two seconds, by ten speakers. It is a task of words. The package contains
  nothing that was made from Emo-DB.
- `emodb_speakers.csv`: the same recordings with the speakers as classes. It is a task of voices.
- `syllables.csv`: Mandarin syllables by two voices of the package gcin-voice. Syllables that differ only in tone are one class.
  It is a task of words. Neither voice is used for pretraining.
- `synthetic_words.csv`: 20 English words by 16 voices of espeak-ng, at a sample rate of 8 kHz. It is a task of words. The words
  contain no digit, and no English translation of a word of the Arabic sample task.
- `notes.csv`: notes of 24 instruments and eight effects of the FluidR3 soundfont, rendered by fluidsynth. It is a task of sounds.
- `held_out_voices.csv`: nine languages of the packages klettres-data and ktuberling-data, each with one voice or a few. It is a
  task of voices. None of these voices is used for pretraining.

Of several recordings with the same content, only one is used.
"""

import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import tyro

from jfewshot.audio import read_audio

RATE = 16_000
TELEPHONE_RATE = 8_000

HELD_OUT_VOICES = (
    "klettres-cs",
    "klettres-he",
    "klettres-hu",
    "klettres-ml",
    "klettres-pt_BR",
    "klettres-tn",
    "ktuberling-gl",
    "ktuberling-sl",
    "ktuberling-wa",
)
SYLLABLE_VOICES = ("gcin-3", "gcin-5")
PER_VOICE = 40  # number of recordings of each held-out voice
SYLLABLES = 40

WORDS = "apple basket candle doctor engine flower garden hammer island jacket".split()  # noqa: SIM905
WORDS += "kettle lemon market needle orange pencil rabbit sister table window".split()  # noqa: SIM905
VOICES = "en-us+m1 en-us+m2 en-us+m3 en-us+m4 en-us+m5 en-us+m6 en-us+m7 en-us+f1 en-us+f2".split()  # noqa: SIM905
VOICES += "en-us+f3 en-us+f4 en-us+f5 en-gb+m3 en-gb+f2 en-gb-scotland+m5 en-gb-x-rp+f4".split()  # noqa: SIM905

INSTRUMENTS = (*range(0, 120, 5), *range(120, 128))  # program numbers of General MIDI; the last eight are sound effects
NOTES = 20  # number of notes of each instrument
NOTE_S = 2.0  # seconds from the start of one note to the start of the next


class Recording(NamedTuple):
    """A recording of a task: its file, its class, and its group. In an episode, supports and queries share no group."""

    path: Path
    class_name: str
    group: str


@dataclass(frozen=True)
class Development:
    """Folders to read from and to write to."""

    speech: Path
    """Folder that studies.simclr_speech wrote."""
    emodb: Path
    """Emo-DB's folder of WAV files."""
    out: Path
    """Folder for the tasks and the manifest."""
    root: Path = Path("/")
    """Folder in which the packages are unpacked."""


def emodb(folder: Path) -> Iterator[tuple[str, Recording]]:
    """Yield (task, recording) of Emo-DB's texts and speakers. A file is named {speaker:2}{text:3}{emotion:1}{version}.wav."""
    for path in sorted(folder.glob("*.wav")):
        speaker, text = path.stem[:2], path.stem[2:5]
        yield "emodb_texts", Recording(path, text, speaker)
        yield "emodb_speakers", Recording(path, speaker, text)


def syllables(folder: Path) -> Iterator[tuple[str, Recording]]:
    """Yield (task, recording) of the syllables that both voices say with four tones.

    Args:
      folder: folder of the package, which has a folder of recordings for each syllable and tone.
    """
    by_syllable: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/[35].ogg")):
        by_syllable.setdefault(re.sub(r"\d$", "", path.parent.name), []).append(path)
    complete = [name for name, paths in by_syllable.items() if len(paths) >= 8]
    for name in complete[:: max(1, len(complete) // SYLLABLES)][:SYLLABLES]:
        for path in by_syllable[name][:8]:
            yield "syllables", Recording(path, name, path.stem)


def synthetic_words(out: Path) -> Iterator[tuple[str, Recording]]:
    """Yield (task, recording) of words by espeak-ng, each voice with its own speed and pitch.

    Args:
      out: folder for the recordings.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for voice in VOICES:
        speed, pitch = str(rng.integers(120, 210)), str(rng.integers(25, 75))
        for word in WORDS:
            path = out / f"{word}_{voice}.flac"
            if not path.exists():
                with tempfile.TemporaryDirectory() as scratch:
                    spoken = Path(scratch) / "word.wav"
                    command = ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "-w", str(spoken), word]
                    subprocess.run(command, check=True)
                    soundfile.write(path, read_audio(spoken, TELEPHONE_RATE), TELEPHONE_RATE, subtype="PCM_16")
            yield "synthetic_words", Recording(path, word, voice)


def notes(soundfont: Path, out: Path) -> Iterator[tuple[str, Recording]]:
    """Yield (task, recording) of single notes with random pitch, loudness and length.

    Args:
      soundfont: an SF2 file with the instruments of General MIDI.
      out: folder for the recordings.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for instrument in INSTRUMENTS:
        chosen = [
            (int(rng.integers(40, 84)), int(rng.integers(50, 120)), float(rng.uniform(0.3, 1.5))) for _ in range(NOTES)
        ]
        names = [out / f"{instrument:03d}_{number:02d}.flac" for number in range(NOTES)]
        if not all(name.exists() for name in names):
            with tempfile.TemporaryDirectory() as scratch:
                midi, rendered = Path(scratch) / "notes.mid", Path(scratch) / "notes.wav"
                midi.write_bytes(midi_of(instrument, chosen))
                command = ["fluidsynth", "-ni", "-q", "-r", "44100", "-F", str(rendered), str(soundfont), str(midi)]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                wave = read_audio(rendered, RATE)
            for number, name in enumerate(names):
                length_s = chosen[number][2] + 0.3  # the note and the beginning of its decay
                start = int(number * NOTE_S * RATE)
                soundfile.write(name, wave[start : start + int(length_s * RATE)], RATE, subtype="PCM_16")
        for name, (pitch, *_) in zip(names, chosen, strict=True):
            yield "notes", Recording(name, f"program {instrument}", str(pitch))


def midi_of(instrument: int, chosen: list[tuple[int, int, float]]) -> bytes:
    """The content of a MIDI file of single notes, one every `NOTE_S` seconds.

    Args:
      instrument: General MIDI's program number, from 0.
      chosen: pitch (as MIDI's number), velocity (1-127) and length in seconds of each note.
    """
    per_second = 960  # ticks per second: 480 ticks per quarter note, and MIDI's default of 120 quarter notes per minute
    events: list[tuple[int, bytes]] = [(0, bytes([0xC0, instrument]))]
    for number, (pitch, velocity, seconds) in enumerate(chosen):
        start = int(number * NOTE_S * per_second)
        events.append((start, bytes([0x90, pitch, velocity])))
        events.append((start + int(seconds * per_second), bytes([0x80, pitch, 0])))
    events.append((int(len(chosen) * NOTE_S * per_second), bytes([0xFF, 0x2F, 0])))
    track, now = b"", 0
    for time, event in events:
        track += _variable_length(time - now) + event
        now = time
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def held_out(speech: Path, rows: list[dict[str, str]]) -> Iterator[tuple[str, Recording]]:
    """Yield (task, recording) of the held-out voices: of each voice some recordings, at even distances in its list."""
    for voice in HELD_OUT_VOICES:
        of_voice = [row for row in rows if row["speaker"] == voice]
        count = min(PER_VOICE, len(of_voice))
        for number in range(count):
            yield (
                "held_out_voices",
                Recording(speech / of_voice[number * len(of_voice) // count]["path"], voice, ""),
            )


def main() -> None:
    """Write all tasks, and the manifest of the recordings that remain for training."""
    settings = tyro.cli(Development, description=__doc__)
    settings.out.mkdir(parents=True, exist_ok=True)
    share = settings.root / "usr" / "share"
    lines = (settings.speech / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    left = [row for row in rows if row["speaker"] not in (*HELD_OUT_VOICES, *SYLLABLE_VOICES)]
    training = [{**row, "path": os.path.relpath(settings.speech / row["path"], settings.out)} for row in left]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in training)
    (settings.out / "pretraining.jsonl").write_text(text, encoding="utf-8")

    tasks: dict[str, list[Recording]] = {}
    contents: set[tuple[str, str]] = set()
    for task, recording in (
        *emodb(settings.emodb),
        *syllables(share / "gcin-voice" / "ogg"),
        *synthetic_words(settings.out / "synthetic_words"),
        *notes(share / "sounds" / "sf2" / "FluidR3_GM.sf2", settings.out / "notes"),
        *held_out(settings.speech, rows),
    ):
        content = task, hashlib.sha256(recording.path.read_bytes()).hexdigest()
        if content not in contents:
            contents.add(content)
            tasks.setdefault(task, []).append(recording)
    for task, recordings in tasks.items():
        table = "".join(
            f"{os.path.relpath(one.path, settings.out)},{one.class_name},{one.group}\n" for one in recordings
        )
        (settings.out / f"{task}.csv").write_text(f"path,class,group\n{table}", encoding="utf-8")
        print(f"{task}: {len(recordings)} recordings of {len({one.class_name for one in recordings})} classes")
    print(f"{len(training)} of {len(rows)} recordings remain for training")


if __name__ == "__main__":
    main()
