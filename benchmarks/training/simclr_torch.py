"""Our encoder and spectrogram head in PyTorch, with our weights: once by PyTorch's own transformer, and once by s3prl's TERA.

`benchmarks.training.simclr_step` compares them with our step. Both get the same features, altered elements and targets. The loss
of both is the L1 distance over the altered elements.
"""

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.encoder.transformer import sinusoids

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Side:
    """Another implementation of the training step.

    Args:
      loss_and_gradient: given our parameters, returns the loss, and the gradient under our names of the parameters.
      step: takes one training step.
    """

    loss_and_gradient: Callable[[Arrays], tuple[float, Arrays]]
    step: Callable[[], None]


def plain_torch(
    config: EncoderConfig, features: np.ndarray, target: np.ndarray, altered: np.ndarray, device: str = "cpu"
) -> Side:
    """PyTorch's own transformer with fused AdamW. It has no mask, because no frame is padding.

    Args:
      config: sizes of the encoder; with compute_dtype bfloat16 the forward pass runs under torch.autocast.
      features, target, altered: utterances x frames x mels.
      device: torch's name of the device.
    """
    import torch

    layer = torch.nn.TransformerEncoderLayer(
        config.d_model, config.n_heads, config.d_ff, 0.0, "gelu", config.layer_norm_eps, batch_first=True
    )

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.input = torch.nn.Linear(config.n_mels, config.d_model)
            self.input_norm = torch.nn.LayerNorm(config.d_model, config.layer_norm_eps)
            self.layers = torch.nn.TransformerEncoder(layer, config.n_layers, enable_nested_tensor=False)
            self.hidden = torch.nn.Linear(config.d_model, config.d_model)
            self.norm = torch.nn.LayerNorm(config.d_model, config.layer_norm_eps)
            self.output = torch.nn.Linear(config.d_model, config.n_mels)
            positions = torch.from_numpy(sinusoids(features.shape[1], config.d_model))
            self.register_buffer("positions", positions)

        def forward(self, frames):
            states = self.layers(self.input_norm(self.input(frames) + self.positions))
            return self.output(self.norm(torch.nn.functional.gelu(self.hidden(states))))

    if config.norm != "post":
        raise ImportError(
            "with norm='pre' our encoder has one more layer norm at its end than PyTorch's; compare with norm='post'"
        )
    model = Model().to(device)
    parts = {"encoder.input": "input", "encoder.input_norm": "input_norm"}
    parts |= {"head.hidden": "hidden", "head.norm": "norm", "head.output": "output"}
    for number in range(config.n_layers):
        here, there = f"encoder.layers.{number}", f"layers.layers.{number}"
        parts |= {f"{here}.attention_output": f"{there}.self_attn.out_proj", f"{here}.intermediate": f"{there}.linear1"}
        parts |= {f"{here}.output": f"{there}.linear2", f"{here}.attention_norm": f"{there}.norm1"}
        parts |= {f"{here}.output_norm": f"{there}.norm2"}
        # PyTorch keeps the weights of queries, keys and values in one matrix, one below the other.
        for place, part in enumerate(("query", "key", "value")):
            parts[f"{here}.{part}"] = f"{there}.self_attn.in_proj_|{place}"
    given = [torch.from_numpy(x).to(device) for x in (features, target, altered)]
    rounded = config.compute_dtype == "bfloat16"

    def loss():
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=rounded):
            predicted = model(given[0])
        return (predicted - given[1]).abs()[given[2]].mean()

    return _side(model, parts, loss, torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True))


