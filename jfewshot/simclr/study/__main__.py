"""`python -m jfewshot.simclr.study --out STUDY --tests DATASET=ROOT -- --data.source SPEECH ...`."""

import json
import logging
import sys

import tyro

from jfewshot.commandline import log_plainly, run_cli
from jfewshot.errors import UserError
from jfewshot.files import atomic_write
from jfewshot.simclr.config import TrainConfig
from jfewshot.simclr.data import read_utterances
from jfewshot.simclr.study.plan import UNTRAINED, Study, trainings

log = logging.getLogger(__name__)


def main() -> None:
    """Parse both halves of the command line, train, evaluate, tabulate."""
    log_plainly()
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    study = tyro.cli(Study, args=arguments[:cut])
    common = arguments[cut + 1 :]
    for flag in ("--out", "--seed", "--profile"):
        if flag in common:
            raise UserError(f"{flag} after --: the study sets it itself for each training; leave it out there")
    base = tyro.cli(TrainConfig, args=[*common, "--out", str(study.out / "runs")])
    run(study, base)


def run(study: Study, base: TrainConfig) -> None:
    """Everything that is not there yet; then the tables."""
    from jfewshot.simclr.study.accuracy import episode_accuracy, extract_all
    from jfewshot.simclr.study.encoders import make_encoders, share_compiled_code
    from jfewshot.simclr.study.table import as_markdown, compared

    n_utterances = len(read_utterances(base.data.source, base.data.shortest_s))
    planned = trainings(study, base, n_utterances)
    share_compiled_code(study.out / "compiled")
    encoders = make_encoders(planned, study.out / "encoders")
    if not study.tests:
        log.info("no --tests: encoders are in %s", study.out / "encoders")
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
    log.info("%s\nper cent, ± 95%% over episodes / over seeds; also in %s", table, study.out / f"{study.kind}.json")


if __name__ == "__main__":
    run_cli(main)
