"""Files that are found, and files that must not be taken for what they are not."""

import email.message
import hashlib
import io
import pickle
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import requests
import torch

from extraction.upstreams import load_upstream
from extraction.upstreams.base import UpstreamOptions
from extraction.upstreams.s3prl import compat, weights
from extraction.upstreams.s3prl.paper import KINDS
from extraction.upstreams.torch_checkpoint import check_arrived
from jfewshot.errors import UserError
from tests.extraction.upstreams.s3prl_checkpoints import BUILDERS, LOCAL_ENTRIES, TINY_DECOAR2

NAMES = sorted(BUILDERS)


def load(name: str, path: Path | None, **options):
    return load_upstream(name, UpstreamOptions(checkpoint=path, device="cpu", **options))


def tensors(name: str, contents: dict) -> dict[str, torch.Tensor]:
    return contents[KINDS[LOCAL_ENTRIES[name][0]].weights]


def changed(name: str, path: Path, folder: Path, change: Callable[[dict], None]) -> Path:
    """A copy of a checkpoint with its contents changed."""
    contents = torch.load(path, weights_only=False)
    change(contents)
    copy = folder / f"changed-{name}.pt"
    torch.save(contents, copy)
    return copy


def first_used_tensor(name: str, contents: dict) -> str:
    return next(key for key in tensors(name, contents) if key.endswith(("weight", "weight_ih_l0")))


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_that_lacks_a_tensor_is_refused_with_its_name(name: str, checkpoint: Callable, tmp_path: Path):
    removed = []

    def remove(contents: dict) -> None:
        removed.append(first_used_tensor(name, contents))
        del tensors(name, contents)[removed[0]]

    path = changed(name, checkpoint(name), tmp_path, remove)
    with pytest.raises(UserError, match=rf"does not fill {name}.*{re.escape(removed[0])}"):
        load(name, path)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_of_other_tensors_is_refused_with_names(name: str, checkpoint: Callable, tmp_path: Path):
    def rename(contents: dict) -> None:
        held = tensors(name, contents)
        for key in list(held):
            held[f"module.{key}"] = held.pop(key)

    path = changed(name, checkpoint(name), tmp_path, rename)
    with pytest.raises(UserError, match=rf"does not fill {name}.*\b(weight|bias|module)\b"):
        load(name, path)


@pytest.mark.parametrize("name", NAMES)
def test_another_encoders_checkpoint_is_refused(name: str, checkpoint: Callable):
    for other in ("wavlm_base", "wav2vec_large", "npc_960hr", "tera_960hr"):
        if {name, other} in ({"tera_960hr", "mockingjay_960hr"}, {name}):
            continue  # one architecture: their files cannot be told apart
        with pytest.raises(UserError, match=r"is not a checkpoint of|does not fill"):
            load(name, checkpoint(other))


def test_the_missing_keys_of_another_format_are_named(checkpoint: Callable):
    with pytest.raises(
        UserError, match=r"lacks task_cfg, model_cfg, model_weight, dictionaries_symbols, and has cfg, model"
    ):
        load("hubert_base", checkpoint("wavlm_base"))


def test_apc_and_vq_apc_are_told_apart(checkpoint: Callable):
    with pytest.raises(UserError, match="with quantization, and apc_960hr is the one without"):
        load("apc_960hr", checkpoint("vq_apc_960hr"))
    with pytest.raises(UserError, match="without quantization, and vq_apc_960hr is the one with"):
        load("vq_apc_960hr", checkpoint("apc_960hr"))


def test_another_variant_under_the_papers_name_is_pointed_out(checkpoint: Callable, caplog):
    load("mockingjay_960hr", checkpoint("mockingjay_960hr"))
    assert "this checkpoint gives 3 hidden states of 32, and the paper's has 4 of 768" in caplog.text


def test_fairseqs_original_is_recognised(tmp_path: Path):
    path = tmp_path / "hubert_base_ls960.pt"
    torch.save({"args": None, "model": {}, "task_state": {}}, path)
    with pytest.raises(UserError, match="fairseq's original"):
        load("hubert_base", path)


def test_training_only_tensors_of_decoar2_do_no_harm(checkpoint: Callable, tmp_path: Path, caplog):
    with caplog.at_level("INFO"):
        load("decoar2", checkpoint("decoar2"))
    assert "1 tensors" in caplog.text
    assert "training_only.weight" in caplog.text