def s3prl_tera(config: EncoderConfig, features: np.ndarray, target: np.ndarray, altered: np.ndarray) -> Side:
    """s3prl's model for pretraining TERA, with s3prl's loss, optimiser (BertAdam) and clipping.

    Args:
      config: sizes of the encoder.
      features, target, altered: utterances x frames x mels.
    """
    import torch

    from extraction.upstreams.s3prl.compat import prepare_torchaudio

    prepare_torchaudio()
    import s3prl

    # s3prl's pretraining code imports its modules as if its folder were on the path.
    sys.path.insert(0, str(Path(s3prl.__file__).parent))
    # The module for plots needs librosa and matplotlib. A training step plots nothing, so an empty module replaces it.
    plotting = types.ModuleType("utility.audio")
    plotting.plot_spectrogram_to_numpy = None  # type: ignore[attr-defined]
    sys.modules["utility.audio"] = plotting
    try:
        from optimizers import get_optimizer
        from pretrain.mockingjay.pretrain_expert import TransformerForMaskedAcousticModel
        from upstream.mockingjay.model import TransformerConfig
    finally:
        del sys.modules["utility.audio"]
        sys.path.remove(str(Path(s3prl.__file__).parent))

    if config.norm != "post":
        raise ImportError("s3prl's TERA has its layer norm after each sublayer; compare with norm='post'")
    sizes = {
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.d_ff,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": config.layer_norm_eps,
        "share_layer": False,
        "pre_layer_norm": False,
    }
    chosen = TransformerConfig(sizes)
    chosen.loss = "L1"
    model = TransformerForMaskedAcousticModel(chosen, config.n_mels, config.n_mels)
    parts = {"encoder.input": "Transformer.input_representations.spec_transform"}
    parts |= {"encoder.input_norm": "Transformer.input_representations.LayerNorm"}
    parts |= {"head.hidden": "SpecHead.dense", "head.norm": "SpecHead.LayerNorm", "head.output": "SpecHead.output"}
    names = {"attention_output": "attention.output.dense", "attention_norm": "attention.output.LayerNorm"}
    names |= {"intermediate": "intermediate.dense", "output": "output.dense", "output_norm": "output.LayerNorm"}
    names |= {part: f"attention.self.{part}" for part in ("query", "key", "value")}
    for number in range(config.n_layers):
        parts |= {
            f"encoder.layers.{number}.{ours}": f"Transformer.encoder.layer.{number}.{theirs}"
            for ours, theirs in names.items()
        }
    given = torch.from_numpy(features), torch.from_numpy(target), torch.from_numpy(altered)
    seen = torch.ones(features.shape[:2])
    positions = torch.from_numpy(sinusoids(features.shape[1], config.d_model)).expand(len(features), -1, -1)
    schedule = {"name": "BertAdam_with_schedule", "lr": 2e-4, "warmup_proportion": 0.07}
    optimise = get_optimizer([model], 1_000_000, schedule)
    return _side(model, parts, lambda: model(given[0], positions, given[2], seen, given[1])[0], optimise)


def _side(model, parts: dict[str, str], loss: Callable, optimise) -> Side:
    import torch

    def tensor_of(name: str):
        """The tensor that holds our parameter, and which third of it, if the tensor holds queries, keys and values."""
        part, _, kind = name.rpartition(".")
        theirs, _, place = parts[part].partition("|")
        tensor = dict(model.named_parameters())[
            f"{theirs}{'' if place else '.'}{'bias' if kind == 'bias' else 'weight'}"
        ]
        return tensor, place

    def cut(value, place: str):
        return value.chunk(3)[int(place)] if place else value

    def loss_and_gradient(params: Arrays) -> tuple[float, Arrays]:
        with torch.no_grad():
            for name, value in params.items():
                tensor, place = tensor_of(name)
                cut(tensor, place).copy_(torch.from_numpy(np.array(value.T)))
        model.zero_grad()
        found = loss()
        found.backward()
        gradient = {}
        for name in params:
            tensor, place = tensor_of(name)
            gradient[name] = cut(tensor.grad, place).cpu().numpy().T.copy()
        return float(found.detach()), gradient

    def step() -> None:
        optimise.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimise.step()

    return Side(loss_and_gradient, step)
