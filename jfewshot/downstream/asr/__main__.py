"""The command line: `jfewshot asr --root LibriSpeech --features simclr:ENCODER`."""

import logging
from typing import TYPE_CHECKING

from jfewshot.commandline import run_cli
from jfewshot.errors import UserError
from jfewshot.files import atomic_write

if TYPE_CHECKING:
    from jfewshot.downstream.asr.config import AsrConfig

log = logging.getLogger("jfewshot.downstream.asr")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run the folds and seeds that are missing, and report; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.downstream.asr.config import AsrConfig

    config = start(AsrConfig, arguments, "asr")
    # These modules are loaded after the options are read, because --help should not wait for JAX.
    from jfewshot.downstream.asr.experiment import record_folder, run_experiment

    if config.write_lm_text is not None:
        _write_lm_text(config)
        return 0
    records = record_folder(config).read() if config.report_only else run_experiment(config)
    from jfewshot.downstream.asr.report import build_report
    from jfewshot.downstream.report import report_and_print

    report_and_print(records, build_report, config)
    return 0


def _write_lm_text(config: "AsrConfig") -> None:
    from jfewshot.downstream.asr.language_model import lm_text
    from jfewshot.downstream.asr.preparation import chosen_data, make_divisions

    assert config.write_lm_text is not None
    divisions = make_divisions(chosen_data(config), config, {})
    if len(divisions) > 1:
        raise UserError("--write-lm-text writes one fold's training transcripts: name it with --only-folds")
    (division,) = divisions
    with atomic_write(config.write_lm_text, "w") as file:
        for number in division.fold.training:
            file.write(lm_text(division.units, list(division.transcripts.units[number])) + "\n")
    log.info("wrote %s; next: lmplz -o 5 < %s > units.arpa", config.write_lm_text, config.write_lm_text)


if __name__ == "__main__":
    run_cli(main)
