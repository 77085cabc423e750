"""docs/upstreams.md says what the code and s3prl say."""

import importlib.util
import re
from pathlib import Path

import torch

from extraction.upstreams import FAMILIES, load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.pase_network import MIN_SAMPLES
from extraction.upstreams.s3prl.paper import KINDS
from extraction.upstreams.self_check import self_check

DOCS = Path(__file__).parents[3] / "docs" / "upstreams.md"
FOLDERS = {
    "distilhubert_base": "distiller",
    "wav2vec2_base_960": "wav2vec2",
    "wav2vec_large": "wav2vec",
    "vq_wav2vec_gumbel": "vq_wav2vec",
    "pase_plus": "pase",
}


def rows(heading: str) -> dict[str, list[str]]:
    """The cells of the first table below a heading, by their first cell."""
    text = DOCS.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [
        [cell.strip(" `") for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return {row[0]: row[1:] for row in cells[2:]}


def folder(name: str) -> str:
    return FOLDERS.get(name, re.sub(r"_(base|960hr)$", "", name))


def test_the_table_of_the_13_is_the_csv(paper_table: dict):
    table = rows("The paper's 13")
    assert list(table) == list(paper_table)
    for name, row in paper_table.items():
        parameters = f"{int(row['n_parameters']) / 1e6:.2f} M"
        facts = [row[key] for key in ("objective", "network", "input", "dim", "layers", "frames_5s")]
        shortest = MIN_SAMPLES if name == "pase_plus" else KINDS[folder(name)].min_samples
        assert table[name] == [row["title"], parameters, *facts, str(shortest)]


def test_the_addresses_are_those_that_s3prl_asks():
    upstream = Path(importlib.util.find_spec("s3prl").submodule_search_locations[0]) / "upstream"
    for name, (where, _) in rows("Where weights go").items():
        source = (upstream / folder(name) / "hubconf.py").read_text(encoding="utf-8")
        if name in source:
            source = source.split(f"def {name}(")[1]
        addresses = re.findall(r"https://\S+", where)
        assert addresses
        for address in addresses:
            assert f'"{address}"' in source, (name, address)


def test_every_family_is_told():
    told = " ".join(rows("Other encoders"))
    assert all(f"{family}:" in told for family in FAMILIES)


def test_the_class_that_is_shown_works(tmp_path: Path, monkeypatch):
    torch.save(torch.nn.Conv1d(1, 64, 400, 160).state_dict(), tmp_path / "network.pt")
    text = DOCS.read_text(encoding="utf-8").split("## Your own encoder")[1]
    (tmp_path / "shown_in_docs.py").write_text(text.split("```python\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    upstream = load_upstream("shown_in_docs:MyEncoder", UpstreamOptions(checkpoint=tmp_path / "network.pt"))
    assert self_check(upstream).shapes == {"0": (98, 64)}
