"""The command line: `jfewshot emotion --dataset iemocap --root IEMOCAP_full_release`."""

import logging

from jfewshot.commandline import run_cli


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run the folds and seeds that are missing, and report; returns the exit status."""
    from jfewshot.commandline.parsing import start
    from jfewshot.downstream.emotion.config import EmotionConfig

    config = start(EmotionConfig, arguments, "emotion")
    if config.head == "light" and not config.finetune:
        logging.getLogger("jfewshot.training").setLevel(
            logging.WARNING
        )  # such a run takes seconds: one line per run is enough
    # These modules are loaded after the options are read, because --help should not wait for JAX.
    from jfewshot.downstream.emotion.experiment import chosen_data, record_folder, run_experiment
    from jfewshot.downstream.emotion.report import build_report
    from jfewshot.downstream.report import report_and_print

    if config.write_table is not None:
        from jfewshot.downstream.emotion.datasets.own import write_table

        write_table(chosen_data(config), config.write_table)
        return 0
    records = record_folder(config).read() if config.report_only else run_experiment(config)
    report_and_print(records, build_report, config)
    return 0


if __name__ == "__main__":
    run_cli(main)
