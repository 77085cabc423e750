"""The command line: `python -m jfewshot.downstream.emotion --dataset iemocap --root IEMOCAP_full_release`."""

import logging

import rich.console
import tyro

from jfewshot.commandline import log_plainly, run_cli
from jfewshot.downstream.emotion.config import EmotionConfig
from jfewshot.errors import UserError

log = logging.getLogger("jfewshot.downstream.emotion")


def main() -> None:
    """Parse, run what is missing, report."""
    config = tyro.cli(EmotionConfig, prog="python -m jfewshot.downstream.emotion")
    log_plainly()
    if config.head == "light" and not config.finetune:
        logging.getLogger("jfewshot.training").setLevel(logging.WARNING)  # runs of seconds: one line each will do
    # After the flags are read: --help needs no JAX.
    from jfewshot.downstream.emotion.experiment import chosen_data, record_folder, run_experiment
    from jfewshot.downstream.emotion.report import build_report

    if config.write_table is not None:
        from jfewshot.downstream.emotion.datasets.own import write_table

        write_table(chosen_data(config), config.write_table)
        log.info("wrote %s", config.write_table)
        return
    records = record_folder(config).read() if config.report_only else run_experiment(config)
    if not records:
        raise UserError(f"{config.out} has no finished run to report")
    from jfewshot.reporting.grid import to_rich

    console = rich.console.Console()
    for table in build_report(records, config.out / "report", config.formats, config.baseline):
        console.print(to_rich(table, console.width))
        console.print()
    console.print(f"wrote {config.out / 'report' / 'index.html'}, and tables and figures beside it", soft_wrap=True)


if __name__ == "__main__":
    run_cli(main)
