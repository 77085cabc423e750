"""What the pages hold: blocks of code with their marks, commands, headings, links."""

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?P<before>[^\n]*)\n(?P<indent> *)```(?P<language>[\w{}-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```", re.M | re.S
)
_MARK = re.compile(r"<!-- not run: (?P<reason>.+?) -->")
_LINK = re.compile(r"!?\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\((?P<target>[^)\s]+)\)")
_ASSIGNED = re.compile(r"^[A-Z_]+=\S*$")


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
      page: its page.
      line: number of the line on which it starts, from 1.
      language: as written behind the fence.
      text: its lines.
      reason: why it is not run, as its mark says; None without a mark.
    """

    page: Path
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The words of each command of a block in a shell's language."""
        text = re.sub(r"\\\n", " ", self.text)
        for line in text.splitlines():
            for part in re.split(r"&&|;|\|(?=\s)", line):
                try:
                    words = shlex.split(part, comments=True)
                except ValueError:
                    continue
                while words and (_ASSIGNED.match(words[0]) or words[0] in ("srun", "$", "nice")):
                    words = words[1:]
                if ">" in words:
                    words = words[: words.index(">")]
                # An ellipsis stands for further options of the reader's own.
                # Square brackets are around what may be left out.
                words = [word.strip("[]") for word in words if word != "..."]
                if words:
                    yield words


def pages() -> list[Path]:
    """The README, the contributors' page and all pages of docs/ that are not made by a program."""
    found = sorted(path for path in (ROOT / "docs").rglob("*.md") if "made" not in path.parts)
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *found]


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of code of a page."""
    text = "\n" + page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        mark = _MARK.search(match["before"])
        line = text.count("\n", 0, match.start("indent")) + 0
        lines = match["text"].splitlines()
        inner = "\n".join(line[len(match["indent"]) :] for line in lines)
        yield Block(page, line, match["language"], inner, mark["reason"] if mark else None)


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may name, as GitHub and the site make it of the heading's text."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    found |= set(re.findall(r"^\(([\w-]+)\)=$", text, re.M))
    return found


def links(page: Path) -> Iterator[str]:
    """The targets of the page's links, without those in blocks of code."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "``", text)
    for match in _LINK.finditer(text):
        yield match["target"]
