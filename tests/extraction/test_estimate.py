"""The estimate: what it counts, what it measures, and that the page shows what it prints."""

import time

import pytest
import soundfile

from extraction import estimating
from extraction.datasets import PAPERS_TEN
from extraction.estimate import main
from extraction.upstreams.base import UpstreamOptions
from jfewshot.errors import UserError
from tests.extraction.recordings import REPOSITORY, wave
from tests.extraction.toy import ToyEncoder

TOY = "tests.extraction.toy:ToyEncoder"


class TwoASecond(ToyEncoder):
    """Its segments are of 10 s: two of 5 s each."""

    segment_samples, cpu_batch_size = 160_000, 2

    def encode(self, waves, layers):
        time.sleep(1.0 * len(waves))
        return super().encode(waves, layers)


def test_the_page_shows_what_the_command_prints(capsys):
    main(["--tflops", "7.8"])
    printed = capsys.readouterr().out
    page = (REPOSITORY / "docs" / "extraction.md").read_text("utf-8")
    for line in printed.splitlines():
        assert line in page
    assert "All 130 cells: 29.6 h." in printed
    assert set(estimating.PUBLISHED_SEGMENTS) == set(PAPERS_TEN)


def test_an_encoder_is_timed_on_this_machine_in_segments_of_5_s(monkeypatch):
    monkeypatch.setattr(estimating, "load_upstream", lambda name, options: TwoASecond())
    speed = estimating.measured("any", UpstreamOptions(), seconds=0.1)
    assert speed.dim == 3
    assert 1.5 < speed.segments_per_s <= 2


def test_a_folder_that_is_there_is_counted(tmp_path, capsys):
    for name, seconds in (("a", 1), ("b", 4), ("c", 6), ("d", 11)):  # 1, 1, 2 and 3 segments
        (tmp_path / "birds" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "birds" / name / "x.wav", wave(0, 8_000, seconds), 8_000)
    assert estimating.count_segments("folder:birds", tmp_path, alone=False) == ("birds", 7)
    assert estimating.count_segments("folder:birds", tmp_path / "birds", alone=True) == ("birds", 7)
    main(["--datasets", "folder:birds", "--root", str(tmp_path), "--upstreams", TOY, "--seconds", "0"])
    printed = capsys.readouterr().out
    assert "| birds | 7 | 0.0 |" in printed
    assert "All 1 cells: 1 s." in printed


def test_a_dataset_that_is_not_there_is_counted_as_published(tmp_path):
    assert estimating.count_segments("esc50", tmp_path, alone=True) == ("esc50", 2_000)
    with pytest.raises(UserError, match="how many there are is not known; name its --root"):
        estimating.count_segments("folder:birds", tmp_path, alone=False)


def test_a_rate_serves_the_papers_encoders_only():
    with pytest.raises(UserError, match="operations are known only for the paper's encoders"):
        main(["--tflops", "7.8", "--upstreams", "fbank"])


@pytest.mark.parametrize(("seconds", "text"), [(0.1, "1 s"), (89, "89 s"), (91, "2 min"), (7_200, "2.0 h")])
def test_durations_in_two_digits_or_so(seconds, text):
    assert estimating.duration(seconds) == text
