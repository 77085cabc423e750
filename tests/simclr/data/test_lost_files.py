"""Files that cannot be decoded, or are gone: left out when the data are listed, replaced while training, never the run's end."""

import json

import numpy as np
import pytest
import soundfile

from jfewshot.errors import UserError
from jfewshot.simclr.data import BatchPlan, as_begun, keep_utterances, known_utterances, load_batch, read_utterances
from jfewshot.simclr.data.cache import WaveCache

RATE = 16_000


def write(path, seconds, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.1, 0.1, int(seconds * RATE)), RATE)


@pytest.fixture
def speech(tmp_path):
    for k in range(12):
        write(tmp_path / "speech" / f"{k:02d}.flac", 0.5 + 0.1 * k, k)
    return tmp_path / "speech"


def damage_inside(path):
    """Damage that the header and the last frame do not show, as of a failing disk."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 3000] = bytes(3000)
    path.write_bytes(data)


def test_what_is_cut_or_no_audio_is_left_out_before_the_first_step(speech, caplog):
    write(speech / "whole.wav", 1.0, 20)
    for name, content in {
        "cut.flac": (speech / "03.flac").read_bytes()[:9_000],
        "cut.wav": (speech / "whole.wav").read_bytes()[:9_000],
        "page.mp3": b"<!DOCTYPE html><html>404</html>",
        "pointer.wav": b"version https://git-lfs.github.com/spec/v1\n",
        "phone.m4a": b"\0\0\0\x20ftypM4A ",
        "empty.ogg": b"",
    }.items():
        (speech / name).write_bytes(content)
    found = read_utterances(speech, shortest_s=0.2)
    assert [each.name for each in found] == [f"{k:02d}.flac" for k in range(12)] + ["whole.wav"]
    for reason in (
        "cut.flac: cut short",
        "cut.wav: cut short: its header promises 1.00 s",
        "page.mp3: not audio",
        "pointer.wav: not audio that can be read: a Git LFS pointer",
        "phone.m4a: format not read: convert it with ffmpeg",
        "empty.ogg: empty",
        "6 of 19 recordings left out",
    ):
        assert reason in caplog.text


def test_lengths_are_read_and_not_believed(speech):
    data = bytearray((speech / "05.flac").read_bytes())
    facts = int.from_bytes(data[18:26], "big") >> 36 << 36 | 4_000
    data[18:26] = facts.to_bytes(8, "big")
    (speech / "05.flac").write_bytes(data)
    assert {each.name: each.duration_s for each in read_utterances(speech, 0.2)}["05.flac"] == pytest.approx(1.0)


def test_a_file_that_fails_while_training_is_replaced_by_one_of_its_lengths(speech, caplog):
    plan = BatchPlan(read_utterances(speech, 0.2), 4, 2 * RATE, 2, RATE, seed=0)
    step = next(step for step in range(9) if 5 in plan.step(step)[1])
    size, members = plan.step(step)
    row = members.tolist().index(5)
    whole = load_batch(plan, step, {})
    damage_inside(speech / "05.flac")
    cache = WaveCache(RATE, 10**8)
    batch, again = load_batch(plan, step, {}, cache=cache), load_batch(plan, step, {})
    others = [place for place in range(4) if place != row]
    np.testing.assert_array_equal(batch.waves[others], whole.waves[others])
    np.testing.assert_array_equal(batch.waves, again.waves)
    assert batch.waves.shape == whole.waves.shape == (4, size)
    same = [index for index in np.flatnonzero(plan.bucket == plan.bucket[5]) if index != 5]
    assert batch.lengths[row] in {soundfile.info(plan.utterances[index].path).frames for index in same}
    caplog.clear()
    load_batch(plan, step, {}, cache=cache)
    assert "05.flac" not in caplog.text  # named once


def test_a_file_that_fails_is_named_with_its_reason(speech, caplog):
    plan = BatchPlan(read_utterances(speech, 0.2), 12, 2 * RATE, 1, RATE, seed=0)
    damage_inside(speech / "05.flac")
    (speech / "07.flac").unlink()
    load_batch(plan, 0, {})
    assert "05.flac: cannot be decoded" in caplog.text or "05.flac: cut short" in caplog.text
    assert "07.flac: no such file" in caplog.text


def test_a_disk_that_is_gone_ends_the_run_in_a_line(speech):
    plan = BatchPlan(read_utterances(speech, 0.2), 4, 2 * RATE, 2, RATE, seed=0)
    for path in speech.iterdir():
        path.unlink()
    with pytest.raises(
        UserError, match=r"step 4: too many files cannot be read; the last one: .*no such file\. Is the disk"
    ):
        load_batch(plan, 3, {})


def test_a_run_whose_data_lost_files_takes_the_list_that_it_began_with(speech, tmp_path, caplog):
    begun = read_utterances(speech, 0.2)
    keep_utterances(tmp_path, begun)
    known = known_utterances(tmp_path)
    assert as_begun(known, read_utterances(speech, 0.2), speech) == begun
    (speech / "03.flac").unlink()
    (speech / "04.flac").write_bytes((speech / "04.flac").read_bytes()[:9_000])
    assert as_begun(known, read_utterances(speech, 0.2), speech) == begun
    assert "the data lost 2 of the 12 files that the run began with: 03.flac, 04.flac. The run continues" in caplog.text


@pytest.mark.parametrize("change", ["new", "longer"])
def test_new_and_changed_files_are_named_and_not_taken_for_lost_ones(speech, tmp_path, change, caplog):
    keep_utterances(tmp_path, read_utterances(speech, 0.2))
    write(speech / ("13.flac" if change == "new" else "03.flac"), 2.5, 99)
    found = read_utterances(speech, 0.2)
    assert as_begun(known_utterances(tmp_path), found, speech) == found
    assert (
        f"1 of {len(found)} files are new or changed since the run began: {'13' if change == 'new' else '03'}.flac"
        in caplog.text
    )


def test_files_that_did_not_change_are_not_read_again(speech, tmp_path):
    begun = read_utterances(speech, 0.2)
    keep_utterances(tmp_path, begun)
    lengths = {name: (123.0, each.size, each.changed_ns) for name, each in known_utterances(tmp_path).items()}
    write(speech / "03.flac", 2.5, 99)
    again = {each.name: each.duration_s for each in read_utterances(speech, 0.2, lengths)}
    assert again["03.flac"] == pytest.approx(2.5)
    assert set(again.values()) == {123.0, again["03.flac"]}


def test_a_manifest_that_names_lost_files_is_refused_at_first_and_continued_later(speech):
    manifest = speech.parent / "m.jsonl"
    manifest.write_text("".join(json.dumps({"path": f"speech/{k:02d}.flac"}) + "\n" for k in range(12)))
    assert len(read_utterances(manifest, 0.2)) == 12
    (speech / "03.flac").unlink()
    with pytest.raises(UserError, match="names 1 files that do not exist"):
        read_utterances(manifest, 0.2)
    assert len(read_utterances(manifest, 0.2, may_lack=True)) == 11


@pytest.mark.parametrize("content", ["not json\n", '["a", "b"]\n', "[" * 100_000])
def test_a_damaged_list_is_a_line(tmp_path, content):
    (tmp_path / "utterances.jsonl").write_text(content)
    with pytest.raises(UserError, match=r"utterances\.jsonl cannot be read"):
        known_utterances(tmp_path)
