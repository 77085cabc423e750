"""How every command starts, reads its options, reports while it works, and ends.

This room loads neither JAX nor NumPy, because `--help` and refused options must not wait for them.

  ending.py      exit codes, and the one line with which a command ends on an error, ^C or SIGTERM
  logs.py        logging as plain lines on standard error
  progress.py    progress of a command: a bar on a terminal, a plain line every 30 s elsewhere
  options.py     describes a dataclass of options: names, types, defaults, help texts, headings
  parsing.py     converts arguments to that dataclass; an error is one line
  config_file.py the options of `--config FILE`
  helptext.py    the text of `--help`
  commands.py    the list of commands
  completion.py  shell completion
  front_door.py  `jfewshot`: the list of commands, and which module does each
"""

from jfewshot.commandline.ending import (
    EXIT_BUG,
    EXIT_CHECK_FAILED,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USER_ERROR,
    explain_os_error,
    run_cli,
)
from jfewshot.commandline.logs import log_plainly

__all__ = [
    "EXIT_BUG",
    "EXIT_CHECK_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_TERMINATED",
    "EXIT_USER_ERROR",
    "explain_os_error",
    "log_plainly",
    "run_cli",
]
