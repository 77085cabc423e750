"""Few-shot accuracy as the validation of a training: which epoch's encoder is best with one and with five labels?

    python examples/training_loop.py

A small network learns to tell noisy patterns apart, in Flax. Classes of the validation are not among those of the training: a
few-shot task asks how well an encoder serves classes that it has not seen. Needs the extra `pretrain` (Flax and optax).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import jfewshot

DIM, HIDDEN, CLASSES, CLIPS = 40, 32, 20, 30


def make_clips(rng: np.random.Generator, patterns: np.ndarray, noise: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Noisy copies of each pattern, and their classes."""
    labels = np.repeat(np.arange(len(patterns)), CLIPS)
    return patterns[labels] + noise * rng.normal(size=(len(labels), DIM)), labels


class Encoder(nnx.Module):
    """Two layers; the classes of the training are read off its output."""

    def __init__(self, n_classes: int, rngs: nnx.Rngs):
        self.first, self.second = nnx.Linear(DIM, HIDDEN, rngs=rngs), nnx.Linear(HIDDEN, HIDDEN, rngs=rngs)
        self.head = nnx.Linear(HIDDEN, n_classes, rngs=rngs)

    def embed(self, x: jax.Array) -> jax.Array:
        """The embedding, before the head."""
        return nnx.relu(self.second(nnx.relu(self.first(x))))


@nnx.jit
def step(model: Encoder, optimiser: nnx.Optimizer, x: jax.Array, y: jax.Array) -> jax.Array:
    """One update; returns the loss."""

    def loss(model: Encoder) -> jax.Array:
        logits = model.head(model.embed(x))
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    value, gradient = nnx.value_and_grad(loss)(model)
    optimiser.update(model, gradient)
    return value


def main(epochs: int = 4) -> list[dict[int, float]]:
    """Train, and print the few-shot accuracy after every epoch; returns the accuracies, by number of shots."""
    jfewshot.use_all_cores()
    rng = np.random.default_rng(0)
    # Patterns live in a few directions, which is what there is to learn.
    basis = rng.normal(size=(5, DIM))
    patterns = rng.normal(size=(2 * CLASSES, 5)) @ basis
    x, y = make_clips(rng, patterns[:CLASSES])
    held_out, held_out_labels = make_clips(rng, patterns[CLASSES:])
    model = Encoder(CLASSES, nnx.Rngs(0))
    optimiser = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    history = []
    for epoch in range(epochs + 1):
        if epoch:
            for _ in range(25):
                loss = step(model, optimiser, jnp.asarray(x), jnp.asarray(y))
        # The same episodes after every epoch, so that the differences between epochs are paired.
        scores = jfewshot.evaluate_arrays(
            np.asarray(model.embed(jnp.asarray(held_out))), held_out_labels, shots=[1, 5], n_episodes=500
        )
        history.append({score["k_shot"]: score["accuracy"]["mean"] for score in scores})
        told = f"loss {float(loss):.3f}" if epoch else "untrained "
        print(f"epoch {epoch}: {told}, 1 label {history[-1][1]:.1%}, 5 labels {history[-1][5]:.1%}")
    return history


if __name__ == "__main__":
    main()