def test_old_names_of_layer_norms_are_understood(checkpoint: Callable, tmp_path: Path, waves: np.ndarray):
    def rename(contents: dict) -> None:
        held = tensors("tera_960hr", contents)
        for key in [key for key in held if "LayerNorm" in key]:
            held[key.replace("weight", "gamma").replace("bias", "beta")] = held.pop(key)

    old = changed("tera_960hr", checkpoint("tera_960hr"), tmp_path, rename)
    expected = load("tera_960hr", checkpoint("tera_960hr")).encode(waves, ["last"])["last"]
    np.testing.assert_array_equal(load("tera_960hr", old).encode(waves, ["last"])["last"], expected)


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"PK\x03\x04 half a zip"])
def test_a_damaged_file_is_said_to_be_damaged(content: bytes, tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a torch checkpoint, or it is damaged"):
        load("apc_960hr", path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"there is no checkpoint .*nothing\.pt"):
        load("apc_960hr", tmp_path / "nothing.pt")


def test_one_folder_serves_several_encoders_by_name(checkpoint: Callable, tmp_path: Path):
    for name in ("hubert_base", "tera_960hr", "mockingjay_960hr"):
        (tmp_path / f"{name}.ckpt").write_bytes(checkpoint(name).read_bytes())
        assert load(name, tmp_path).revision == load(name, checkpoint(name)).revision
    (tmp_path / "hubert_base.pt").touch()
    with pytest.raises(UserError, match=r"has hubert_base\.ckpt and hubert_base\.pt for hubert_base; keep one"):
        load("hubert_base", tmp_path)


def test_in_a_folder_the_published_name_will_do_unless_two_encoders_share_it(checkpoint: Callable, tmp_path: Path):
    (tmp_path / "apc_960hr.ckpt").write_bytes(checkpoint("apc_960hr").read_bytes())
    (tmp_path / "hubert_base_ls960.pt").write_bytes(checkpoint("hubert_base").read_bytes())
    (tmp_path / "states-1000000.ckpt").write_bytes(checkpoint("tera_960hr").read_bytes())
    load("hubert_base", tmp_path)
    with pytest.raises(
        UserError, match=r"put the file from https://huggingface\.co/s3prl/tera/.* named after the encoder"
    ):
        load("tera_960hr", tmp_path)


class Booby:
    """Unpickling one writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["apc_960hr", "tera_960hr", "distilhubert_base"])
def test_objects_in_a_checkpoint_are_not_run_unless_it_is_trusted(name: str, checkpoint: Callable, tmp_path: Path):
    """TERA's and DistilHuBERT's own code would load anything: it passes weights_only=False."""
    trap = tmp_path / "sprung"
    path = changed(name, checkpoint(name), tmp_path, lambda contents: contents.update(extra=Booby(trap)))
    with pytest.raises(UserError, match=r"holds Python objects .*--trust-checkpoint"):
        load(name, path)
    assert not trap.exists()
    load(name, path, trust_checkpoint=True)
    assert trap.exists()


def test_s3prls_own_schedules_in_a_checkpoint_are_left_aside(checkpoint: Callable, tmp_path: Path, monkeypatch):
    """Some published files hold a schedule of s3prl's training, pickled when its module was still called `optimizers`."""
    compat.prepare()
    from s3prl import optimizers

    monkeypatch.setitem(__import__("sys").modules, "optimizers", optimizers)
    monkeypatch.setattr(optimizers.WarmupLinearSchedule, "__module__", "optimizers")
    schedule = optimizers.WarmupLinearSchedule(warmup=0.1, t_total=10)
    path = changed(
        "tera_960hr", checkpoint("tera_960hr"), tmp_path, lambda contents: contents.update(Optimizer=schedule)
    )
    load("tera_960hr", path)


@pytest.mark.parametrize("name", ["wavlm_base", "decoar2"])
def test_a_checkpoint_saved_on_a_gpu_loads_without_one(name: str, checkpoint: Callable, tmp_path: Path, monkeypatch):
    """WavLM's and DeCoAR 2.0's own code gives no map_location."""
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    path = changed(name, checkpoint(name), tmp_path, lambda contents: None)
    monkeypatch.undo()
    if name == "decoar2":  # undone with the rest
        from s3prl.upstream.decoar2 import decoar2 as source

        assert source.args["encoder_layers"] == TINY_DECOAR2["encoder_layers"]
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="deserialize object on a CUDA device"):
            torch.load(path, weights_only=False)
    load(name, path)


