"""The evaluator's solvers on labelled clips, with any number per class: one problem instead of thousands of episodes."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jfewshot.classifiers.base import LabelledClips
from jfewshot.classifiers.specs import AUTO, ClassifierSpec
from jfewshot.errors import UserError
from jfewshot.heads import exact


class Solution(NamedTuple):
    """A linear classifier: scores = inner products with the clips @ alpha + bias.

    Attributes:
      alpha: coefficients on the clips.
      bias: one per class.
      strength: the strength that was given or chosen.
      residual: violation of the optimality condition.
    """

    alpha: Float[np.ndarray, "n classes"]
    bias: Float[np.ndarray, " classes"]
    strength: float
    residual: float


def solve(
    gram: Float[np.ndarray, "n n"], labels: Int[np.ndarray, " n"], n_classes: int, spec: ClassifierSpec
) -> Solution:
    """Fit `ridge`, `logistic` or `svm` on all clips, as the evaluator fits an episode.

    Where `ridge` does not converge in float32, its closed form in float64 is taken.

    Args:
      gram: inner products of the clips, float64: where `ridge` needs more digits than float32 has, they are there.
      labels: class number of each clip.
      n_classes: how many classes there are; each has a clip at least.
      spec: the classifier and one strength, which may be `auto`: the classifier then chooses from these clips.

    Returns:
      the solution.

    Raises:
      UserError: if the solver does not converge.
    """
    classifier, (strength,) = spec.classifier, spec.strengths
    clips = LabelledClips(
        gram=jnp.asarray(gram, jnp.float32)[:, :, None],
        episode=jnp.zeros(1, jnp.uint32),
        key=jnp.zeros(2, jnp.uint32),
        n_way=n_classes,
        # A solver only needs to know whether a clip can be left out. More different numbers would need more compiled
        # programs.
        k_shot=min(2, int(np.bincount(labels, minlength=n_classes).min())),
        targets=jnp.asarray(np.eye(n_classes, dtype=np.float32)[labels][:, :, None]),
    )
    if strength == AUTO:
        place = _choose(classifier, clips)
        strength = classifier.strength.grid[int(place[0])]  # type: ignore[union-attr]
    strength = float(strength)  # type: ignore[arg-type]
    model, diagnostics = _fit(classifier, clips, jnp.float32(strength))
    residual = float(diagnostics.residual[0])
    if classifier.tolerance is not None and not residual <= classifier.tolerance:
        if spec.name == "ridge":
            # A small alpha with hundreds of clips can need more digits than float32 has. Solve the same problem in
            # float64.
            alpha, bias = exact.fit(gram, labels, n_classes, ("ridge", {}, strength))
            return Solution(alpha, bias, strength, 0.0)
        raise UserError(
            f"{spec.name} did not converge on these {len(labels)} clips (residual {residual:.1g}, {classifier.tolerance:g} is "
            "needed); take ridge:alpha=auto, or another strength"
        )
    alpha, bias = np.asarray(model.alpha[:, :, 0], np.float64), np.asarray(model.bias[:, 0], np.float64)
    return Solution(alpha, bias, strength, residual)


@functools.partial(jax.jit, static_argnums=0)
def _choose(classifier: Any, clips: LabelledClips) -> jax.Array:
    return classifier.choose(clips)


@functools.partial(jax.jit, static_argnums=0)
def _fit(classifier: Any, clips: LabelledClips, strength: jax.Array) -> Any:
    return classifier.fit(clips, strength)
