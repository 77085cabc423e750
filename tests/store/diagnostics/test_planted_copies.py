"""Altered copies of real recordings, embedded by real encoders, are found: the slow form of `test_listening.py`."""

import pytest

from extraction.samples import UPSTREAMS
from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from studies.planted_faults import COPIES, extract_copies, measure_copies
from tests.extraction.recordings import real_folder

pytestmark = pytest.mark.slow


# Noise in short words and in sounds with silent parts is missed more often: docs/diagnostics.md has the numbers.
@pytest.mark.parametrize(
    ("dataset", "kinds"),
    [
        ("fsdd_digits", ("later", "noise")),
        ("arabic_commands", ("later", "silence")),
        ("esc10", ("later", "silence")),
    ],
)
def test_planted_copies_are_found(dataset, kinds, tmp_path):
    if real_folder() is None:
        pytest.skip("the recordings are not here (JFEWSHOT_AUDIO)")
    try:
        for name in UPSTREAMS:
            load_upstream(name, UpstreamOptions(threads=1))
    except UserError as error:
        pytest.skip(str(error))
    extract_copies(dataset, real_folder(), tmp_path, UPSTREAMS, kinds, COPIES)
    cells = [cell for cell in measure_copies(dataset, tmp_path / "stores") if cell["encoders"] == "all"]
    assert [cell["kind"] for cell in cells] == ["none", *kinds]
    for cell in cells[1:]:
        assert cell["precision"] >= 0.9, cell
        assert cell["recall"] >= 0.9, cell
