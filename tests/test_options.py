import pytest

from jfewshot.errors import UserError
from jfewshot.options import Run, parse


def test_options_are_read_as_they_are_written():
    options = parse(["--ways", "5", "20", "--memory-gb", "1.5", "--no-compile-cache", "--n_query", "3"])
    assert options == Run(ways=(5, 20), memory_gb=1.5, compile_cache=False, n_query=3)


BAD = {
    ("--episodes", "ten"): "--episodes is 'ten'; it must be a whole number. See --help",
    ("--episodes=ten",): "--episodes is 'ten'; it must be a whole number. See --help",
    ("--n_query", "1.5"): "--n-query is '1.5'; it must be a whole number. See --help",
    ("--seed", "1", "--seed", "1.5"): "--seed is '1.5'; it must be a whole number. See --help",
    ("--ways", "5", "x"): "--ways is '5 x'; it must be whole numbers. See --help",
    ("--memory-gb", "lots", "--quiet"): "--memory-gb is 'lots'; it must be a number. See --help",
    ("--protocol", "papr"): "--protocol is 'papr'; choose default or paper. See --help",
    ("--preprocessing", "l3"): "choose none, l2, center, center_l2 or standardize. See --help",
    ("--out",): "--out needs a value; see --help",
    ("--n-query", "--shots", "1"): "--n-query needs a value; see --help",
    ("stray",): "'stray' belongs to no option; see --help",
    ("--group-aware", "yes"): "'yes' belongs to no option; see --help",
    ("--memory",): "there is no option '--memory'; did you mean --memory-gb? See --help",
}


@pytest.mark.parametrize("arguments", BAD, ids=" ".join)
def test_a_value_that_does_not_fit_is_refused_in_a_line(arguments, capsys):
    with pytest.raises(UserError) as caught:
        parse(list(arguments))
    assert BAD[arguments] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == ""


def test_help_is_printed_and_is_no_error(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code in (0, None)
    assert "Episodes per cell." in capsys.readouterr().out
