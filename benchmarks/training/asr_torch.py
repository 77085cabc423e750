"""Attention-CTC in plain PyTorch: the same model with the same weights, its training step, and a batched joint beam search.

Training uses PyTorch's own transformer layers. The beam search keeps the keys and values of the units that a hypothesis already
has, as our search does, and all hypotheses of all utterances go through the decoder together.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from jfewshot.downstream.asr.settings import DecoderConfig
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.simclr.encoder.transformer import sinusoids

NOTHING = -1e30


class TorchRecogniser(nn.Module):
    """Convolutions over time and mel bins, encoder, CTC, decoder."""

    def __init__(self, n_units: int, encoder: EncoderConfig, decoder: DecoderConfig):
        super().__init__()
        self.d_encoder, self.d_decoder, self.n_heads = encoder.d_model, decoder.d_model, decoder.n_heads
        channels = encoder.prenet_channels
        self.convolutions = nn.ModuleList([nn.Conv2d(1, channels, 3, 2, 1), nn.Conv2d(channels, channels, 3, 2, 1)])
        self.project = nn.Linear(channels * encoder.n_frames(encoder.n_mels), encoder.d_model)
        self.input_norm = nn.LayerNorm(encoder.d_model, eps=encoder.layer_norm_eps)
        layer = nn.TransformerEncoderLayer(
            encoder.d_model, encoder.n_heads, encoder.d_ff, 0.0, "gelu", encoder.layer_norm_eps, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, encoder.n_layers, enable_nested_tensor=False)
        self.ctc = nn.Linear(encoder.d_model, n_units)
        self.embedding = nn.Embedding(n_units, decoder.d_model)
        self.decoder_norm = nn.LayerNorm(decoder.d_model)
        decoder_layer = nn.TransformerDecoderLayer(
            decoder.d_model, decoder.n_heads, decoder.d_ff, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerDecoder(decoder_layer, decoder.n_layers, nn.LayerNorm(decoder.d_model))
        self.output = nn.Linear(decoder.d_model, n_units)

    def take_over(self, params) -> "TorchRecogniser":
        """Copy our parameters (an array for each name) into this model; returns the model itself."""

        def put(linear, name, transposed=True):
            kernel = torch.tensor(params[f"{name}.kernel"])
            linear.weight.copy_(kernel.T if transposed else kernel)
            linear.bias.copy_(torch.tensor(params[f"{name}.bias"]))

        def norm(layer, name):
            layer.weight.copy_(torch.tensor(params[f"{name}.scale"]))
            layer.bias.copy_(torch.tensor(params[f"{name}.bias"]))

        def attention(module, name, output):
            parts = [f"{name}.{part}" for part in ("query", "key", "value")]
            module.in_proj_weight.copy_(torch.cat([torch.tensor(params[f"{part}.kernel"]).T for part in parts]))
            module.in_proj_bias.copy_(torch.cat([torch.tensor(params[f"{part}.bias"]) for part in parts]))
            put(module.out_proj, output)

        with torch.no_grad():
            convolution: Any
            for number, convolution in enumerate(self.convolutions):
                name = f"encoder.input.convolutions.{number}"
                convolution.weight.copy_(torch.tensor(params[f"{name}.kernel"]).permute(3, 2, 0, 1))
                convolution.bias.copy_(torch.tensor(params[f"{name}.bias"]))
            put(self.project, "encoder.input.output")
            norm(self.input_norm, "encoder.input_norm")
            for number, layer in enumerate(self.encoder.layers):
                name = f"encoder.layers.{number}"
                attention(layer.self_attn, name, f"{name}.attention_output")
                norm(layer.norm1, f"{name}.attention_norm")
                put(layer.linear1, f"{name}.intermediate")
                put(layer.linear2, f"{name}.output")
                norm(layer.norm2, f"{name}.output_norm")
            put(self.ctc, "ctc")
            self.embedding.weight.copy_(torch.tensor(params["decoder.embedding.embedding"]))
            norm(self.decoder_norm, "decoder.input_norm")
            for number, layer in enumerate(self.decoder.layers):
                name = f"decoder.layers.{number}"
                attention(layer.self_attn, f"{name}.itself", f"{name}.itself.output")
                attention(layer.multihead_attn, f"{name}.frames", f"{name}.frames.output")
                for theirs, ours in ((layer.norm1, "self"), (layer.norm2, "frames"), (layer.norm3, "output")):
                    norm(theirs, f"{name}.{ours}_norm")
                put(layer.linear1, f"{name}.intermediate")
                put(layer.linear2, f"{name}.output")
            norm(self.decoder.norm, "decoder.output_norm")
            put(self.output, "decoder.output")
        return self

    def encode(self, frames, n_frames):
        """Encode (batch, frames, mels); returns the states, the number of true frames, and which frames are padding."""
        x = frames[:, None]
        for convolution in self.convolutions:
            kept = torch.arange(x.shape[2])[None] < n_frames[:, None]
            x = F.relu(convolution(x * kept[:, None, :, None]))
            n_frames = (n_frames + 1) // 2
        # Our model flattens with channels last.
        x = self.project(x.permute(0, 2, 3, 1).flatten(2))
        x = self.input_norm(x + torch.from_numpy(sinusoids(x.shape[1], self.d_encoder)))
        is_padding = torch.arange(x.shape[1])[None] >= n_frames[:, None]
        return self.encoder(x, src_key_padding_mask=is_padding), n_frames, is_padding

    def embed(self, units, first=0):
        """Embed units for the decoder: scaled embeddings plus positions, normalised."""
        places = torch.from_numpy(sinusoids(first + units.shape[1], self.d_decoder))[first:]
        return self.decoder_norm(self.embedding(units) * self.d_decoder**0.5 + places)

    def loss(self, frames, n_frames, units, n_units, ctc_weight, smoothing):
        """The joint loss, divided by the number of units in the batch."""
        states, n_frames, is_padding = self.encode(frames, n_frames)
        log_probs = F.log_softmax(self.ctc(states), -1)
        ctc = F.ctc_loss(log_probs.swapaxes(0, 1), units, n_frames, n_units, reduction="sum")
        given = F.pad(units, (1, 0))
        causal = nn.Transformer.generate_square_subsequent_mask(given.shape[1])
        decoded = self.decoder(
            self.embed(given), states, tgt_mask=causal, tgt_is_causal=True, memory_key_padding_mask=is_padding
        )
        logits, places = self.output(decoded), torch.arange(given.shape[1])[None]
        targets = torch.where(places < n_units[:, None], F.pad(units, (0, 1)), 0)
        targets = torch.where(places <= n_units[:, None], targets, -100)
        attention = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-100, label_smoothing=smoothing, reduction="sum"
        )
        return (ctc_weight * ctc + (1 - ctc_weight) * attention) / n_units.sum()

    @torch.no_grad()
    def greedy(self, frames, n_frames):
        """Best units of each utterance by CTC alone."""
        states, n_frames, _ = self.encode(frames, n_frames)
        best = self.ctc(states).argmax(-1)
        found = []
        for row, count in zip(best, n_frames, strict=True):
            units = torch.unique_consecutive(row[:count])
            found.append(units[units != 0].tolist())
        return found

    @torch.no_grad()
    def beam(self, frames, n_frames, size, ctc_weight, longest):
        """The best hypothesis of each utterance, and its score."""
        states, n_frames, is_padding = self.encode(frames, n_frames)
        log_probs = F.log_softmax(self.ctc(states), -1)
        batch, n_out, n_units = log_probs.shape
        certain = torch.full((n_units,), NOTHING)
        certain[0] = 0.0
        log_probs = torch.where(is_padding[..., None], certain, log_probs)
        rows = torch.arange(batch)[:, None]
        seen = [_keys_values(layer.multihead_attn, states, self.n_heads) for layer in self.decoder.layers]
        # Each hypothesis is one query of the attention, so the mask of padding frames needs an axis for the queries.
        visible = ~is_padding[:, None, None, :]
        blank = log_probs[:, None, :, 0].cumsum(-1).expand(batch, size, n_out).clone()
        unit = torch.full((batch, size, n_out), NOTHING)
        scores = torch.full((batch, size), NOTHING)
        scores[:, 0] = 0.0
        others = torch.zeros(batch, size)
        last = torch.zeros(batch, size, dtype=torch.long)
        written = torch.zeros(batch, size, longest, dtype=torch.long)
        caches: list = [None] * len(self.decoder.layers)
        done_scores = torch.full((batch, size), NOTHING)
        done_units, done_lengths = written.clone(), torch.zeros(batch, size, dtype=torch.long)
        for place in range(longest + 1):
            log_next, caches = self._step(last, place, caches, seen, visible)
            first = torch.full((batch, size, 1), 0.0 if place == 0 else NOTHING)
            before_any = torch.cat([first, torch.logaddexp(unit, blank)[..., :-1]], -1)
            before_blank = torch.cat([first, blank[..., :-1]], -1)
            going = others[..., None] + (1 - ctc_weight) * log_next
            ending = going[..., 0] + ctc_weight * torch.logaddexp(unit[..., -1], blank[..., -1])
            ending = torch.where(scores > -1e20, ending, NOTHING)
            done_scores, chosen = torch.cat([done_scores, ending], 1).topk(size)
            done_units = torch.cat([done_units, written], 1)[rows, chosen]
            done_lengths = torch.cat([done_lengths, torch.full_like(done_lengths, place)], 1)[rows, chosen]
            if place == longest:
                break
            same = F.one_hot(last, n_units).bool()[..., None]
            phi = torch.where(same, before_blank[:, :, None], before_any[:, :, None])
            prefix = torch.logsumexp(phi + log_probs.swapaxes(1, 2)[:, None], -1)
            total = (going + ctc_weight * prefix)[..., 1:]
            total = torch.where(scores[..., None] > -1e20, total, NOTHING)
            scores, best = total.flatten(1).topk(size)
            parent, new = best // (n_units - 1), best % (n_units - 1) + 1
            others = going[rows, parent, new]
            phi = torch.where(
                (new == last[rows, parent])[..., None], before_blank[rows, parent], before_any[rows, parent]
            )
            at = log_probs.swapaxes(1, 2)[rows, new]
            units_at, blanks_at = [], []
            u = b = torch.full((batch, size), NOTHING)
            for t in range(n_out):
                u, b = torch.logaddexp(u, phi[..., t]) + at[..., t], torch.logaddexp(b, u) + log_probs[:, None, t, 0]
                units_at.append(u)
                blanks_at.append(b)
            unit, blank = torch.stack(units_at, -1), torch.stack(blanks_at, -1)
            written, last = written[rows, parent].clone(), new
            written[:, :, place] = new
            caches = [tuple(part[rows, parent] for part in cache) for cache in caches]
            if not ((scores.max(1).values > done_scores[:, 0]) & (scores.max(1).values > -1e20)).any():
                # Hypotheses may still end at this place, so their scores are compared once more, as in our search.
                continue_with = place + 1
                log_next, caches = self._step(last, continue_with, caches, seen, visible)
                ending = others + (1 - ctc_weight) * log_next[..., 0]
                ending = ending + ctc_weight * torch.logaddexp(unit[..., -1], blank[..., -1])
                ending = torch.where(scores > -1e20, ending, NOTHING)
                done_scores, chosen = torch.cat([done_scores, ending], 1).topk(size)
                done_units = torch.cat([done_units, written], 1)[rows, chosen]
                done_lengths = torch.cat([done_lengths, torch.full_like(done_lengths, continue_with)], 1)[rows, chosen]
                break
        found = [row[0, : int(n[0])].tolist() for row, n in zip(done_units, done_lengths, strict=True)]
        return found, done_scores[:, 0]

    def _step(self, last, place, caches, seen, visible):
        """Log-probabilities of the next unit, (batch, hypotheses, units), and the keys and values so far."""
        batch, size = last.shape
        x, kept = self.embed(last.reshape(-1, 1), place), []
        layer: Any
        for layer, cache, (keys, values) in zip(self.decoder.layers, caches, seen, strict=True):
            q, k, v = _project(layer.self_attn, layer.norm1(x), self.n_heads)
            k, v = (part.unflatten(0, (batch, size)) for part in (k, v))
            if cache is not None:
                k, v = torch.cat([cache[0], k], 3), torch.cat([cache[1], v], 3)
            kept.append((k, v))
            attended = F.scaled_dot_product_attention(q, k.flatten(0, 1), v.flatten(0, 1))
            x = x + layer.self_attn.out_proj(attended.swapaxes(1, 2).flatten(2))
            inner = layer.norm2(x).reshape(batch, size, -1)
            weight, bias = layer.multihead_attn.in_proj_weight, layer.multihead_attn.in_proj_bias
            query = F.linear(inner, weight[: self.d_decoder], bias[: self.d_decoder])
            query = query.unflatten(2, (self.n_heads, -1)).swapaxes(1, 2)
            attended = F.scaled_dot_product_attention(query, keys, values, visible)
            x = x + layer.multihead_attn.out_proj(attended.swapaxes(1, 2).flatten(2)).reshape(batch * size, 1, -1)
            x = x + layer.linear2(F.gelu(layer.linear1(layer.norm3(x))))
        assert self.decoder.norm is not None
        return F.log_softmax(self.output(self.decoder.norm(x)), -1).reshape(batch, size, -1), kept


def _project(attention, x, n_heads):
    parts = F.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
    return [part.unflatten(2, (n_heads, -1)).swapaxes(1, 2) for part in parts]


def _keys_values(attention, states, n_heads):
    d = attention.embed_dim
    both = F.linear(states, attention.in_proj_weight[d:], attention.in_proj_bias[d:]).chunk(2, -1)
    return [part.unflatten(2, (n_heads, -1)).swapaxes(1, 2) for part in both]
