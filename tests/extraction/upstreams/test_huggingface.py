"""The second backend: transformers, from random weights, against s3prl with the same weights and against itself."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl import compat
from extraction.upstreams.self_check import self_check
from jfewshot.errors import UserError
from tests.extraction.upstreams.hf_models import TINY, save_tiny, transformers_from_s3prl

CPU = UpstreamOptions(device="cpu")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder as `save_pretrained` writes it, for a kind of `TINY`; built once."""
    root = tmp_path_factory.mktemp("models")

    def folder(kind: str) -> Path:
        path = root / kind
        if not path.is_dir():
            save_tiny(kind, path)
        return path

    return folder


@pytest.mark.parametrize("name", ["hubert_base", "wav2vec2_base_960", "wavlm_base", "distilhubert_base"])
def test_both_backends_give_the_same_layers(name: str, checkpoint: Callable, tmp_path: Path, waves: np.ndarray):
    """Same weights, same layer, 1e-6.

    Of DistilHuBERT s3prl's first state is the projection before the positions are added, and its last three are prediction heads,
    which transformers has not; the transformer layers between are the same.
    """
    distilled = name == "distilhubert_base"
    ours = load_upstream(name, UpstreamOptions(checkpoint=checkpoint(name), device="cpu"))
    transformers_from_s3prl(name, checkpoint(name), tmp_path / name)
    theirs = load_upstream(f"hf:{tmp_path / name}", CPU)
    expected = ours.encode(waves, ours.layers)
    found = theirs.encode(waves, theirs.layers)
    assert len(theirs.layers) == 3
    for layer in ("1", "2") if distilled else ("0", "1", "2"):
        assert found[layer].shape == expected[layer].shape
        scale = np.abs(expected[layer]).max()
        np.testing.assert_allclose(found[layer] / scale, expected[layer] / scale, rtol=0, atol=1e-6)
    if not distilled:
        np.testing.assert_allclose(
            theirs.encode(waves, ["last"])["last"], ours.encode(waves, ["last"])["last"], rtol=0, atol=1e-6 * scale
        )


@pytest.mark.parametrize("kind", sorted(TINY))
def test_every_kind_of_encoder_passes_the_self_check(kind: str, model_folder: Callable):
    upstream = load_upstream(f"hf:{model_folder(kind)}", CPU)
    seen = self_check(upstream)
    assert seen.shapes[upstream.layers[-1]] == TINY[kind].frames_and_dim
    assert (upstream.name, upstream.sample_rate, upstream.segment_samples) == (f"hf_{kind}", 16_000, 80_000)
    assert upstream.revision.startswith("sha256:")
    assert upstream.n_parameters == sum(parameter.numel() for parameter in upstream.model.parameters())
    assert not any(module.training for module in upstream.model.modules())


def test_normalisation_is_of_each_wave_by_itself(model_folder: Callable, waves: np.ndarray):
    """wav2vec2's extractor was saved with do_normalize: loudness is taken out, alone as in company."""
    upstream = load_upstream(f"hf:{model_folder('wav2vec2')}", CPU)
    soft, loud = (upstream.encode(wave[None], ["last"])["last"] for wave in (waves[0], waves[0] * 0.01))
    np.testing.assert_allclose(soft, loud, atol=1e-3)
    raw = load_upstream(f"hf:{model_folder('hubert')}", CPU)
    soft, loud = (raw.encode(wave[None], ["0"])["0"] for wave in (waves[0], waves[0] * 0.01))
    assert np.abs(soft - loud).max() > 1e-4


def test_of_whispers_window_only_the_waves_own_frames_are_kept(model_folder: Callable):
    upstream = load_upstream(f"hf:{model_folder('whisper')}", CPU)
    frames = upstream.encode(np.ones((1, 80_000), np.float32), ["last"])["last"]
    assert frames.shape[1] == 250  # 20 ms each; the network gives 1,500 for its 30 s
    with pytest.raises(UserError, match="takes 30 s at most"):
        upstream.encode(np.zeros((1, 480_001), np.float32), ["last"])


def test_the_output_after_the_last_norm_is_a_layer_of_its_own_where_there_is_one(model_folder: Callable):
    upstream = load_upstream(f"hf:{model_folder('wav2vec2_large')}", CPU)
    assert upstream.layers == ("0", "1", "2", "last_hidden_state")


