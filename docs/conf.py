"""The documentation as a site: `make docs` builds it from the pages of this folder, with warnings as errors."""

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from site_pages import write_command_pages  # noqa: E402

from jfewshot import __version__  # noqa: E402

project = "jfewshot"
author = "The jfewshot developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
root_doc = "index"
default_role = "code"

html_theme = "furo"
html_title = f"jfewshot {version}"
html_show_copyright = False
html_static_path: list[str] = []

# Headings get the anchors that a reader of the Markdown files sees too.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
# A block of code without a language holds commands or output.
highlight_language = "none"
autodoc_typehints = "none"  # the signature has them
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of a dataclass once, not again as members


_OTHER_PAGES = {"changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}


def setup(app):
    """Write the pages that are made of the program itself."""
    write_command_pages(HERE / "made")
    app.connect("source-read", _show_as_one_folder)


def _show_as_one_folder(app, page: str, source: list[str]) -> None:
    """Two pages stand a folder higher, where their links start too; links to other files up there become words."""
    text = source[0]
    if page in _OTHER_PAGES:
        text = (HERE.parent / _OTHER_PAGES[page]).read_text(encoding="utf-8").replace("](docs/", "](")
    for name, target in _OTHER_PAGES.items():
        text = text.replace(f"](../{target}", f"]({name}.md").replace(f"]({target}", f"]({name}.md")
    source[0] = re.sub(
        r"\[([^\]]+)\]\(\.\./(?!(?:[\w-]+/)?[\w-]+\.md)[^)]*\)|\[([^\]]+)\]\(\.\./(?:README|jfewshot/)[^)]*\)",
        r"`\1\2`",
        text,
    )
