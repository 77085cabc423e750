"""`jfewshot study --out STUDY --tests DATASET=ROOT -- --data.source SPEECH ...`."""

import json
import logging
import shlex
import sys
from typing import TYPE_CHECKING

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.files import atomic_write

if TYPE_CHECKING:
    from jfewshot.simclr.config import TrainConfig
    from jfewshot.simclr.study.plan import Study

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Parse both parts of the command line, train, evaluate, and write the tables; returns the exit status."""
    from jfewshot.commandline.parsing import parse, start
    from jfewshot.simclr.config import TrainConfig
    from jfewshot.simclr.study.plan import Study

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    study = start(Study, arguments[:cut], "study")
    common = arguments[cut + 1 :]
    for flag in ("--out", "--seed", "--profile"):
        if flag in common:
            raise UserError(f"{flag} after --: the study sets it itself for each training; leave it out there")
    run(study, parse(TrainConfig, [*common, "--out", str(study.out / "runs")], "pretrain"))
    return 0


def run(study: "Study", base: "TrainConfig") -> None:
    """Train and evaluate everything that does not exist yet, then write the tables."""
    from jfewshot.simclr.data import read_utterances
    from jfewshot.simclr.study.accuracy import episode_accuracy, extract_all
    from jfewshot.simclr.study.encoders import make_encoders, share_compiled_code
    from jfewshot.simclr.study.plan import UNTRAINED, trainings
    from jfewshot.simclr.study.table import as_markdown, compared

    n_utterances = len(read_utterances(base.data.source, base.data.shortest_s))
    planned = trainings(study, base, n_utterances)
    share_compiled_code(study.out / "compiled")
    encoders = make_encoders(planned, study.out / "encoders")
    if not study.tests:
        log.info("wrote %s; next: the same command with --tests DATASET=ROOT compares them", study.out / "encoders")
        return
    stores = extract_all(study, encoders)

    rows: dict[str, list[str]] = {"fbank": ["fbank"]}
    for training in planned:
        rows.setdefault(training.row, []).append(training.name)
    compared_with: dict[str, list[str]] = {
        "profiles": ["fbank", UNTRAINED],
        "ablation": [study.profile],
        "sweep": [UNTRAINED],
    }
    references = compared_with[study.kind]
    accuracies = episode_accuracy(study, stores, [name for names in rows.values() for name in names])
    records = compared(accuracies, rows, references)
    table = as_markdown(records, references)
    for ending, text in {"json": json.dumps(records, indent=1, allow_nan=False) + "\n", "md": table}.items():
        with atomic_write(study.out / f"{study.kind}.{ending}", "w") as file:
            file.write(text)
    log.info("%s\nper cent, ± 95%% over episodes / over seeds", table)
    log.info(
        "wrote %s (.md and .json); next: jfewshot report %s",
        study.out / study.kind,
        shlex.quote(str(study.out / "results")),
    )


if __name__ == "__main__":
    run_cli(main)
