"""Shell completion: a bash script, which zsh runs too, that completes commands, options, their choices and encoders' names.

Names after a family's colon (`hoplite:perch_v2`) depend on what is installed: the script asks
`jfewshot --completion names FAMILY` for them, once for each family that is typed.
"""

import importlib
from collections.abc import Sequence

from jfewshot.commandline.commands import COMMANDS
from jfewshot.commandline.options import Option, options_of
from jfewshot.errors import UserError

_COMMON = ("--config", "--quiet", "--version", "--help")

# `jfewshot` must not import these modules, so they are named as text.
_UPSTREAMS, _NAMES = "extraction.upstreams", "extraction.upstreams.zoo_names"

_SCRIPT = """\
# Completion of `jfewshot`, written by `jfewshot --completion {shell}`.
{before}_jfewshot_upstreams() {{
    local whole="$1" names="{upstreams}" family
    case "$whole" in *:*)
        family="${{whole%%:*}}"
        if [ "$family" != "$_jfewshot_family" ]; then
            _jfewshot_names="$("${{COMP_WORDS[0]}}" --completion names "$family" 2>/dev/null)"
            _jfewshot_family="$family"
        fi
        names="$_jfewshot_names" ;;
    esac
    COMPREPLY=( $(compgen -W "$names" -- "$whole") )
    case "${{#COMPREPLY[@]}} ${{COMPREPLY[*]}}" in "1 "*:) compopt -o nospace 2>/dev/null ;; esac
    # bash takes a colon for the end of a word, and replaces what follows the colon alone.
    case "$whole $COMP_WORDBREAKS" in *:*" "*:*)
        family="${{whole%"${{whole##*:}}"}}"
        COMPREPLY=( "${{COMPREPLY[@]#"$family"}}" ) ;;
    esac
}}
_jfewshot() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    local first="${{COMP_WORDS[1]}}" command="${{COMP_WORDS[1]}}" words="" option="" at whole
    case " {pairs} " in *" $first "*)
        if [ "$COMP_CWORD" -gt 2 ]; then command="$first ${{COMP_WORDS[2]}}"; fi ;;
    esac
    for (( at = COMP_CWORD - 1; at > 0; at-- )); do
        case "${{COMP_WORDS[at]}}" in --*) option="${{COMP_WORDS[at]}}"; break ;; esac
    done
    case "$command,$option $current" in *" -"*) ;; {takers})
        whole="${{COMP_LINE:0:COMP_POINT}}"
        whole="${{whole##*[[:space:]]}}"
        if [ -z "$COMP_LINE" ]; then whole="$current"; fi
        _jfewshot_upstreams "$whole"
        return ;;
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
      shells: the arguments of `--completion`: `bash` or `zsh`; or `names` and a family of encoders.

    Returns:
      A script to source, or the names of a family's encoders, a line for each.

    Raises:
      UserError: another shell, or none.
    """
    if len(shells) == 2 and shells[0] == "names":
        names = importlib.import_module(_NAMES).names_of(shells[1])
        return "".join(f"{shells[1]}:{name}\n" for name in names)
    if len(shells) != 1 or shells[0] not in ("bash", "zsh"):
        raise UserError(f"--completion is '{' '.join(shells)}'; choose bash or zsh")
    pairs = sorted({name.split()[0] for name in COMMANDS if " " in name})
    choices, options, takers = [], [], ["'upstreams check, '*"]
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
        takers += [f"'{name},{option.flag} '*" for option in described if (option.metavar or "").startswith("UPSTREAM")]
    named = importlib.import_module(_UPSTREAMS)
    return _SCRIPT.format(
        shell=shells[0],
        before="autoload -U +X bashcompinit && bashcompinit\n" if shells[0] == "zsh" else "",
        pairs=" ".join(pairs),
        takers=" | ".join(takers),
        upstreams=" ".join(["paper", *named.UPSTREAMS, *(f"{family}:" for family in named.FAMILIES)]),
        commands=" ".join(dict.fromkeys(name.split()[0] for name in COMMANDS)),
        choices="\n".join(choices),
        options="\n".join(options),
    )


def _flags(options: Sequence[Option]) -> list[str]:
    named = [option for option in options if not option.is_positional]
    return [option.off_flag if option.is_switch and option.default else option.flag for option in named]
