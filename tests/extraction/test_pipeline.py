"""From a folder of recordings to stores: what is in them, what is said on the way, and that they are the same however made."""

import json
import logging

import numpy as np
import pytest
import soundfile

from extraction.assembling import merge_all
from extraction.datasets import load_dataset
from extraction.encoding import is_out_of_memory
from extraction.pipeline import extract
from extraction.pooling import pool
from extraction.settings import ExtractionSettings
from jfewshot.audio import cut_segments, read_audio
from jfewshot.cells.planning import plan_cells
from jfewshot.classifiers.specs import parse_classifier
from jfewshot.episodes.protocol import Protocol
from jfewshot.errors import UserError
from jfewshot.sharding import Shard
from jfewshot.store import open_store, verify_store
from tests.extraction.toy import ToyEncoder, class_folders, files_of

SETTINGS = ExtractionSettings(workers=0, block_clips=4)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("clips"))


def run(clips, out, settings=SETTINGS, upstreams=None, shard=None):
    return extract(load_dataset("folder:birds"), clips, upstreams or [ToyEncoder()], out, settings, shard)


def test_rows_are_the_pooled_frames_of_each_segment(clips, tmp_path):
    settings = ExtractionSettings(workers=0, block_clips=4, layers=("0", "last"), pooling=("mean", "min", "max", "std"))
    run(clips, tmp_path, settings)
    store = open_store(tmp_path / "birds" / "toy")
    assert not verify_store(store.path).errors
    assert len(store.clips) == 12
    assert store.manifest["counts"]["segments"] > 12
    assert store.manifest["segment_samples"] == 8_000
    assert set(store.manifest["views"]) == {
        f"{layer}.{p}" for layer in ("0", "last") for p in ("mean", "min", "max", "std")
    }
    for name, first, count in zip(store.clips.clip_id, store.clips.first_segment, store.clips.n_segments, strict=True):
        segments = cut_segments(read_audio(clips / name, 16_000), 8_000, 400)
        assert count == len(segments)
        frames = ToyEncoder().encode(segments, ["0"])["0"]
        for pooling in ("mean", "min", "max", "std"):
            np.testing.assert_allclose(
                store.view(f"0.{pooling}")[first : first + count], pool(frames, pooling), rtol=1e-6, atol=1e-7
            )


def test_float16_is_float32_rounded(clips, tmp_path):
    run(clips, tmp_path / "full")
    run(clips, tmp_path / "half", ExtractionSettings(workers=0, block_clips=4, dtype="float16"))
    full, half = (open_store(tmp_path / which / "birds" / "toy") for which in ("full", "half"))
    assert not verify_store(half.path).errors
    assert half.view("last.mean").dtype == np.float16
    np.testing.assert_array_equal(half.view("last.mean"), full.view("last.mean").astype(np.float16))


def test_frames_are_kept_one_a_row_each_clip_s_in_order(clips, tmp_path):
    settings = ExtractionSettings(workers=0, block_clips=5, layers=("0", "last"), pooling=("frames",), segment="whole")
    run(clips, tmp_path, settings)
    store = open_store(tmp_path / "birds" / "toy")
    assert not verify_store(store.path).errors
    assert set(store.manifest["views"]) == {"0.frames", "last.frames"}
    assert len(set(store.clips.n_segments.tolist())) > 2  # ragged
    for name, first, count in zip(store.clips.clip_id, store.clips.first_segment, store.clips.n_segments, strict=True):
        frames = ToyEncoder().encode(read_audio(clips / name, 16_000)[None], ["0", "last"])
        np.testing.assert_array_equal(store.view("0.frames")[first : first + count], frames["0"][0])
        np.testing.assert_array_equal(store.view("last.frames")[first : first + count], frames["last"][0])
    with pytest.raises(UserError, match="holds frames, which episodes cannot use"):
        plan_cells([store], [Protocol()], [parse_classifier("centroid")], views=None)


def test_frames_of_segments_or_beside_other_poolings_are_refused(clips, tmp_path):
    with pytest.raises(UserError, match="pass --segment whole"):
        run(clips, tmp_path, ExtractionSettings(workers=0, pooling=("frames",)))
    with pytest.raises(UserError, match="two --out folders"):
        run(clips, tmp_path, ExtractionSettings(workers=0, pooling=("mean", "frames"), segment="whole"))


