"""Recognises files that are not text tables or audio by their first bytes, and says what they are, with the fix."""

from pathlib import Path

from jfewshot.errors import UserError

LFS_FIX = "it is a Git LFS pointer, not the file itself; run `git lfs pull` in the repository that it came from"
_LFS = b"version https://git-lfs.github.com/spec/"
_KINDS = (
    (_LFS, LFS_FIX),
    (b"PAR1", "it is a Parquet file; give it a name that ends with .parquet"),
    (b"PK\x03\x04", "it is a zip archive or an Excel or LibreOffice workbook; save the sheet as CSV in UTF-8"),
    (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook; save the sheet as CSV in UTF-8"),
    (b"\x1f\x8b", "it is compressed with gzip; unpack it"),
    (b"BZh", "it is compressed with bzip2; unpack it"),
    (b"\xfd7zXZ\x00", "it is compressed with xz; unpack it"),
    (b"ARROW1", "it is an Arrow file; save it as Parquet or CSV"),
    (b"\x93NUMPY", "it is a NumPy array; give a text table"),
)


def is_lfs_pointer(path: Path | str) -> bool:
    """Whether a file is the pointer that Git LFS writes in place of a large file that was not fetched."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


def text_of_table(path: Path, fix: str) -> str:
    """The text of a table, without the byte-order mark that spreadsheets write.

    Raises:
      UserError: if the file is missing or is not UTF-8 text; the message says what it is, and the fix.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; {fix}") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; {fix}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); {fix}") from error
    start = content[:512].lstrip()[:64].lower()
    kind = next((said for mark, said in _KINDS if content.startswith(mark)), None)
    if kind is None and start.startswith((b"<!doctype", b"<html", b"<?xml")):
        kind = "it is a web page or XML; was the download a page that asks to sign in?"
    if kind is None and start.startswith(b"["):
        kind = "it is a JSON list; give one JSON object a line, or a CSV"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or content[:256].count(b"\0") > len(content[:256]) // 4:
        kind = "it is in UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8, or 'CSV UTF-8' in a spreadsheet)"
    if kind is not None:
        raise UserError(f"{path} is not a table in UTF-8 text: {kind}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        meant = content[error.start : error.start + 1].decode("cp1252", "replace")
        raise UserError(
            f"{path} is not a table in UTF-8 text: line {line} holds the byte 0x{content[error.start]:02x}, which is "
            f"'{meant}' in Latin-1 and Windows-1252. Save it as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8, or 'CSV UTF-8' in a "
            "spreadsheet)"
        ) from error
    if "\0" in text:
        raise UserError(
            f"{path}: line {text.count(chr(10), 0, text.index(chr(0))) + 1} holds a NUL character; remove it"
        )
    return text
