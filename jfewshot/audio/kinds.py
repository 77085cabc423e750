"""Find audio files by their names, and identify files that are not audio."""

from pathlib import Path

from jfewshot.files import files_below

AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2"),
    *(".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist", ".voc", ".paf", ".ircam"),
)
"""Endings of the files that libsndfile reads."""

UNREAD_SUFFIXES = (
    *(".m4a", ".m4b", ".m4r", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".aac", ".adts", ".alac", ".wma", ".wmv", ".asf"),
    *(
        ".amr",
        ".awb",
        ".webm",
        ".weba",
        ".mka",
        ".mkv",
        ".avi",
        ".flv",
        ".mpg",
        ".mpeg",
        ".mpga",
        ".ape",
        ".wv",
        ".tta",
    ),
    *(
        ".tak",
        ".mpc",
        ".shn",
        ".spx",
        ".ra",
        ".rm",
        ".ac3",
        ".eac3",
        ".dts",
        ".dsf",
        ".dff",
        ".oma",
        ".qcp",
        ".gsm",
        ".vox",
    ),
    *(".raw", ".pcm", ".ogv", ".ogx"),
)
"""Endings of files that hold sound too, and that libsndfile does not read (or reads as noise, where they have no header)."""

NOT_READ = "format not read: convert it with ffmpeg, for instance `ffmpeg -i {name} {stem}.flac`"

_HEADS = (
    (b"version https://git-lfs.github.com/", "a Git LFS pointer in place of the audio: run `git lfs pull`"),
    (b"\x00\x05\x16\x07", "an AppleDouble file, which macOS writes beside the true one: delete it"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media audio, " + NOT_READ),
    (b"\x1aE\xdf\xa3", "Matroska or WebM, " + NOT_READ),
    (b"#!AMR", "AMR audio, " + NOT_READ),
    (b"MAC ", "Monkey's Audio, " + NOT_READ),
    (b"wvpk", "WavPack, " + NOT_READ),
    (b"PK\x03\x04", "a ZIP archive: unpack it"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"%PDF", "a PDF document; download the audio again"),
    (b"{", "JSON text; download the audio again"),
)


def audio_below(folder: Path | str) -> list[Path]:
    """Every audio file below a folder, except hidden ones, sorted by path; linked folders are followed.

    Args:
      folder: where to look.
    """
    return [path for path in files_below(folder) if path.suffix.lower() in AUDIO_SUFFIXES]


def sound_below(folder: Path | str) -> list[Path]:
    """As `audio_below`, together with files of formats that are not read, so that they can be listed as left out.

    Args:
      folder: where to look.
    """
    return [path for path in files_below(folder) if path.suffix.lower() in AUDIO_SUFFIXES or is_unread(path)]


def is_unread(path: Path | str) -> bool:
    """Whether a file's name is that of sound in a format that cannot be read.

    Args:
      path: the file.
    """
    return Path(path).suffix.lower() in UNREAD_SUFFIXES


def why_not_read(path: Path | str) -> str:
    """The reason for a file of a format that is not read, with the fix.

    Args:
      path: the file.
    """
    return NOT_READ.format(name=Path(path).name, stem=Path(path).stem)


def no_audio(head: bytes, path: Path | str) -> str:
    """Say what kind of file it is if it is not audio, with the fix; empty text if it may be audio.

    Args:
      head: the first 512 bytes of the file, or all.
      path: its name, for the fix.
    """
    name = Path(path)
    for start, what in _HEADS:
        if head.startswith(start):
            return "not audio that can be read: " + what.format(name=name.name, stem=name.stem)
    if head[4:8] == b"ftyp":
        return "not audio that can be read: MP4 or M4A, " + why_not_read(path)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--", b"<body")):
        return "not audio that can be read: a page of HTML or XML; download the audio again"
    if head and not head.strip(b"\0"):
        return "holds nothing but zero bytes at its start; copy or download it again"
    return ""
