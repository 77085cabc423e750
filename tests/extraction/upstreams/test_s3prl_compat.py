"""s3prl beside current packages."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from extraction.upstreams.s3prl import compat


def test_the_sinusoid_table_is_s3prls_own_to_the_bit():
    compat.prepare()
    from s3prl.upstream.mockingjay import builder

    slow = builder.get_sinusoid_table
    if slow is compat.sinusoid_table:  # replaced by an earlier test of this session
        source = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _SLOW_TABLE], capture_output=True, text=True, check=True
        ).stdout
        expected = torch.frombuffer(bytearray.fromhex(source), dtype=torch.float32).reshape(-1, 6)
    else:
        expected = slow(6)
    assert torch.equal(compat.sinusoid_table(6), expected)


_SLOW_TABLE = """
from extraction.upstreams.s3prl import compat
compat.prepare()
from s3prl.upstream.mockingjay.builder import get_sinusoid_table
print(get_sinusoid_table(6).numpy().tobytes().hex())
"""


def test_the_sinusoid_table_at_full_width_follows_the_formula_digit_for_digit():
    table = compat.sinusoid_table(768)
    assert table.shape == (24_000, 768)
    for position in (0, 1, 500, 23_999):
        angles = [position / np.power(10000, 2 * (column // 2) / 768) for column in range(768)]
        row = [np.cos(angle) if column % 2 else np.sin(angle) for column, angle in enumerate(angles)]
        np.testing.assert_array_equal(table[position].numpy(), np.asarray(row, np.float32))


def test_the_table_is_built_once_and_s3prl_finds_it():
    compat.prepare()
    compat.use_fast_sinusoid_table()
    from s3prl.upstream.mockingjay import builder

    assert builder.position_encoding(7, 768).data_ptr() == compat.sinusoid_table(768).data_ptr()


@pytest.mark.parametrize(("text", "value"), [("True", 1), ("no", 0), ("ON", 1), ("f", 0)])
def test_strtobool_reads_what_distutils_read(text: str, value: int):
    assert compat.strtobool(text) == value


def test_strtobool_refuses_the_rest():
    with pytest.raises(ValueError, match="invalid truth value 'maybe'"):
        compat.strtobool("maybe")


def test_s3prl_loads_beside_a_cpu_torch_whose_torchaudio_is_a_cuda_build_and_without_distutils():
    """In a process of its own, with torch declared CPU-only and distutils gone."""
    script = """
import importlib.util, sys, warnings
warnings.simplefilter("ignore")
import torch
torch.version.cuda = None
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "distutils" else find_spec(name, *more)
from extraction.upstreams.s3prl import compat
compat.prepare()
import distutils.util
assert distutils.util.strtobool is compat.strtobool
import torchaudio
assert not torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE
import s3prl.upstream.mockingjay.hubconf, s3prl.upstream.decoar2.hubconf, s3prl.upstream.byol_s.hubconf
from torchaudio.compliance import kaldi
print(kaldi.fbank(torch.ones(1, 800)).shape[0])
assert "s3prl.hub" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "3"


def test_jfewshot_and_the_registry_import_no_torch():
    script = "import sys, extraction.upstreams, extraction.upstreams.s3prl; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_what_is_missing_from_torchaudio_says_so():
    with pytest.raises(ValueError, match="not part of this installation"):
        compat._refuse("torchaudio.sox_effects")()


def test_the_formula_has_sine_and_cosine_in_turn():
    row = compat.sinusoid_table(4)[3].tolist()
    assert row == pytest.approx([math.sin(3), math.cos(3), math.sin(0.03), math.cos(0.03)], abs=1e-6)
