"""The converted TERA against s3prl's own, in its own file format with random weights, on its own input features."""

import argparse
import sys
import types

import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="s3prl's TERA needs torch, which only the extra `extraction` installs")

from extraction.tera import convert  # noqa: E402
from jfewshot.errors import UserError  # noqa: E402
from jfewshot.simclr.export import EncoderFolder, load_encoder, write_encoder  # noqa: E402


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