def test_a_file_in_s3prls_cache_is_never_requested(
    checkpoint: Callable, tmp_path: Path, monkeypatch, waves: np.ndarray
):
    compat.prepare()
    from s3prl.util import download

    monkeypatch.setattr(download, "_download_dir", tmp_path)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: pytest.fail("asked the internet"))
    monkeypatch.setattr(download, "urlopen", lambda *args, **kwargs: pytest.fail("asked the internet"))
    url = "https://huggingface.co/s3prl/converted_ckpts/resolve/main/hubert_base_ls960.pt"
    Path(download._urls_to_filepaths(url, download=False)).write_bytes(checkpoint("hubert_base").read_bytes())
    monkeypatch.setattr(download, "FileLock", lambda *args: pytest.fail("locked a cache that may be read-only"))
    upstream = load("hubert_base", None)
    assert upstream.source == f"s3prl hubert_base, {url}"
    expected = load("hubert_base", checkpoint("hubert_base"))
    assert upstream.revision == expected.revision
    np.testing.assert_array_equal(upstream.encode(waves, ["last"])["last"], expected.encode(waves, ["last"])["last"])


def test_a_download_lands_in_the_cache_and_is_made_once(
    checkpoint: Callable, tmp_path: Path, monkeypatch, waves: np.ndarray, capfd
):
    compat.prepare()
    from s3prl.util import download

    class Response(io.BytesIO):
        def info(self) -> email.message.Message:
            header = email.message.Message()
            header["Content-Length"] = str(len(self.getvalue()))
            return header

    asked = []

    def answer(request: urllib.request.Request) -> Response:
        asked.append(request.full_url)
        return Response(checkpoint("npc_960hr").read_bytes())

    monkeypatch.setattr(download, "_download_dir", tmp_path / "cache")
    monkeypatch.setattr(download, "urlopen", answer)
    fetched, again = load("npc_960hr", None), load("npc_960hr", None)
    url = "https://huggingface.co/leo19941227/apc_series/resolve/main/npc_960hr.ckpt"
    assert asked == [url]
    cached = tmp_path / "cache" / f"{hashlib.sha256(url.encode()).hexdigest()}.npc_960hr.ckpt"
    assert cached.read_bytes() == checkpoint("npc_960hr").read_bytes()
    expected = load("npc_960hr", checkpoint("npc_960hr")).encode(waves, ["last"])["last"]
    for upstream in (fetched, again):
        np.testing.assert_array_equal(upstream.encode(waves, ["last"])["last"], expected)
    assert capfd.readouterr().out == ""


def test_without_internet_the_address_and_the_place_are_named(tmp_path: Path, monkeypatch):
    compat.prepare()
    from s3prl.util import download

    def unreachable(*args, **kwargs):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(download, "_download_dir", tmp_path)
    monkeypatch.setattr(download, "urlopen", unreachable)
    monkeypatch.setattr(download.requests, "get", unreachable)
    with pytest.raises(
        UserError, match=rf"apc_960hr\.ckpt could not be downloaded.*--checkpoint FILE or store it as {tmp_path}"
    ):
        load("apc_960hr", None)


def test_tensors_that_did_not_arrive_are_noticed(tmp_path: Path):
    module = torch.nn.Linear(2, 3)
    saved = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert check_arrived("it", module, saved | {"more": torch.ones(1)}, tmp_path) == ["more"]
    saved["bias"] += 1
    with pytest.raises(UserError, match=r"0 are missing \(none\) and 1 did not fit \(bias\)"):
        check_arrived("it", module, saved, tmp_path)


def test_other_files_can_be_read_while_an_encoder_is_built(tmp_path: Path):
    path = tmp_path / "other.pt"
    torch.save({"x": torch.ones(2)}, path)
    compat.prepare()
    with weights.watching(weights.Files("it", None, trusted=False)), path.open("rb") as file:
        assert torch.equal(torch.load(file)["x"], torch.ones(2))


def test_pickles_of_torchs_first_format_are_read(tmp_path: Path, checkpoint: Callable):
    """TERA's and Mockingjay's files date from 2020."""
    contents = torch.load(checkpoint("tera_960hr"), weights_only=False)
    path = tmp_path / "old.ckpt"
    torch.save(contents, path, _use_new_zipfile_serialization=False)
    assert path.read_bytes()[:2] == pickle.PROTO + b"\x02"
    load("tera_960hr", path)
