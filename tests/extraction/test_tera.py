"""The converted TERA against s3prl's own, in its own file format with random weights, on its own input features; and the other
way, exported encoders as s3prl's own upstream loads them."""

import argparse
import dataclasses
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

torch = pytest.importorskip("torch", reason="s3prl's TERA needs torch, which only the extra `extraction` installs")

from extraction.s3prl_checkpoint import convert as to_s3prl  # noqa: E402
from extraction.tera import convert  # noqa: E402
from jfewshot.errors import UserError  # noqa: E402
from jfewshot.simclr.encoder import Encoder, EncoderConfig, to_arrays  # noqa: E402
from jfewshot.simclr.export import EncoderFolder, load_encoder, write_encoder  # noqa: E402
from jfewshot.simclr.export.options import ExportOptions  # noqa: E402
from jfewshot.simclr.export.run import export  # noqa: E402
from jfewshot.simclr.features import FbankSettings  # noqa: E402


@pytest.fixture(scope="module")
def s3prl_tera():
    """s3prl's classes. torchaudio's compiled part, which a CPU torch cannot load, is not used by them."""
    if torch.version.cuda is None and "torchaudio" not in sys.modules:
        stub = types.ModuleType("torchaudio._extension")
        stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
        stub.fail_if_no_align = stub.fail_if_no_sox = stub.fail_if_no_rir = lambda function: function
        stub.lazy_import_sox_ext = lambda: None
        sys.modules["torchaudio._extension"] = stub
    return pytest.importorskip(
        "s3prl.upstream.mockingjay.builder", reason="s3prl is not installed", exc_type=ImportError
    )


SMALL = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
PUBLISHED = {"hidden_size": 768, "num_hidden_layers": 3, "num_attention_heads": 12, "intermediate_size": 3072}


def write_checkpoint(path, builder, sizes, pre_layer_norm):
    """As s3prl's runner saves it; every parameter random, so that a wrong name shows."""
    settings = {
        "input_dim": -1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "initializer_range": 0.02, "layer_norm_eps": 1e-12, "share_layer": False,
        "pre_layer_norm": pre_layer_norm, **sizes,
    }  # fmt: skip
    channel = {"feat_type": "mel", "log": True, "delta": 0, "cmvn": True}
    audio = {
        "target_level": -25, "win_ms": 25, "hop_ms": 10, "n_freq": 201, "n_mels": 80, "n_mfcc": 13,
        "input": {"channel": 0, **channel}, "target": {"channel": 1, **channel},
    }  # fmt: skip
    model = builder.TransformerModel(builder.TransformerConfig(settings), 80)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    states = {
        "Optimizer": {}, "Step": 1, "Args": argparse.Namespace(mode="pretrain"), "Config": {"runner": {}},
        "Upstream_Config": {"transformer": settings, "task": {"sequence_length": 1500}, "audio": audio},
        "Transformer": model.state_dict(),
    }  # fmt: skip
    torch.save(states, path)
    return path


@pytest.fixture
def fast_sinusoids(monkeypatch, s3prl_tera):
    """s3prl fills its table of 12,000 positions in a Python loop, for most of a minute; the same table, vectorised."""

    def table(size):
        angle = np.arange(12_000)[:, None] / np.power(10000, 2 * (np.arange(size) // 2) / size)
        return torch.FloatTensor(np.where(np.arange(size) % 2, np.cos(angle), np.sin(angle)))

    monkeypatch.setattr(s3prl_tera, "get_sinusoid_table", table)


# torchaudio warns about 128 mel bins that nobody asked for: s3prl builds its default transform before its own.
@pytest.mark.filterwarnings("ignore:At least one mel filterbank:UserWarning")
@pytest.mark.parametrize(
    ("sizes", "pre_layer_norm"),
    [(SMALL, False), (SMALL, True), pytest.param(PUBLISHED, False, marks=pytest.mark.slow)],
    ids=["small", "small, norm before", "published size"],
)
def test_hidden_states_are_s3prls(tmp_path, s3prl_tera, fast_sinusoids, sizes, pre_layer_norm):
    path = write_checkpoint(tmp_path / "states.ckpt", s3prl_tera, sizes, pre_layer_norm)
    options = {
        "ckpt_file": str(path), "load_pretrain": "True", "no_grad": "True", "dropout": "default", "spec_aug": "False",
        "spec_aug_prev": "True", "output_hidden_states": "True", "permute_input": "False", "select_layer": -1,
    }  # fmt: skip
    theirs = s3prl_tera.PretrainedTransformer(options, inp_dim=-1).eval()
    rng = np.random.default_rng(0)
    waves = [torch.from_numpy(rng.standard_normal(n).astype(np.float32)) for n in (16_000, 9_000)]
    seen = []
    theirs.extracter.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs[0]))
    with torch.no_grad():
        _, wanted = theirs(waves)
    features = seen[0].numpy()
    n_frames = (features.sum(axis=-1) != 0).sum(axis=-1).astype(np.int32)
    assert n_frames[0] > n_frames[1] > 0

    config, arrays = convert(path)
    write_encoder(tmp_path / "tera", EncoderFolder("tera", config, arrays))
    ours = load_encoder(tmp_path / "tera").hidden_states(jnp.asarray(features), jnp.asarray(n_frames))
    assert len(ours) == len(wanted) == 4
    for one, other in zip(ours, wanted, strict=True):
        for row, count in enumerate(n_frames):
            np.testing.assert_allclose(one[row, :count], other[row, :count], atol=1e-4)


