"""An encoder of a user's own, named by its import path."""

import numpy as np


class Loudness:
    """The loudness of windows of 10 ms, twice and thrice: three numbers that tell pitches apart badly and amplitudes well."""

    sample_rate = 16_000

    def encode(self, waves, layers):
        """Frames of each asked layer, batch x frames x 3."""
        frames = np.lib.stride_tricks.sliding_window_view(waves, 160, axis=1)[:, ::160]
        loudness = np.sqrt((frames**2).mean(axis=2) + 1e-9)
        stacked = np.stack([loudness, loudness**2, np.ones_like(loudness)], axis=2).astype(np.float32)
        return dict.fromkeys(layers, stacked)