def test_too_short_waves_are_refused(model_folder: Callable):
    upstream = load_upstream(f"hf:{model_folder('hubert')}", CPU)
    with pytest.raises(UserError, match="at least 400 samples"):
        upstream.encode(np.ones((1, 399), np.float32), ["last"])


def test_an_encoder_whose_outputs_are_no_frames_is_refused(model_folder: Callable, tmp_path: Path):
    save_tiny("spectrogram_transformer", tmp_path / "ast")
    with pytest.raises(UserError, match="not frames in the order of time"):
        load_upstream(f"hf:{tmp_path / 'ast'}", CPU)


def test_a_checkpoint_that_lacks_tensors_is_refused(model_folder: Callable, tmp_path: Path):
    """transformers itself fills them at random and says so in a warning."""
    from safetensors.torch import load_file, save_file

    save_tiny("hubert", tmp_path / "hubert")
    path = tmp_path / "hubert" / "model.safetensors"
    tensors = load_file(path)
    removed = next(name for name in tensors if name.endswith("k_proj.weight"))
    del tensors[removed]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=rf"1 tensors are missing \({removed}"):
        load_upstream(f"hf:{tmp_path / 'hubert'}", CPU)


def test_what_only_training_needs_may_be_missing(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    save_tiny("hubert", tmp_path / "hubert")
    path = tmp_path / "hubert" / "model.safetensors"
    tensors = load_file(path)
    del tensors["masked_spec_embed"]
    save_file(tensors, path, metadata={"format": "pt"})
    self_check(load_upstream(f"hf:{tmp_path / 'hubert'}", CPU))


def test_a_folder_without_a_feature_extractor_is_refused(model_folder: Callable, tmp_path: Path):
    save_tiny("hubert", tmp_path / "hubert")
    (tmp_path / "hubert" / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match=r"preprocessor_config\.json and the weights"):
        load_upstream(f"hf:{tmp_path / 'hubert'}", CPU)


def test_an_id_that_cannot_be_had_is_told_with_the_way_out(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"nobody/nothing cannot be loaded.*pass it as --checkpoint"):
        load_upstream("hf:nobody/nothing", CPU)


def test_a_local_folder_can_stand_for_an_id(model_folder: Callable):
    upstream = load_upstream(
        "hf:facebook/hubert-base-ls960@main", UpstreamOptions(checkpoint=model_folder("hubert"), device="cpu")
    )
    assert (upstream.name, upstream.title) == ("hf_facebook_hubert-base-ls960", "facebook/hubert-base-ls960")
    weights = model_folder("hubert").parent
    assert load_upstream("hf:hubert", UpstreamOptions(checkpoint=weights, device="cpu")).revision == upstream.revision


def test_the_licence_is_read_from_the_model_card(tmp_path: Path):
    save_tiny("hubert", tmp_path / "hubert")
    (tmp_path / "hubert" / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    assert load_upstream(f"hf:{tmp_path / 'hubert'}", CPU).licence == "apache-2.0"


def test_loading_leaves_no_trace(model_folder: Callable, waves: np.ndarray, capfd):
    import transformers

    verbosity = transformers.logging.get_verbosity()
    torch.manual_seed(1)
    expected = float(torch.rand(()))
    torch.manual_seed(1)
    load_upstream(f"hf:{model_folder('wavlm')}", CPU).encode(waves, ["last"])
    assert float(torch.rand(())) == expected
    assert capfd.readouterr() == ("", "")
    assert transformers.logging.get_verbosity() == verbosity


@pytest.mark.parametrize(("kind", "error"), [("bf16", 4e-2), ("fp16", 6e-3)])
def test_half_precision_moves_the_mean_feature_little(
    kind: str, error: float, model_folder: Callable, waves: np.ndarray
):
    exact = load_upstream(f"hf:{model_folder('hubert')}", CPU).encode(waves, ["last"])["last"].mean(axis=1)
    upstream = load_upstream(f"hf:{model_folder('hubert')}", UpstreamOptions(device="cpu", autocast=kind))
    moved = np.abs(upstream.encode(waves, ["last"])["last"].mean(axis=1) - exact).max() / np.abs(exact).max()
    assert 0 < moved < error
    assert upstream.revision.endswith(f" {kind}")
    self_check(upstream)


with warnings.catch_warnings(action="ignore"):
    compat.prepare_torchaudio()  # before transformers looks for it
