"""Which phone a frame has: the one in whose stretch its middle lies, by numbers worked out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jfewshot.downstream.frames import Frames
from jfewshot.downstream.phones.phone_sets import own_phones, timit_phones
from jfewshot.downstream.phones.segments import UNLABELLED, FrameTimes, Segments, check_rate, read_segments
from jfewshot.downstream.phones.times import frame_times
from jfewshot.downstream.sources import Source
from jfewshot.errors import UserError
from jfewshot.simclr.encoder import Encoder, EncoderConfig
from jfewshot.simclr.export import EncoderFolder
from jfewshot.simclr.features import FbankSettings
from tests.synthetic_stores import make_store

NUMBERS = {"h#": 0, "s": 1, "iy": 2}


def test_a_frame_has_the_phone_at_its_middle(tmp_path):
    path = tmp_path / "SI1.PHN"
    path.write_text("0 360 h#\n360 1000 s\n1000 1160 q\n1160 1640 iy\n")
    segments = read_segments(path)
    # FBANK's frames of 1,640 samples: 1 + (1640 - 400) // 160 = 8, with middles at 200, 360, 520, ..., 1320. The second one's
    # middle is the first sample of s; the frame at 1000 is the first of q, which has no class.
    middles = FrameTimes(200.0, 160.0).middles(8)
    assert middles.tolist() == [200, 360, 520, 680, 840, 1000, 1160, 1320]
    assert segments.labels_at(middles, NUMBERS).tolist() == [0, 1, 1, 1, 1, UNLABELLED, 2, 2]
    # Four frames to one: middles at 200 and 840. HuBERT: at 200, 520, 840, 1160.
    assert segments.labels_at(FrameTimes(200.0, 640.0).middles(2), NUMBERS).tolist() == [0, 1]
    assert segments.labels_at(FrameTimes(200.0, 320.0).middles(4), NUMBERS).tolist() == [0, 1, 1, 2]
    # Scored every 160 samples before the last end: 200 ... 1,640 is no longer inside.
    assert segments.scored_instants().tolist() == [200, 360, 520, 680, 840, 1000, 1160, 1320, 1480]


def test_before_between_and_behind_stretches_there_is_no_label_and_the_later_of_two_counts(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text(
        "0.01\t0.02\ts\n0.03\t0.05\tiy\n0.04\t0.06\th#\n"
    )  # seconds, as in Audacity: 160 to 320, 480 to 800, 640 to 960
    segments = read_segments(path)
    instants = np.array([0, 159.5, 160, 319.5, 320, 480, 639.5, 640, 799, 959, 960, 5000])
    expected = [-1, -1, 1, 1, -1, 2, 2, 0, 0, 0, -1, -1]
    assert segments.labels_at(instants, NUMBERS).tolist() == expected
    assert segments.labels_at(instants[::-1].copy(), NUMBERS).tolist() == expected[::-1]


def test_the_nearest_frame_answers_and_of_two_the_earlier():
    times = FrameTimes(200.0, 640.0)  # middles at 200, 840, 1480
    instants = np.array([0.0, 200, 360, 520, 521, 680, 1160, 1161, 1480, 9000])
    assert times.nearest(instants, 3).tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    # FBANK's own middles are the instants.
    assert FrameTimes(200.0, 160.0).nearest(200.0 + 160 * np.arange(500.0), 500).tolist() == list(range(500))


@pytest.mark.parametrize(
    "line", ["0 10", "10 10 s", "20 10 s", "-1 10 s", "a 10 s", "0 nan s", "0 inf s", "0 10 s s", ""]
)
def test_what_is_no_stretch_is_named(tmp_path, line):
    path = tmp_path / "SX1.PHN"
    path.write_text(f"0 20 h#\n{line}\n" if line else "\n")
    wanted = (
        r"SX1\.PHN, line 2, should be begin, end and phone" if line else r"SX1\.PHN has no line of begin, end and phone"
    )
    with pytest.raises(UserError, match=wanted):
        read_segments(path)
    path.write_bytes(b"0 20 h\xff\n")
    with pytest.raises(UserError, match="is no text in UTF-8"):
        read_segments(path)


def test_61_phones_are_48_and_39_and_others_are_classes_of_their_own():
    timit = timit_phones()
    assert (len(timit.trained), len(timit.scored)) == (48, 39)
    said = ["h#", "bcl", "ux", "zh", "el", "q", "epi", "pau", "vcl"]
    assert [timit.to_trained.get(phone) for phone in said] == [
        "sil",
        "vcl",
        "uw",
        "zh",
        "el",
        None,
        "epi",
        "sil",
        "vcl",
    ]
    scored = [timit.scored[timit.folded[timit.numbers[phone]]] for phone in said if phone != "q"]
    assert scored == ["sil", "sil", "uw", "sh", "l", "sil", "sil", "sil"]
    assert [timit.scored[number] for number in timit.silent] == ["sil"]
    assert own_phones({"aa", "q"}).trained == timit.trained
    own = own_phones({"a", "ŋ", "sp"})
    assert own.trained == own.scored == ("a", "sp", "ŋ")
    assert own.folded.tolist() == [0, 1, 2]
    assert own.silent.tolist() == [1]


@pytest.mark.parametrize(("prenet", "hop", "reach"), [("none", 1, 0), ("conv1d", 4, 3)])
def test_an_encoder_s_frames_are_where_their_inputs_are(prenet, hop, reach):
    """Input frames that move what an output frame is computed from are those around the middle that we say."""
    config = EncoderConfig(n_mels=4, n_layers=1, d_model=8, d_ff=8, n_heads=2, prenet=prenet, prenet_channels=4)
    folder = EncoderFolder("made", config, {}, FbankSettings(n_mels=4))
    times = frame_times(Source("simclr", "made", "last", folder))
    assert times == (200.0, 160.0 * hop)
    encoder = Encoder(config, rngs=nnx.Rngs(0))
    frames, counts = np.random.default_rng(0).standard_normal((1, 40, 4)).astype(np.float32), jnp.array([40])
    # The embedded input: attention looks at all frames.
    embedded = jax.jit(lambda given: encoder(given, counts)[0][0][0])
    before = np.asarray(embedded(frames))
    for moved in (16, 17, 18, 19, 20):
        other = frames.copy()
        other[0, moved] += 1.0
        changed = np.flatnonzero(np.abs(np.asarray(embedded(other)) - before).max(axis=1) > 1e-6)
        near = [t for t in range(len(before)) if abs(hop * t - moved) <= reach]
        assert set(changed) <= set(near)
        assert near[0] in changed or near[-1] in changed
    at = FrameTimes(200.0, 160.0).middles(40)  # of the input
    assert times.middles(len(before)).tolist() == at[::hop].tolist()


@pytest.mark.parametrize(
    ("name", "samples", "frames", "first", "hop"),
    [
        ("hubert_base", 400, 1, 200.0, 320.0),
        ("wavlm_base", 16_000, 49, 200.0, 320.0),
        ("wav2vec2_base_960", 16_000, 49, 200.0, 320.0),
        ("wav2vec_large", 16_000, 98, 232.5, 160.0),
        ("vq_wav2vec_gumbel", 465, 1, 232.5, 160.0),
        ("vq_apc_960hr", 16_000, 98, 200.0, 160.0),
        ("tera_960hr", 16_000, 101, 0.0, 160.0),
    ],
)
def test_known_upstreams_have_as_many_frames_as_their_windows_fit(tmp_path, name, samples, frames, first, hop):
    """s3prl gives these numbers of frames; windows around the middles that we say fit exactly as often."""
    times = frame_times(Source("store", name, "last.frames", store=_store(tmp_path, name)))
    assert times == (first, hop)
    assert (samples - 2 * first) // hop + 1 == frames


def _store(folder, name, frame_times=None):
    store = make_store(folder / name, upstream=name)
    upstream = store.manifest["upstream"] | ({"frame_times": frame_times} if frame_times else {})
    return dataclasses.replace(store, manifest=store.manifest | {"upstream": upstream})


def test_a_store_says_where_its_frames_are_or_the_user_does(tmp_path):
    told = {"layer": "timestamps", "first_s": 0.02, "hop_s": 0.05}
    store = _store(tmp_path, "mine", told)
    assert frame_times(Source("store", "mine", "timestamps.frames", store=store)) == (320.0, 800.0)
    with pytest.raises(
        UserError, match=r"not known where frames of mine are; give --frame-first-ms .* and --frame-hop-ms"
    ):
        frame_times(Source("store", "mine", "last.frames", store=store))
    assert frame_times(Source("store", "mine", "last.frames", store=store), 10.0, 25.0) == (160.0, 400.0)
    assert frame_times(Source("store", "mine", "timestamps.frames", store=store), hop_ms=25.0) == (320.0, 400.0)
    broken = _store(tmp_path / "other", "mine", {"layer": "last", "first_s": "x", "hop_s": 1})
    with pytest.raises(UserError, match="frame_times without first_s and hop_s"):
        frame_times(Source("store", "mine", "last.frames", store=broken))
    frames = Frames.counted(np.zeros((150, 2), np.float32), np.array([50, 100]))
    ends = np.array([16_000.0, 32_000.0])
    check_rate("mine", FrameTimes(0.0, 320.0), frames, ends)
    with pytest.raises(
        UserError, match=r"mine has 50\.0 frames per second of labelled speech, and 100\.0 are expected"
    ):
        check_rate("mine", FrameTimes(0.0, 160.0), frames, ends)


def test_segments_are_compared_by_value():
    one = Segments(np.array([0.0]), np.array([5.0]), ("a",))
    assert one.as_lists() == [[0.0], [5.0], ["a"]]
