import itertools

import matplotlib
import numpy as np
import pytest

from jfewshot.reporting.figures import bars, classes, correlation, curves, fonts, ranks, style
from jfewshot.statistics import correlations

NAMES = ["ввек & <x>", "鳥の声", "plain", "a very long name of an encoder that fits nowhere at all", "$e$"]


def figures():
    rng = np.random.default_rng(0)
    mean = rng.random((5, 3))
    mean[1, 2] = np.nan
    width = {"ci95": np.full((5, 3), 0.02), "pool_ci95": np.full((5, 3), np.nan)}
    yield "bars", bars.accuracy_bars(mean, width, NAMES, ["esc", "語", "x" * 50], 0.2, "title")
    found = correlations(rng.random((5, 3)), np.column_stack([rng.random((5, 2)), np.ones(5)]), n_permutations=99)
    yield (
        "heat",
        correlation.correlation_heat_map(found, ["a", "b", "c"], ["p", "q", "constant"], {"g": ["p", "q"], "h": ["r"]}),
    )
    yield (
        "confusion",
        classes.confusion_matrix(np.where(rng.random((5, 5)) < 0.2, np.nan, rng.random((5, 5))), NAMES, "t"),
    )
    yield "hardest", classes.hardest_classes(rng.random((2, 5)), NAMES, NAMES[:2], "t")
    counts = rng.integers(1, 50, (2, 6))
    yield "episodes", classes.episode_histograms([counts], [NAMES[:2]], ["esc"])
    yield "ranks", ranks.critical_difference_diagram(np.array([1.2, 3.0, 2.0, 4.4, 4.4]), 1.5, NAMES, 4)
    yield "wins", ranks.wins_and_losses(rng.integers(0, 4, (5, 5, 3)), NAMES)
    curve = curves.Curve("ü", (1.0, 5.0), (0.4, 0.6), (0.02, float("nan")))
    yield "curves", curves.curve_panels([curves.Panel("esc", (curve,))], "shots", {1.0: "1", 5.0: "5"}, log=True)
    yield "speed", bars.speed_bars([10.0, 2e5], NAMES[:2])


def test_every_figure_is_saved_in_every_format_whatever_the_names(tmp_path):
    before = dict(matplotlib.rcParams)
    for name, figure in figures():
        for path in style.save(figure, tmp_path, name):
            assert path.stat().st_size > 1000, path
    assert dict(matplotlib.rcParams) == before  # a notebook's own look is left alone
    text = (tmp_path / "bars.svg").read_text(encoding="utf-8")
    assert "鳥の声" in text  # text stays text: it can be searched, and the reader's fonts have more than ours


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        style.save(bars.speed_bars([10.0, 2e5], NAMES[:2]), tmp_path / folder, "speed")
    for form in style.FORMATS:
        assert (tmp_path / "a" / f"speed.{form}").read_bytes() == (tmp_path / "b" / f"speed.{form}").read_bytes()


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", [style.DIVERGING, style.SEQUENTIAL])
def test_numbers_on_a_heat_map_can_be_read(name):
    for value in np.linspace(0, 1, 60):
        color = matplotlib.colormaps[name](value)
        own, ink = luminance(color[:3]), 0.0 if style.ink_on(color) == "black" else 1.0
        assert (max(own, ink) + 0.05) / (min(own, ink) + 0.05) > 4.5  # WCAG AA


# Viénot, Brettel and Mollon (1999): what is left of linear RGB without long- or medium-wave cones.
PROTAN = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTAN = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


@pytest.mark.parametrize("vision", [np.eye(3), PROTAN, DEUTAN], ids=["all cones", "protanopia", "deuteranopia"])
def test_colours_are_told_apart_by_readers_with_any_cones(vision):
    linear = []
    for color in style.COLORS:
        rgb = np.array(matplotlib.colors.to_rgb(color))
        linear.append(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4))
    seen = np.clip(np.array(linear) @ vision.T, 0, 1) ** (1 / 2.4)
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.13


def test_lines_repeat_no_combination_among_the_first_32():
    styles = {tuple(style.line_style(n).values()) for n in range(32)}
    assert len(styles) == 32


def test_names_are_whole_and_titles_say_what_is_shown():
    name = "an encoder with a name of forty-five letters"
    drawn = bars.accuracy_bars(np.array([[0.5]]), {"ci95": np.array([[0.1]])}, [name], [name], 0.2, "1-shot")
    (axis,) = drawn.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == [name]
    assert axis.get_title(loc="left").replace("\n", " ") == name
    assert "dotted: chance" in " ".join(drawn.get_suptitle().split())
    curve = curves.Curve(name, (1.0, 5.0), (0.4, 0.6), (0.02, 0.02))
    panel = curves.curve_panels([curves.Panel("esc", (curve,))], "shots", chance=0.2, title="logistic")
    assert panel.get_suptitle() == "Few-shot accuracy. logistic"
    assert 20.0 in panel.axes[0].lines[1].get_ydata()
    (legend,) = panel.legends
    assert legend.get_texts()[0].get_text() == name


def test_characters_that_no_font_has_are_named(monkeypatch):
    assert fonts.without_font(["plain", "Ünïcode", "βήτα"]) == ""
    monkeypatch.setattr(fonts, "families", lambda: (fonts.FIRST,))
    said = fonts.without_font(["鳥の声", "鳥"])
    assert "boxes for 3 characters of names (の声鳥)" in said
    assert "fonts-noto-cjk" in said


def test_a_font_is_taken_where_it_is_installed(monkeypatch):
    entry = type("Font", (), {"name": "Noto Sans CJK JP"})
    monkeypatch.setattr(fonts.font_manager.fontManager, "ttflist", [entry])
    fonts.families.cache_clear()
    assert fonts.families() == ("DejaVu Sans", "Noto Sans CJK JP")
    fonts.families.cache_clear()
