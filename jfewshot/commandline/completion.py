"""Shell completion: a bash script, which zsh runs too, that completes commands, options and their choices."""

from collections.abc import Sequence

from jfewshot.commandline.commands import COMMANDS
from jfewshot.commandline.options import Option, options_of
from jfewshot.errors import UserError

_COMMON = ("--config", "--quiet", "--version", "--help")

_SCRIPT = """\
# Completion of `jfewshot`, written by `jfewshot --completion {shell}`.
{before}_jfewshot() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local first="${{COMP_WORDS[1]}}" command="${{COMP_WORDS[1]}}" words=""
    case " {pairs} " in *" $first "*)
        if [ "$COMP_CWORD" -gt 2 ]; then command="$first ${{COMP_WORDS[2]}}"; fi ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands} --help --version --completion"
    else
        case "$command $previous" in
{choices}
        esac
        if [ -z "$words" ]; then
            case "$command" in
{options}
            esac
            case "$words" in --*) case "$current" in -*) ;; *) words="" ;; esac ;; esac
        fi
    fi
    COMPREPLY=( $(compgen -W "$words" -- "$current") )
}}
complete -o default -F _jfewshot jfewshot
"""


def script(shells: Sequence[str]) -> str:
    """The completion script of a shell.

    Args:
      shells: what follows `--completion`: `bash` or `zsh`.

    Returns:
      A script to source.

    Raises:
      UserError: another shell, or none.
    """
    if len(shells) != 1 or shells[0] not in ("bash", "zsh"):
        raise UserError(f"--completion is '{' '.join(shells)}'; choose bash or zsh")
    pairs = sorted({name.split()[0] for name in COMMANDS if " " in name})
    choices, options = [], []
    for pair in pairs:
        seconds = " ".join(name.split()[1] for name in COMMANDS if name.startswith(f"{pair} "))
        options.append(f'                "{pair}") words="{seconds}" ;;')
    for name, command in COMMANDS.items():
        described = options_of(command.load_options())
        choices += [
            f'            "{name} {option.flag}") words="{" ".join(option.choices)}" ;;'
            for option in described
            if option.choices and not option.is_positional
        ]
        options.append(f'                "{name}") words="{" ".join([*_flags(described), *_COMMON])}" ;;')
    return _SCRIPT.format(
        shell=shells[0],
        before="autoload -U +X bashcompinit && bashcompinit\n" if shells[0] == "zsh" else "",
        pairs=" ".join(pairs),
        commands=" ".join(dict.fromkeys(name.split()[0] for name in COMMANDS)),
        choices="\n".join(choices),
        options="\n".join(options),
    )


def _flags(options: Sequence[Option]) -> list[str]:
    named = [option for option in options if not option.is_positional]
    return [option.off_flag if option.is_switch and option.default else option.flag for option in named]
