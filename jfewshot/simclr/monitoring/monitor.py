"""Makes all measurements of a step, and decides when a training should stop early."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from jfewshot.api import evaluate_arrays
from jfewshot.audio import AudioError, read_audio
from jfewshot.commandline.progress import tracked
from jfewshot.errors import UserError
from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.data import Utterance
from jfewshot.simclr.data.labelled import Labelled, read_labelled
from jfewshot.simclr.features import n_frames
from jfewshot.simclr.monitoring.collapse import name_collapse
from jfewshot.simclr.monitoring.embedding import Embedder
from jfewshot.simclr.monitoring.picture import draw_run
from jfewshot.simclr.monitoring.variance import spread
from jfewshot.simclr.settings.monitor import ACCURACY
from jfewshot.store.diagnostics.spectrum import effective_rank, variances_of
from jfewshot.training.model import Params

log = logging.getLogger(__name__)

_WORDS = {
    "complete": "all recordings have nearly the same embedding",
    "dimensional": "embeddings differ in hardly more than one direction",
}


class Monitor:
    """Measures an encoder; see `jfewshot.training.loop.Watch`.

    Its state follows from metrics.jsonl, so a continued run has the same state as a run that was not interrupted.

    Args:
      config: settings of the run.
      probe: waves of training utterances.
      development: waves of labelled recordings, and these recordings; None without development recordings.
      mean: mean of the features over the training set, (mels,).
      std: standard deviation of the features over the training set, (mels,).
      build: from parameters to the model.

    Attributes:
      every: steps between two measurements.
      is_best: whether the last measurement has the highest accuracy so far.
      stopped: why the training should stop; empty while it should go on.
    """

    def __init__(
        self,
        config: TrainConfig,
        probe: Sequence[Float32[np.ndarray, " _"]],
        development: tuple[Sequence[Float32[np.ndarray, " _"]], Sequence[Labelled]] | None,
        mean: Float32[np.ndarray, " mels"],
        std: Float32[np.ndarray, " mels"],
        build: Callable[[Params], Any],
    ):
        chosen = config.monitor
        self.every, self._config, self._folder = chosen.every, config, config.out
        self._probe = Embedder(probe, mean, std, config, build, chosen.pooling)
        self._development = None
        if development is not None:
            waves, labelled = development
            self._development = Embedder(waves, mean, std, config, build, chosen.pooling), labelled
        self.is_best, self.stopped = False, ""
        self._rank_before: float | None = None
        self._highest_spread = 0.0
        self._accuracies: list[tuple[int, float]] = []
        self._collapsed: str | None = None

    def begin(self, first: int) -> bool:
        """Read the measurements up to a step; returns whether this step itself was measured.

        Args:
          first: step from which the run continues; 0 if it begins.
        """
        step = -1
        for line in _lines(self._folder / "metrics.jsonl"):
            if "effective_rank" in line and line["step"] <= first:
                step = line["step"]
                self._take_in(step, line)
        return step == first

    def __call__(self, step: int, params: Params) -> dict[str, float | str]:
        """Measure the parameters after a step (0 is the untrained encoder); returns the values by name."""
        params = jax.device_get(params) if jax.process_count() > 1 else params
        embeddings = self._probe(params)
        rank = effective_rank(variances_of(embeddings))
        values: dict[str, float | str] = {"effective_rank": rank, "spread": spread(embeddings)}
        if self._development is not None:
            embed, labelled = self._development
            values |= self._accuracy(embed(params), labelled)
        apart = float(values["spread"])
        rank_before = rank if self._rank_before is None else self._rank_before
        collapse = name_collapse(apart, rank, max(self._highest_spread, apart), rank_before)
        if collapse:
            values["collapse"] = collapse
            if collapse != self._collapsed:
                log.warning(
                    "step %d: %s collapse: %s (effective rank %.1f, %.1f at the start; spread %.2g, %.2g at most before). Lower "
                    "--optimiser.rate, lengthen the warm-up, or weaken the augmentation",
                    step, collapse, _WORDS[collapse], rank, rank_before, apart, self._highest_spread,
                )  # fmt: skip
        elif self._collapsed:
            log.info("step %d: the embeddings have recovered from the %s collapse", step, self._collapsed)
        self._take_in(step, values)
        return values

    def describe(self, values: Mapping[str, float | str]) -> str:
        """Describe measured values in a few words."""
        shots = [name for name in values if name.startswith(f"{ACCURACY}_")]
        words = [f"{name.rpartition('_')[2]}-shot accuracy {values[name]:.1%}" for name in shots]
        words += [f"effective rank {values['effective_rank']:.1f}", f"spread {values['spread']:.2g}"]
        return ", ".join([*words, *([f"{values['collapse']} collapse"] if "collapse" in values else [])])

    def draw(self) -> None:
        """Draw all measurements of the run so far (monitor.png)."""
        draw_run(self._folder)

    def _accuracy(self, embeddings: np.ndarray, labelled: Sequence[Labelled]) -> dict[str, float | str]:
        chosen = self._config.monitor
        labels, groups = [each.class_name for each in labelled], [each.group for each in labelled]
        scores = evaluate_arrays(
            embeddings,
            labels,
            groups if all(groups) else None,
            ways=min(chosen.ways, len(set(labels))),
            shots=chosen.shots,
            n_query=chosen.n_query,
            n_episodes=chosen.episodes,
            classifiers=chosen.classifier,
        )
        by_shots = {f"{ACCURACY}_{score['k_shot']}": float(score["accuracy"]["mean"]) for score in scores}
        return {**by_shots, ACCURACY: float(np.mean(list(by_shots.values())))}

    def _take_in(self, step: int, values: Mapping[str, Any]) -> None:
        if self._rank_before is None:
            self._rank_before = float(values["effective_rank"])
        self._highest_spread = max(self._highest_spread, float(values["spread"]))
        collapse = values.get("collapse")
        self._collapsed = None if collapse is None else str(collapse)
        if ACCURACY not in values:
            return
        accuracy = float(values[ACCURACY])
        self.is_best = all(accuracy > before for _, before in self._accuracies)
        self._accuracies.append((step, accuracy))
        best_step, best = max(self._accuracies, key=lambda item: (item[1], -item[0]))
        since = sum(at > best_step for at, _ in self._accuracies)
        patience = self._config.monitor.patience
        if patience is not None and since >= patience:
            self.stopped = (
                f"step {step}: {since} measurements in a row have not exceeded the accuracy of {best:.1%} at step "
                f"{best_step}"
            )


def make_monitor(
    config: TrainConfig,
    utterances: Sequence[Utterance],
    mean: Float32[np.ndarray, " mels"],
    std: Float32[np.ndarray, " mels"],
    build: Callable[[Params], Any],
) -> Monitor | None:
    """Decode the recordings for the measurements, and make the monitor.

    Args:
      config: settings of the run.
      utterances: training utterances.
      mean: mean of the features over the training set, (mels,).
      std: standard deviation of the features over the training set, (mels,).
      build: from parameters to the model.

    Returns:
      the monitor; None if nothing is to be measured.

    Raises:
      UserError: if development recordings are missing or cannot be decoded, or a class has too few.
    """
    chosen = config.monitor
    if not chosen.every:
        return None
    development = None
    rate = config.fbank.sample_rate
    if chosen.development is not None:
        labelled = read_labelled(chosen.development, max(chosen.shots) + chosen.n_query)
        waves = []
        for each in tracked(labelled, "reading development recordings", "recordings"):
            wave = read_audio(each.path, rate, max_duration_s=chosen.longest_s)
            if n_frames(len(wave), config.fbank) < 1:
                raise UserError(f"{each.path} is shorter than a frame of the filter bank; remove it")
            waves.append(wave)
        classes = len({each.class_name for each in labelled})
        log.info("development: %d recordings of %d classes", len(labelled), classes)
        development = waves, labelled
    longest, probe = int(config.data.crop_s * rate), []
    order = np.random.default_rng([config.seed, 8]).permutation(len(utterances))
    for number in order:
        try:
            wave = read_audio(utterances[number].path, rate)
        except AudioError:
            continue  # the loader logs such files
        start = (len(wave) - longest) // 2 if len(wave) > longest else 0
        if n_frames(len(piece := wave[start : start + longest]), config.fbank) >= 1:
            probe.append(piece)
        if len(probe) == chosen.utterances:
            break
    if len(probe) < 2:
        log.warning("nothing is measured during the training: fewer than two training utterances can be decoded")
        return None
    return Monitor(config, probe, development, mean, std, build)


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]
