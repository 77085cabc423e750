"""What `jfewshot suite init` writes for people and for continuous integration."""

from pathlib import Path

from jfewshot._version import __version__
from jfewshot.suite.definition import Suite

WORKFLOW_FILE = Path(".github", "workflows", "leaderboard.yml")

# Where jfewshot is installed from is the host's decision, so that line stands on top.
WORKFLOW = f"""\
# Validates what a pull request contributes, and publishes the page from the main branch.
name: leaderboard
on:
  pull_request:
  push:
    branches: [main]
  workflow_dispatch:
env:
  # The version that validates; a path or an address of its source may stand here.
  JFEWSHOT: jfewshot=={__version__}
jobs:
  validate:
    runs-on: ubuntu-latest
    permissions:
      contents: read
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: python -m pip install "$JFEWSHOT"
      - run: jfewshot suite validate contributions
      - run: jfewshot suite build .
      - uses: actions/upload-pages-artifact@v3
        with:
          path: .
  publish:
    needs: validate
    if: github.event_name != 'pull_request'
    runs-on: ubuntu-latest
    permissions:
      pages: write
      id-token: write
    environment: github-pages
    steps:
      - uses: actions/deploy-pages@v4
"""


def readme(suite: Suite) -> str:
    """How to contribute to a leaderboard and how to host it.

    Args:
      suite: whose leaderboard it is.
    """
    return f"""\
# Leaderboard of {suite.name}, version {suite.version}

{suite.description}

`index.html` is the page. It is static and loads nothing, so any web server can serve this folder.

## Contribute an encoder

1. `jfewshot suite run {suite.name} --upstreams ENCODER --root AUDIO --out FOLDER`
2. Copy `FOLDER/contributions/ENCODER.json` to `contributions/` in this folder.
3. `jfewshot suite validate contributions/ENCODER.json`
4. Open a pull request with that one file.

The file holds a histogram of right answers per episode for each task. Accuracies, intervals, scores and ranks are computed
again from it, and an edited number is refused.

## Host

`jfewshot suite build .` validates all contributions and writes `index.html`, `leaderboard.json`, `leaderboard.csv` and
`digests.json`. `.github/workflows/leaderboard.yml` does so for every pull request, and publishes the page from the main
branch. Keep `digests.json` under version control: it holds the digests that two contributions agreed on, which later ones
cannot change.
"""
