"""Lists the trainings of a study."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import arg

from jfewshot.errors import UserError
from jfewshot.simclr.config import Profile, TrainConfig
from jfewshot.training.config import settled

Kind = Literal["profiles", "ablation", "sweep"]

UNTRAINED = "random"
# The augmentations of Table 4 of the paper; each has an option that switches it off.
AUGMENTATIONS = ("speed", "pitch", "reverb", "noise", "time_mask", "frequency_mask")


@dataclass(frozen=True)
class Study:
    """Train several encoders with several seeds and compare them by few-shot accuracy.

    Options after `--` are options of `jfewshot pretrain` that all trainings share; --out, --seed and --profile are set by the
    study and must not be among them. The study can be stopped at any time; the same command continues it, and a finished
    training is not repeated.

    Written with --seeds 0 before the -- and --config pretrain_small after it, a study takes about 10 minutes on two CPU cores: it
    trains an encoder of 0.7 M parameters for 300 steps with each profile.
    """

    EXAMPLES: ClassVar = (
        "jfewshot study --out studies/first --seeds 0 --tests folder:words=WORDS -- --config pretrain_small --data.source SPEECH",
        "jfewshot study --out studies/first --kind ablation --tests fsdd_digits=FSDD -- --data.source SPEECH --steps 1500",
    )
    HEADINGS: ClassVar = {"out": "The study", "batches": "Grid of --kind sweep", "shots": "Few-shot evaluation"}

    out: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of the study. It receives the folders runs, encoders, stores and results, and a table (.md and .json) for each
    kind of study."""
    tests: Annotated[tuple[str, ...], arg(metavar="DATASET=ROOT [DATASET=ROOT ...]")] = ()
    """Test sets, each with the folder that holds its audio, as in `jfewshot extract --datasets DATASET --root ROOT`. The
    training data must not contain any of their clips. Without this option, encoders are trained and not compared."""
    kind: Kind = "profiles"
    """What is compared. profiles: the untrained encoder, tera, speech_simclr and speech_simclr_recon. ablation: each
    augmentation switched off in turn (Table 4 of the paper). sweep: a grid of batch sizes and epochs (Figure 2 of the
    paper)."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trainings. Each seed is a training of its own, and a row of the table is the mean over seeds."""
    profile: Profile = "speech_simclr"
    """Training profile of the ablation and the sweep; `jfewshot pretrain --help` explains the profiles."""
    batches: tuple[int, ...] = (16, 32, 64)
    """Batch sizes of the sweep."""
    epochs: tuple[int, ...] = (1, 2, 4)
    """Numbers of epochs of the sweep. Each combination with a batch size is trained from the start with its own schedule."""
    shots: tuple[int, ...] = (1, 5)
    """Number of support (training) clips per class. Several numbers make several tables."""
    ways: int = 5
    """Number of classes per episode."""
    n_query: int = 5
    """Number of query (test) clips per class."""
    n_episodes: int = 2000
    """Number of episodes; the same ones for every encoder."""
    segment: Annotated[str, arg(metavar="whole|upstream|SECONDS")] = "whole"
    """How test clips are cut before encoding: whole does not cut, upstream uses the segment length that the encoder declares, a
    number is a length in seconds."""

    def __post_init__(self) -> None:
        if len(set(self.seeds)) < len(self.seeds) or not self.seeds:
            raise UserError(f"--seeds {self.seeds}: at least one, each once")
        for test in self.tests:
            name, _, root = test.partition("=")
            if not (name and root and Path(root).is_dir()):
                raise UserError(f"--tests {test}: DATASET=ROOT is needed, ROOT a folder that exists")
        if self.kind == "sweep" and not (self.batches and self.epochs):
            raise UserError("a sweep needs --batches and --epochs")


@dataclass(frozen=True)
class Training:
    """One configuration with one seed.

    Args:
      row: name of the configuration; the encoder is called <row>-<seed>.
      config: settings of the training.
      untrained: export the untrained encoder, with which the training begins.
    """

    row: str
    config: TrainConfig
    untrained: bool = False

    @property
    def name(self) -> str:
        """The name of the encoder in stores and results."""
        return f"{self.row}-{self.config.seed}"


def trainings(study: Study, base: TrainConfig, n_utterances: int) -> list[Training]:
    """List all trainings, seed by seed, so that a study that is stopped early has complete seeds.

    Args:
      study: the kind of study, its seeds and its output folder.
      base: settings that all trainings share.
      n_utterances: number of training utterances, which gives the steps of an epoch.

    Returns:
      the trainings in the order in which they run; each seed begins with the untrained encoder.
    """
    if base.epochs is not None:
        steps = max(int(base.epochs * n_utterances) // base.batch, 1)
        base = dataclasses.replace(base, epochs=None, steps=steps)
    rows = {"profiles": _profiles, "ablation": _ablation, "sweep": _sweep}[study.kind](study, base, n_utterances)
    found = []
    for seed in study.seeds:
        of_seed = [Training(row, _completed(config, row, seed, study.out)) for row, config in rows.items()]
        # All trainings of a seed begin with the same encoder, which comes from the first of these trainings.
        found += [Training(UNTRAINED, of_seed[0].config, untrained=True), *of_seed]
    return found


def _profiles(study: Study, base: TrainConfig, n_utterances: int) -> dict[str, TrainConfig]:
    ordered: tuple[Profile, ...] = ("speech_simclr", "speech_simclr_recon", "tera")
    return {profile: dataclasses.replace(base, profile=profile) for profile in ordered}


def _ablation(study: Study, base: TrainConfig, n_utterances: int) -> dict[str, TrainConfig]:
    base = dataclasses.replace(base, profile=study.profile)
    # This row has the name of the profile, so that a folder that has the profiles already does not train it again.
    rows: dict[str, TrainConfig] = {study.profile: base}
    for name in AUGMENTATIONS:
        switched_off: dict[str, Any] = {name: False}
        augmentation = dataclasses.replace(base.augmentation, **switched_off)
        rows[f"no_{name}"] = dataclasses.replace(base, augmentation=augmentation)
    return rows


def _sweep(study: Study, base: TrainConfig, n_utterances: int) -> dict[str, TrainConfig]:
    rows = {}
    for batch in study.batches:
        for epochs in study.epochs:
            steps = max(epochs * n_utterances // batch, 1)
            asked = base.optimiser.warmup_steps  # None: the schedule takes a fifth of the steps
            warmup = None if asked is None else max(min(asked, steps // 10), 1)
            rows[f"batch_{batch}_epochs_{epochs}"] = dataclasses.replace(
                base,
                profile=study.profile,
                batch=batch,
                steps=steps,
                optimiser=dataclasses.replace(base.optimiser, warmup_steps=warmup),
            )
    return rows


def _completed(config: TrainConfig, row: str, seed: int, out: Path) -> TrainConfig:
    """Set seed, folder, warm-up, and checkpoints only at step 0 and at the end."""
    return dataclasses.replace(
        config,
        seed=seed,
        out=out / "runs" / f"{row}-{seed}",
        checkpoint_every=config.steps,
        keep=1,
        optimiser=settled(config.optimiser, config.steps),
    )
