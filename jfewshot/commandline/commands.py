"""The list of commands. Modules are named as text, so that this room imports none of them.

Nothing in `jfewshot` imports `extraction`; only the names in this file refer to it.
"""

import dataclasses
import importlib
from typing import Any


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of `jfewshot`.

    Attributes:
      name: one word or two.
      purpose: a line that describes its purpose.
      module: the module whose `main` runs it.
      options: the dataclass of its options, as `module:Class`.
      before: arguments for `main` before the user's arguments, if several commands share one `main`.
    """

    name: str
    purpose: str
    module: str
    options: str
    before: tuple[str, ...] = ()

    def run(self, arguments: list[str]) -> int | None:
        """Call the module's `main`."""
        return importlib.import_module(self.module).main([*self.before, *arguments])

    def load_options(self) -> Any:
        """The dataclass of its options."""
        module, _, name = self.options.partition(":")
        return getattr(importlib.import_module(module), name)


# Module and function that read labelled stretches from annotation files, for `store import --annotations`.
ANNOTATED_STRETCHES = ("extraction.datasets.for_windows", "labelled_stretches")

GROUPS: dict[str, tuple[Command, ...]] = {
    "See how good encoders are with few labels": (
        Command(
            "try",
            "Say which encoder suits your recordings and how many labels are enough",
            "extraction.trying.command",
            "extraction.trying.options:TryOptions",
        ),
        Command(
            "run",
            "Evaluate embeddings on few-shot episodes; without options, sample stores",
            "jfewshot.run",
            "jfewshot.options:RunOptions",
        ),
        Command(
            "shift",
            "Compare support clips of the same speaker or site with those of others",
            "jfewshot.shift.__main__",
            "jfewshot.shift.options:ShiftOptions",
        ),
        Command(
            "report",
            "Turn results into tables, figures and one HTML page",
            "jfewshot.report",
            "jfewshot.options:ReportOptions",
        ),
    ),
    "Choose which clips to label": (
        Command(
            "label next",
            "Write a list of the clips of a store to label next",
            "jfewshot.labelling.__main__",
            "jfewshot.labelling.options:LabelNextOptions",
            ("next",),
        ),
        Command(
            "label compare",
            "Measure what chosen clips gain over random ones",
            "jfewshot.labelling.__main__",
            "jfewshot.labelling.options:LabelCompareOptions",
            ("compare",),
        ),
    ),
    "Score encoders on a frozen suite": (
        Command(
            "suite list",
            "List the suites, or the tasks of one",
            "jfewshot.suite.__main__",
            "jfewshot.suite.options:SuiteListOptions",
            ("list",),
        ),
        Command(
            "suite run",
            "Extract and evaluate what a suite needs, and write each encoder's score",
            "jfewshot.suite.__main__",
            "jfewshot.suite.options:SuiteRunOptions",
            ("run",),
        ),
        Command(
            "suite validate",
            "Check contributed files: digests, completeness, arithmetic",
            "jfewshot.suite.__main__",
            "jfewshot.suite.options:SuiteValidateOptions",
            ("validate",),
        ),
        Command(
            "suite init",
            "Make the folder of a leaderboard that anybody can host",
            "jfewshot.suite.__main__",
            "jfewshot.suite.options:SuiteInitOptions",
            ("init",),
        ),
        Command(
            "suite build",
            "Validate a leaderboard's contributions and write its page",
            "jfewshot.suite.__main__",
            "jfewshot.suite.options:SuiteBuildOptions",
            ("build",),
        ),
        Command(
            "suite export",
            "Write contributions for the Hugging Face Hub, MTEB, LaTeX and tables",
            "jfewshot.suite.__main__",
            "jfewshot.suite.options:SuiteExportOptions",
            ("export",),
        ),
    ),
    "Use the encoder that was chosen": (
        Command(
            "fit",
            "Fit a classifier on labelled clips, with the accuracy to expect of it",
            "extraction.heads.fit_command",
            "extraction.heads.options:FitOptions",
        ),
        Command(
            "apply",
            "Label recordings, or windows of long ones, with a fitted classifier",
            "extraction.heads.apply_command",
            "extraction.heads.options:ApplyOptions",
        ),
    ),
    "Make embeddings of your own audio and encoders": (
        Command(
            "extract",
            "Run encoders over audio datasets and keep the embeddings as stores",
            "extraction.run",
            "extraction.options:ExtractOptions",
        ),
        Command(
            "estimate",
            "Say beforehand how long an extraction takes and how much disk it needs",
            "extraction.estimate",
            "extraction.options:EstimateOptions",
        ),
        Command(
            "upstreams list",
            "List the encoders that can be named",
            "extraction.upstreams.__main__",
            "extraction.options:ListOptions",
            ("list",),
        ),
        Command(
            "upstreams check",
            "Load encoders and test each with a second of sound",
            "extraction.upstreams.__main__",
            "extraction.options:CheckOptions",
            ("check",),
        ),
        Command(
            "store create",
            "Make a store of embeddings that you computed yourself",
            "jfewshot.store.__main__",
            "jfewshot.store.options:CreateOptions",
            ("create",),
        ),
        Command(
            "store import",
            "Make a store of a table or a database with embeddings and labels",
            "jfewshot.store.__main__",
            "jfewshot.store.options:ImportOptions",
            ("import",),
        ),
        Command(
            "store export",
            "Write a store as a table, an archive, a dataset or a database",
            "jfewshot.store.__main__",
            "jfewshot.store.options:ExportOptions",
            ("export",),
        ),
        Command(
            "store fuse",
            "Make one store of several encoders, or of several layers",
            "jfewshot.store.__main__",
            "jfewshot.store.options:FuseOptions",
            ("fuse",),
        ),
        Command(
            "store statistics",
            "Write mean and covariance of a store, for whitening of other stores",
            "jfewshot.store.__main__",
            "jfewshot.store.options:StatisticsOptions",
            ("statistics",),
        ),
        Command(
            "store inspect",
            "Say what is in stores",
            "jfewshot.store.__main__",
            "jfewshot.store.options:InspectOptions",
            ("inspect",),
        ),
        Command(
            "store verify",
            "Check that stores are complete and undamaged",
            "jfewshot.store.__main__",
            "jfewshot.store.options:VerifyOptions",
            ("verify",),
        ),
    ),
    "Train an encoder": (
        Command(
            "pretrain",
            "Pretrain a speech encoder with Speech SimCLR",
            "jfewshot.simclr.train",
            "jfewshot.simclr.config:TrainConfig",
        ),
        Command(
            "export",
            "Turn a pretraining run into an encoder that extract accepts",
            "jfewshot.simclr.export.__main__",
            "jfewshot.simclr.export.options:ExportOptions",
        ),
        Command(
            "study",
            "Compare several pretrainings by few-shot accuracy",
            "jfewshot.simclr.study.__main__",
            "jfewshot.simclr.study.plan:Study",
        ),
    ),
    "Train models on an encoder's frames": (
        Command(
            "emotion",
            "Emotion recognition",
            "jfewshot.downstream.emotion.__main__",
            "jfewshot.downstream.emotion.config:EmotionConfig",
        ),
        Command(
            "asr",
            "Speech recognition",
            "jfewshot.downstream.asr.__main__",
            "jfewshot.downstream.asr.config:AsrConfig",
        ),
        Command(
            "phones",
            "Phone classification, frame by frame",
            "jfewshot.downstream.phones.__main__",
            "jfewshot.downstream.phones.config:PhonesConfig",
        ),
    ),
}

COMMANDS: dict[str, Command] = {command.name: command for group in GROUPS.values() for command in group}