def test_what_is_no_tera_checkpoint_says_so(tmp_path, s3prl_tera):
    with pytest.raises(UserError, match="no checkpoint"):
        convert(tmp_path / "absent.ckpt")
    torch.save({"model": {}}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="Transformer"):
        convert(tmp_path / "other.pt")
    (tmp_path / "noise.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        convert(tmp_path / "noise.ckpt")
    path = write_checkpoint(tmp_path / "states.ckpt", s3prl_tera, SMALL, False)
    states = torch.load(path, weights_only=False)
    states["Transformer"]["encoder.layer.9.surprise"] = torch.zeros(1)
    torch.save(states, path)
    with pytest.raises(UserError, match="surprise"):
        convert(path)


def our_encoder(norm="post", **changes):
    config = EncoderConfig(n_layers=2, d_model=24, d_ff=48, n_heads=4, norm=norm, init_std=0.1, **changes)
    rng = np.random.default_rng(0)
    arrays = {
        name: (value + 0.05 * rng.standard_normal(value.shape)).astype(np.float32)
        for name, value in to_arrays(Encoder(config, rngs=nnx.Rngs(0))).items()
    }
    mean, std = rng.normal(-8, 2, 80).astype(np.float32), rng.uniform(1, 4, 80).astype(np.float32)
    return EncoderFolder("ours", config, arrays, FbankSettings(), mean, std)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_an_exported_encoder_is_s3prl_s_upstream(tmp_path, s3prl_tera, fast_sinusoids, norm, capsys):
    folder = our_encoder(norm)
    torch.save(to_s3prl(folder), tmp_path / "states.ckpt")
    expert = pytest.importorskip("s3prl.upstream.tera.expert", exc_type=ImportError)
    theirs = expert.UpstreamExpert(str(tmp_path / "states.ckpt")).eval()
    assert "not initialized" not in capsys.readouterr().out
    seen = []
    theirs.transformer.extracter.register_forward_hook(lambda module, inputs, outputs: seen.append(outputs.numpy()))
    rng = np.random.default_rng(1)
    waves = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (16_000, 9_000)]
    with torch.no_grad():
        wanted = theirs([torch.from_numpy(wave) for wave in waves])["hidden_states"]
    loaded = load_encoder(write_encoder(tmp_path / "ours", folder))
    assert len(wanted) == len(loaded.layers) == 3
    for row, (wave, raw) in enumerate(zip(waves, seen, strict=True)):
        # On the same features.
        features = (raw - folder.mean) / folder.std
        states = loaded.hidden_states(jnp.asarray(features)[None], jnp.asarray([len(features)]))
        # From the wave, to what the two filter banks differ by.
        from_wave = loaded(wave[None], loaded.layers)
        for number, (ours, other) in enumerate(zip(states, wanted, strict=True)):
            np.testing.assert_allclose(ours[0], other[row, : len(features)], atol=1e-5)
            np.testing.assert_allclose(from_wave[str(number)][0], other[row, : len(features)], atol=2e-3)


def test_the_way_to_s3prl_and_back_keeps_the_parameters(tmp_path):
    folder = our_encoder("pre")
    torch.save(to_s3prl(folder), tmp_path / "states.ckpt")
    config, arrays = convert(tmp_path / "states.ckpt")
    assert dataclasses.replace(config, init_std=0.1) == folder.config
    for name in set(arrays) - {"input.kernel", "input.bias"}:
        np.testing.assert_array_equal(arrays[name], folder.arrays[name])
    x = np.random.default_rng(0).normal(-8, 3, (5, 80))
    by_hand = (x - folder.mean) / folder.std @ folder.arrays["input.kernel"] + folder.arrays["input.bias"]
    np.testing.assert_allclose(x @ arrays["input.kernel"] + arrays["input.bias"], by_hand, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: dataclasses.replace(our_encoder(prenet="conv1d")), "it has the prenet conv1d"),
        (lambda folder: dataclasses.replace(folder, fbank=None), "does not say how its input features"),
        (lambda folder: dataclasses.replace(folder, fbank=FbankSettings(sample_rate=8_000)), "is for 8000 Hz"),
        (
            lambda folder: dataclasses.replace(folder, fbank=FbankSettings(scale=32_768.0)),
            "multiplies samples by 32768",
        ),
    ],
)
def test_what_s3prl_s_transformer_cannot_be_is_refused(change, reason):
    with pytest.raises(UserError, match=f"ours cannot become a checkpoint of s3prl: .*{reason}"):
        to_s3prl(change(our_encoder()))


def test_export_writes_the_checkpoint_in_a_process_of_its_own(tmp_path):
    write_encoder(tmp_path / "ours", our_encoder())
    options = ExportOptions(tmp_path / "ours", tmp_path / "states.ckpt", name="renamed", format="s3prl")
    assert export(options) == tmp_path / "states.ckpt"
    found = torch.load(tmp_path / "states.ckpt", weights_only=True)
    assert found["Config"]["encoder"] == "renamed"
    for name, tensor in to_s3prl(our_encoder())["Transformer"].items():
        torch.testing.assert_close(found["Transformer"][name], tensor, rtol=0, atol=0)
    write_encoder(tmp_path / "other", our_encoder(prenet="conv1d"))
    with pytest.raises(UserError, match="ours cannot become a checkpoint of s3prl: it has the prenet conv1d"):
        export(ExportOptions(tmp_path / "other", tmp_path / "other.ckpt", name="ours", format="s3prl"))
