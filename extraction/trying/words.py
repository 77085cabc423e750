"""Numbers with their nouns."""


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
