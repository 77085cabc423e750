"""The script of the full size: the paper's settings, what is missing from a folder, hours by hand."""

import pytest

from benchmarks.training.simclr_hours import MACHINES, hours, needed_s_per_s
from jfewshot.errors import UserError
from jfewshot.simclr.config import STEPS
from jfewshot.simclr.settings import PAPER
from studies.simclr_full_size import LIBRISPEECH, FullSize, configuration, published


def test_the_recipe_is_the_papers(tmp_path):
    config = configuration(FullSize(tmp_path, musan=tmp_path / "m", rooms=tmp_path / "r"), ["--seed", "3"])
    assert (config.batch, config.steps, config.temperature, config.weights) == (600, STEPS, 0.1, (1.0, 1.0))
    encoder = config.encoder
    assert (encoder.n_layers, encoder.d_model, encoder.d_ff, encoder.n_heads) == (
        PAPER.n_layers, PAPER.d_model, PAPER.d_ff, PAPER.n_heads,
    )  # fmt: skip
    chosen = config.augmentation
    assert (chosen.widest_time_mask, chosen.widest_time_mask_share, chosen.widest_frequency_mask) == (40, 1.0, 10)
    assert (chosen.noise_folder, chosen.rooms_folder, config.seed) == (tmp_path / "m", tmp_path / "r", 3)
    # Each machine's devices divide a batch, and its chunks their rows.
    for name, machine in MACHINES.items():
        chunks = configuration(FullSize(tmp_path, machine=name)).chunks
        assert 600 % (machine.devices * chunks) == 0
    trial = configuration(FullSize(tmp_path, trial=True))
    assert (trial.batch, trial.steps, trial.encoder) == (8, 3, encoder)
    with pytest.raises(UserError, match="--librispeech FOLDER is missing"):
        configuration(FullSize())


def test_a_folder_that_is_not_as_published_is_named(tmp_path):
    for part in LIBRISPEECH:
        (tmp_path / part / "1" / "2").mkdir(parents=True)
        (tmp_path / part / "1" / "2" / "1-2-0000.flac").touch()
    published(tmp_path, dict.fromkeys(LIBRISPEECH, 1), ".flac", trial=False)
    published(tmp_path, LIBRISPEECH, ".flac", trial=True)
    with pytest.raises(UserError, match="train-other-500 has 1 of 148,688 recordings"):
        published(tmp_path, LIBRISPEECH, ".flac", trial=False)


def test_hours_are_those_of_a_count_by_hand():
    """A layer multiplies each frame with 4 d^2 + 2 d f weights and with all frames twice; the first one joins 80 channels."""

    def operations(frames, rows):
        layer = 2 * frames * (4 * 768**2 + 2 * 768 * 3072) + 2 * 2 * frames**2 * 768
        return 3 * rows * (3 * layer + 2 * frames * 80 * 768)  # backward is twice forward

    # TERA's step on an H200: 50.8 a second of 32 rows of 1,200 frames. 12 s are 1,198 frames; two views of each utterance.
    seconds = 70_300 * operations(1198, 1200) / (50.8 * operations(1200, 32))
    low, high = hours(MACHINES["h200"])
    assert low == pytest.approx(seconds / 3600, rel=1e-6)
    assert high == pytest.approx(low * 4 / 3)
    # Eight A100 have 2,496 TFLOP/s to the H200's 989.
    assert hours(MACHINES["a100x8"])[0] == pytest.approx(low * 989 / 2496)
    assert needed_s_per_s(MACHINES["h200"]) == pytest.approx(7200 * 70_300 / seconds)
