"""Names and numbers as a person may see them: without control characters, and with nouns in the singular or plural."""

import re

# Everything that moves a cursor, sets a colour or ends a line, except the newline and the tab of our own texts.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def printable(text: str) -> str:
    """Text with a visible sign (U+2400 and following) in place of each control character.

    An escape sequence is then shown, not obeyed.

    Args:
      text: any text; newlines and tabs stay.
    """
    return _CONTROL.sub(_sign, text)


def in_a_line(text: str) -> str:
    """The same, with newlines and tabs replaced too: for a label, a cell or a heading.

    Args:
      text: any text.
    """
    return printable(text).replace("\n", "\u240a").replace("\t", "\u2409")


def counted(number: int, one: str, several: str = "") -> str:
    """Write a number together with what is counted, in the singular or the plural.

    Args:
      number: how many.
      one: the words for one thing: `clip`, `file is`.
      several: the words for several; empty for `one` with an s.

    Returns:
      `1 clip`, `2 clips`, `1,200 clips`.
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd" if code < 0xA0 else "\u2424"
