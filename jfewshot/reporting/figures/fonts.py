"""Find installed fonts for names in any script."""

import functools
from collections.abc import Iterable

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

# DejaVu Sans comes with matplotlib and has Latin, Greek, Cyrillic, Arabic and more. The others are used if a name needs
# them: fonts of Linux distributions, macOS and Windows for Chinese, Japanese, Korean, Indian scripts, Thai and symbols.
FIRST = "DejaVu Sans"
_OTHERS = (
    *(
        "Noto Sans CJK SC",
        "Noto Sans CJK JP",
        "Noto Sans CJK TC",
        "Noto Sans CJK KR",
        "Noto Sans SC",
        "Noto Sans JP",
        "Noto Sans KR",
    ),
    *("Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "AR PL UMing CN", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Hiragino Sans GB", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Malgun Gothic", "NanumGothic", "Unifont"),
    *(
        "Noto Sans Arabic",
        "Noto Sans Hebrew",
        "Noto Sans Devanagari",
        "Noto Sans Bengali",
        "Noto Sans Tamil",
        "Noto Sans Thai",
    ),
    *("Nirmala UI", "Leelawadee UI", "Noto Sans Ethiopic", "Noto Sans Symbols", "Noto Sans Symbols 2", "Noto Emoji"),
)
_INSTALL = "a font that has them, for instance Noto Sans CJK (Debian: fonts-noto-cjk) for Chinese, Japanese and Korean"
_SHOWN = 12


@functools.cache
def families() -> tuple[str, ...]:
    """The fonts of figures, in the order in which they are searched for a character."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return (FIRST, *(name for name in _OTHERS if name in installed))


def without_font(texts: Iterable[str]) -> str:
    """A sentence that names characters which no font has, so that figures show boxes in their place.

    Args:
      texts: names that figures show.

    Returns:
      the sentence; empty where every character can be drawn.
    """
    wanted = {character for text in texts for character in text if character.isprintable() and not character.isspace()}
    for name in families():
        if not wanted:
            return ""
        wanted -= {character for character in wanted if ord(character) in _characters(name)}
    if not wanted:
        return ""
    some = "".join(sorted(wanted)[:_SHOWN]) + (" ..." if len(wanted) > _SHOWN else "")
    return (
        f"The figures' PNG and PDF files show boxes for {len(wanted)} characters of names ({some}): no installed font has "
        f"them. Install {_INSTALL}; the page, the SVG files and the tables show all names."
    )


@functools.cache
def _characters(name: str) -> frozenset[int]:
    path = font_manager.findfont(font_manager.FontProperties(family=name), fallback_to_default=name == FIRST)
    return frozenset(FT2Font(path).get_charmap())
