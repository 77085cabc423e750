"""The command line of `jfewshot extract`: run encoders over datasets and write embedding stores.

    jfewshot extract --datasets esc50 --upstreams hubert_base wavlm_base --root DATA --out stores

If the command is killed or interrupted, the same command continues. docs/extraction.md explains everything.
"""

from jfewshot.commandline import run_cli


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, then extract or merge; returns the exit status."""
    from extraction.options import ExtractOptions
    from jfewshot.commandline.parsing import start

    options = start(ExtractOptions, arguments, "extract")
    from extraction.launching import launch  # imported after parsing the options: --help needs neither NumPy nor torch

    launch(options)
    return 0


if __name__ == "__main__":
    run_cli(main)