def test_pooling_is_numpys(clips):
    frames = np.random.default_rng(0).standard_normal((2, 7, 3)).astype(np.float32)
    for name in ("mean", "min", "max", "std"):
        np.testing.assert_allclose(pool(frames, name), getattr(frames, name)(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        pool(frames, "mean_std"), np.hstack([frames.mean(axis=1), frames.std(axis=1)]), rtol=1e-5
    )


class ToyWithAReadout(ToyEncoder):
    """Names the readout that serves it best, on frames that are no hidden state."""

    default_view = "input.mean_std"
    further_layers = ("input",)

    def encode(self, waves, layers):
        frames = super().encode(waves, [layer for layer in layers if layer != "input"])
        return frames | (
            {"input": waves[:, : 4 * 1_600].reshape(len(waves), 4, 1_600)[:, :, :5]} if "input" in layers else {}
        )


def test_an_encoder_s_own_readout_is_kept_and_named(clips, tmp_path):
    run(clips, tmp_path, upstreams=[ToyWithAReadout()])
    store = open_store(tmp_path / "birds" / "toy")
    assert store.default_view == "input.mean_std"
    assert set(store.views) == {"last.mean", "last.mean_std", "input.mean", "input.mean_std"}
    segment = cut_segments(read_audio(clips / store.clips.clip_id[0], 16_000), 8_000, 400)[0]
    frames = segment[: 4 * 1_600].reshape(4, 1_600)[:, :5].astype(np.float64)
    expected = np.concatenate([frames.mean(axis=0), frames.std(axis=0)])
    np.testing.assert_allclose(
        store.view("input.mean_std")[store.clips.first_segment[0]], expected, rtol=1e-5, atol=1e-7
    )
    # `all` is every hidden state, and the user's choice goes before the encoder's.
    asked = ExtractionSettings(workers=0, layers=("all",), pooling=("max", "std"), default_view="1.std")
    run(clips, tmp_path / "asked", asked, [ToyWithAReadout()])
    store = open_store(tmp_path / "asked" / "birds" / "toy")
    assert (store.default_view, len(store.views)) == ("1.std", 4)
    wrong = ExtractionSettings(workers=0, default_view="last.std")
    with pytest.raises(
        UserError, match=r"--default-view last\.std is not among the views that are extracted \(last\.mean\)"
    ):
        run(clips, tmp_path / "wrong", wrong, [ToyEncoder()])


@pytest.mark.parametrize(
    "settings",
    [
        ExtractionSettings(workers=2, block_clips=4),
        ExtractionSettings(workers=0, block_clips=4, batch_size=1),
        ExtractionSettings(workers=1, block_clips=4, batch_size=3),
    ],
)
def test_workers_and_batches_change_nothing(clips, tmp_path, settings):
    run(clips, tmp_path / "a")
    run(clips, tmp_path / "b", settings)
    assert files_of(tmp_path / "a" / "birds" / "toy") == files_of(tmp_path / "b" / "birds" / "toy")


def test_batches_hold_segments_of_one_length_only_and_no_padding(clips, tmp_path):
    encoder = ToyEncoder()
    encoder.segment_samples = None
    run(clips, tmp_path, ExtractionSettings(workers=0, block_clips=12, batch_size=5), [encoder])
    lengths = sorted(
        {len(read_audio(clips / name, 16_000)) for name in open_store(tmp_path / "birds/toy").clips.clip_id}
    )
    assert sorted({length for _, length in encoder.batches}) == lengths
    assert open_store(tmp_path / "birds" / "toy").manifest["segment_samples"] is None


def test_segment_length_can_be_chosen(clips, tmp_path):
    run(clips, tmp_path, ExtractionSettings(workers=0, segment="0.2"))
    assert open_store(tmp_path / "birds" / "toy").manifest["segment_samples"] == 3_200
    with pytest.raises(UserError, match="neither 'upstream', 'whole' nor a number"):
        run(clips, tmp_path / "b", ExtractionSettings(workers=0, segment="-1"))


def test_several_upstreams_share_one_decoding(clips, tmp_path, monkeypatch):
    import extraction.decoding as decoding

    decoded = []
    original = decoding.decode
    monkeypatch.setattr(decoding, "decode", lambda path, **options: decoded.append(path) or original(path, **options))
    other = ToyEncoder()
    other.name, other.sample_rate, other.segment_samples = "toy8k", 8_000, 4_000
    run(clips, tmp_path, upstreams=[ToyEncoder(), other])
    assert len(decoded) == 12
    assert open_store(tmp_path / "birds" / "toy8k").manifest["sample_rate"] == 8_000
    assert open_store(tmp_path / "birds" / "toy").clips.digest == open_store(tmp_path / "birds" / "toy8k").clips.digest


def test_two_upstreams_of_one_name_are_refused(clips, tmp_path):
    with pytest.raises(UserError, match="two upstreams have one name"):
        run(clips, tmp_path, upstreams=[ToyEncoder(), ToyEncoder()])


def test_a_finished_store_is_left_alone_and_another_one_is_not_overwritten(clips, tmp_path):
    run(clips, tmp_path)
    before = files_of(tmp_path / "birds" / "toy")
    encoder = ToyEncoder()
    run(clips, tmp_path, upstreams=[encoder])
    assert encoder.batches == []
    with pytest.raises(UserError, match="is there already, and was made of other clips or with other settings"):
        run(clips, tmp_path, ExtractionSettings(workers=0, block_clips=4, dtype="float16"))
    assert files_of(tmp_path / "birds" / "toy") == before


def test_unfinished_parts_of_another_plan_are_not_continued(clips, tmp_path):
    run(clips, tmp_path, shard=Shard(0, 2))
    with pytest.raises(UserError, match="another dtype"):
        run(clips, tmp_path, ExtractionSettings(workers=0, block_clips=4, dtype="float16"))


def test_bad_clips_stop_the_run_or_are_listed(clips, tmp_path, caplog):
    bad = class_folders(tmp_path / "clips")
    (bad / "class0" / "clip9.wav").write_text("not audio")
    soundfile.write(bad / "class1" / "silent.wav", np.zeros(16_000, np.float32), 16_000)
    soundfile.write(bad / "class1" / "short.wav", np.ones(100, np.float32) * 0.1, 16_000)
    (bad / "class2" / "empty.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"clip9\.wav: cannot be decoded.*--on-error skip"):
        run(bad, tmp_path / "out")
    with caplog.at_level(logging.WARNING):
        run(bad, tmp_path / "out", ExtractionSettings(workers=1, block_clips=4, on_error="skip"))
    store = open_store(tmp_path / "out" / "birds" / "toy")
    assert len(store.clips) == 12
    reasons = {item["clip_id"]: item["reason"] for item in store.manifest["left_out"]}
    assert reasons["class1/silent.wav"].startswith("silent")
    assert reasons["class1/short.wav"].startswith("too short")
    assert set(reasons) == {"class0/clip9.wav", "class1/silent.wav", "class1/short.wav", "class2/empty.wav"}
    assert all(name in caplog.text for name in reasons)
    run(clips, tmp_path / "good")
    good = open_store(tmp_path / "good" / "birds" / "toy")
    np.testing.assert_array_equal(store.view("last.mean"), good.view("last.mean"))


def test_features_that_are_not_finite_or_too_large_for_float16_are_caught(clips, tmp_path):
    class Broken(ToyEncoder):
        scale = np.nan

        def encode(self, waves, layers):
            frames = super().encode(waves, layers)
            return {layer: values * np.float32(self.scale) for layer, values in frames.items()}

    with pytest.raises(UserError, match="gave NaN or infinite features"):
        run(clips, tmp_path, upstreams=[Broken()])
    loud = Broken()
    loud.scale = 1e7
    with pytest.raises(UserError, match="use --dtype float32"):
        run(clips, tmp_path / "b", ExtractionSettings(workers=0, dtype="float16"), upstreams=[loud])


def test_clips_too_short_for_the_encoder_are_named(clips, tmp_path):
    encoder = ToyEncoder()
    encoder.segment_samples, encoder.min_samples = None, 6_000
    run(clips, tmp_path, ExtractionSettings(workers=0, on_error="skip"), [encoder])
    left_out = open_store(tmp_path / "birds" / "toy").manifest["left_out"]
    assert left_out
    assert all("too short for toy" in item["reason"] for item in left_out)


def test_clips_too_long_for_the_encoder_are_named_and_segments_refused(clips, tmp_path):
    encoder = ToyEncoder()
    encoder.max_samples = 6_000
    with pytest.raises(
        UserError, match=r"takes at most 0\.375 s at once, segments are 0\.5 s; pass --segment 0\.375 or less"
    ):
        run(clips, tmp_path, upstreams=[encoder])
    run(clips, tmp_path, ExtractionSettings(workers=0, segment="whole", on_error="skip"), [encoder])
    left_out = open_store(tmp_path / "birds" / "toy").manifest["left_out"]
    assert left_out
    assert all("too long for toy" in item["reason"] for item in left_out)


OUT_OF_MEMORY = [
    MemoryError("anything"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    # As torch 2.13 on a CPU says it; and as builds for other systems do.
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried to allocate"
    ),
    RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1234 bytes."),
    RuntimeError(
        "Non-zero status code returned while running Conv node: Failed to allocate memory for requested buffer"
    ),
]


def test_torchs_allocator_on_a_cpu_says_what_is_looked_for():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_out_of_memory_halves_the_batch_and_loses_nothing(clips, tmp_path, caplog, error):
    class Small(ToyEncoder):
        def encode(self, waves, layers):
            if len(waves) > 3:
                raise error
            return super().encode(waves, layers)

    with caplog.at_level(logging.WARNING):
        run(clips, tmp_path / "small", upstreams=[Small()])
    run(clips, tmp_path / "large")
    assert "continuing with" in caplog.text
    assert files_of(tmp_path / "small" / "birds" / "toy") == files_of(tmp_path / "large" / "birds" / "toy")


def test_an_encoder_that_does_not_fit_at_all_says_so(clips, tmp_path):
    class Never(ToyEncoder):
        def encode(self, waves, layers):
            raise MemoryError("out of memory")

    with pytest.raises(MemoryError):
        run(clips, tmp_path, upstreams=[Never()])


def test_an_encoder_may_say_which_batch_serves_it_best_on_a_cpu(clips, tmp_path):
    encoder = ToyEncoder()
    encoder.cpu_batch_size = 5
    run(clips, tmp_path, ExtractionSettings(workers=0, block_clips=12), [encoder])
    assert max(size for size, _ in encoder.batches) == 5
    asked = ToyEncoder()
    asked.cpu_batch_size = 5
    run(clips, tmp_path / "asked", ExtractionSettings(workers=0, block_clips=12, batch_size=3), [asked])
    assert max(size for size, _ in asked.batches) == 3


def test_other_errors_of_an_encoder_are_not_hidden(clips, tmp_path):
    class Bug(ToyEncoder):
        def encode(self, waves, layers):
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run(clips, tmp_path, upstreams=[Bug()])


def test_shards_and_merge_make_the_same_store(clips, tmp_path):
    run(clips, tmp_path / "whole")
    for index in (2, 0):
        run(clips, tmp_path / "shards", shard=Shard(index, 3))
    with pytest.raises(UserError, match=r"1 of 3 parts are missing \(numbers 1\)"):
        merge_all(tmp_path / "shards")
    run(clips, tmp_path / "shards", shard=Shard(1, 3))
    (store,) = merge_all(tmp_path / "shards")
    assert files_of(store.path) == files_of(tmp_path / "whole" / "birds" / "toy")
    with pytest.raises(UserError, match="nothing to merge"):
        merge_all(tmp_path / "shards")


def test_the_manifest_tells_how_it_was_made(clips, tmp_path):
    run(clips, tmp_path)
    manifest = json.loads((tmp_path / "birds" / "toy" / "manifest.json").read_text())
    assert manifest["upstream"]["revision"] == "toy-1"
    assert "soxr" in manifest["preprocessing"]
    assert "repeated circularly" in manifest["preprocessing"]
    assert set(manifest["made_with"]) >= {"jfewshot", "numpy", "soundfile", "soxr", "plan"}


def test_the_tally_counts_clips_and_seconds(clips, tmp_path):
    tally = run(clips, tmp_path)
    assert tally.clips == 12
    assert tally.audio_s == pytest.approx(sum(0.3 + 0.1 * (number % 5) for number in range(12)), abs=0.5)
    assert 0 < tally.encoding_s <= tally.wall_s
    assert "encoders busy" in tally.describe()
