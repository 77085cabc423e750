"""The front door: `jfewshot COMMAND`, or `python -m jfewshot COMMAND`."""

from typing import NoReturn

from jfewshot.commandline import run_cli


def console() -> NoReturn:
    """The command `jfewshot`."""

    def main() -> int | None:
        # Imported here, so that ^C during the import also ends with one line.
        from jfewshot.commandline.front_door import main as front_door

        return front_door()

    run_cli(main)


if __name__ == "__main__":
    console()
