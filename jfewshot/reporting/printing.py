"""The answer on a terminal."""

import rich.console
import rich.padding
import rich.text

from jfewshot.printable import in_a_line
from jfewshot.reporting.answer import Answer


def print_answer(console: rich.console.Console, answer: Answer) -> None:
    """Print the answer, with its first sentence in bold, and the cautions.

    Args:
      console: the terminal.
      answer: from `find_answer`.
    """
    for number, sentence in enumerate(answer.sentences):
        console.print(rich.text.Text(in_a_line(sentence), style="bold" if number == 0 else ""), soft_wrap=False)
    for text in answer.cautions:
        console.print(rich.text.Text.assemble(("Careful: ", "bold yellow"), in_a_line(text)))
    console.print()
