"""The page in a real browser: it loads from disk without errors, sorts, filters, responds, and works from the keyboard."""

import pytest

from jfewshot.reporting.build import Choices, build_report
from jfewshot.results import read_results
from tests.reporting import webdriver
from tests.reporting.synthetic import write_results

pytestmark = pytest.mark.skipif(not webdriver.available(), reason="needs Chromium and chromedriver")

ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"
OPEN = "document.getElementById('open-all').click()"  # every folded section
ROWS = "return [...document.querySelectorAll('#board-1 table')[0].tBodies[0].rows].map(r => r.cells[0].textContent)"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    upstreams = {"alpha": 0.3, "βήτα <b>": 0.8, "gamma": 2.5, "delta": 1.5}
    results = write_results(folder / "results", upstreams, ["esc", "words"], shots=(1, 5), n_episodes=200)
    build_report(read_results(results), folder / "report", Choices(formats=("svg",)), "A report </script>")
    return (folder / "report" / "index.html").as_uri()


@pytest.fixture(scope="module")
def window():
    with webdriver.browser() as opened:
        yield opened


def test_it_opens_from_disk_without_errors_and_loads_nothing(window, page):
    window.open(page)
    window.run(OPEN)
    assert window.run("return document.title") == "A report </script>"
    for anchor in ("board-1", "board-2-classes", "about"):
        window.run(f"document.getElementById('{anchor}').scrollIntoView()")
    window.wait("return document.querySelectorAll('.chart.drawn .main-svg').length >= 2")
    assert window.errors() == []
    window.run("console.error('heard')")
    assert any("heard" in message for message in window.errors())  # so silence above means something
    # `data:` pictures are all there is.
    fetched = window.run(
        "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))"
    )
    assert fetched == []


def size(window, width, height=900):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    window._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})


def test_the_answer_is_first_and_the_rest_opens_from_its_link_and_from_the_keyboard(window, page):
    window.open(page)
    window.wait("return document.querySelector('#answer .chart.drawn .main-svg')")
    top = "return document.querySelector('{}').getBoundingClientRect().top"
    places = [
        window.run(top.format(what)) for what in ("#answer .answer", "#answer .chart", "#answer table", "main nav")
    ]
    assert places == sorted(places)
    assert places[0] < 300
    assert window.run("return [...document.querySelectorAll('#report details')].some(d => d.open)") is False
    window.run("document.querySelector('main nav a[href=\"#board-1\"]').click()")
    window.wait("return document.querySelector('#board-1 details').open")
    assert window.run("return [...document.querySelectorAll('#report details')].filter(d => d.open).length") == 1
    window.run("document.querySelector('#about summary').focus()")
    window.press(ENTER)
    window.wait("return document.querySelector('#about details').open")
    assert window.errors() == []


@pytest.mark.parametrize("width", [420, 1600])
def test_nothing_is_wider_than_the_window_and_arrows_stand_beside_their_headings(window, page, width):
    try:
        size(window, width)
        window.open(page)
        window.run(OPEN)
        window.wait("return document.querySelector('#answer .chart.drawn .main-svg')")
        assert window.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        gaps = window.run(
            """
            return [...document.querySelectorAll("#answer table.dataTable thead th")].map((head) => {
              const title = head.querySelector(".dt-column-title").getBoundingClientRect();
              return head.querySelector(".dt-column-order").getBoundingClientRect().left - title.right;
            });
            """
        )
        assert len(gaps) > 2
        assert all(0 <= gap < 12 for gap in gaps)
        # A chart takes the room that it draws in: nothing lies over its legend.
        over = window.run(
            """
            const chart = document.querySelector("#answer .chart");
            const legend = chart.querySelector(".legend").getBoundingClientRect();
            return legend.bottom - chart.parentElement.querySelector("figcaption").getBoundingClientRect().top;
            """
        )
        assert over <= 1
    finally:
        window._call("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})


def test_columns_sort_by_number_with_pointer_and_keyboard(window, page):
    window.open(page)
    window.run(OPEN)
    assert window.run(ROWS) == ["alpha", "βήτα <b>", "delta", "gamma"]
    header = "document.querySelector('#board-1 table thead th:nth-child(2)')"
    window.run(f"{header}.click()")
    window.wait(f"return {header}.getAttribute('aria-sort') === 'ascending'")
    assert window.run(ROWS) == ["gamma", "delta", "βήτα <b>", "alpha"]
    window.run(f"({header}.querySelector('[tabindex=\"0\"]') ?? {header}).focus()")
    window.press(ENTER)
    window.wait(f"return {header}.getAttribute('aria-sort') === 'descending'")
    assert window.run(ROWS)[0] == "alpha"


def test_rows_filter(window, page):
    window.open(page)
    window.run(OPEN)
    window.run(
        "const box = document.querySelector('#board-1 .dt-search input'); box.value = 'gam';"
        "box.dispatchEvent(new Event('input', {bubbles: true})); box.dispatchEvent(new Event('keyup', {bubbles: true}));"
    )
    window.wait(f"return (() => {{ {ROWS} }})().length === 1")
    assert window.run(ROWS) == ["gamma"]
    assert window.run("return !!document.querySelector('#board-1 .dt-search label').textContent.trim()")


def test_a_number_leads_to_its_digest_from_the_keyboard(window, page):
    window.open(page)
    window.run(OPEN)
    window.run("document.querySelector('#board-1 button.cell').focus()")
    window.press(ENTER)
    window.wait("return document.getElementById('provenance').open")
    text = window.run("return document.getElementById('provenance').textContent")
    data = window.run("return JSON.parse(document.getElementById('data').textContent).boards[0].provenance[0][0]")
    assert data[0] in text  # the record's key
    assert data[1] in text  # the digest of its embeddings, in full
    assert len(data[1]) == 64
    assert "± pool_ci95" in text
    window.press(ESCAPE)
    window.wait("return !document.getElementById('provenance').open")


def test_upstreams_and_datasets_have_pages_and_there_is_a_way_back(window, page):
    window.open(page)
    window.run(OPEN)
    window.run("document.querySelector('#board-1 tbody a').click()")
    window.wait("return !document.getElementById('detail').hidden && document.getElementById('report').hidden")
    assert window.run("return document.activeElement.textContent") == "alpha"
    assert window.run("return document.querySelectorAll('#detail table').length") == 2  # 1-shot and 5-shot
    window.run("document.querySelector('#detail tbody a').click()")
    window.wait("return document.querySelector('#detail h2').textContent === 'esc'")
    window.wait("return document.querySelector('#detail .chart.drawn .main-svg')")
    window.run("document.querySelector('#detail a').click()")
    window.wait("return document.getElementById('detail').hidden && !document.getElementById('report').hidden")
    assert window.errors() == []


def test_hovering_tells_mean_interval_and_number_of_episodes(window, page):
    window.open(page)
    window.run(OPEN)
    window.run("document.querySelector('#board-1 .board-chart').scrollIntoView()")
    window.wait("return document.querySelector('#board-1 .board-chart .chart.drawn')")
    window.run(
        "Plotly.Fx.hover(document.querySelector('#board-1 .board-chart .chart'), [{curveNumber: 0, pointNumber: 0}])"
    )
    text = window.wait("return document.querySelector('#board-1 .board-chart .hoverlayer')?.textContent")
    assert "gamma" in text
    assert "±" in text
    assert "200 episodes" in text
    window.run(
        "const box = document.querySelector('#board-1 .board-chart select'); box.value = '1';"
        "box.dispatchEvent(new Event('change'));"
    )
    plotted = window.run("return document.querySelector('#board-1 .board-chart .chart').data[0].x")
    mean = window.run(
        "return JSON.parse(document.getElementById('data').textContent).boards[0].mean.map(r => 100 * r[1])"
    )
    assert plotted == pytest.approx(mean[::-1])


def test_dark_and_light(window, page, tmp_path):
    window.open(page)
    paper = "return getComputedStyle(document.body).backgroundColor"
    first = window.run(paper)
    window.run("document.getElementById('theme').focus()")
    window.press(ENTER)
    assert window.run(paper) != first
    assert window.run("return document.getElementById('theme').getAttribute('aria-pressed')") == "true"
    window.screenshot(tmp_path / "dark.png")
    assert (tmp_path / "dark.png").stat().st_size > 10_000
    window.press(ENTER)
    assert window.run(paper) == first


def test_screen_readers_are_told_what_things_are(window, page):
    window.open(page)
    missing = window.run(
        """
        const bad = [];
        const named = (e) => e.getAttribute("aria-label") || e.textContent.trim() || e.getAttribute("alt");
        for (const e of document.querySelectorAll("button, a, [role=img], img")) {
          if (!named(e)) bad.push(e.outerHTML.slice(0, 80));
        }
        for (const e of document.querySelectorAll("select, input")) if (!e.labels.length && !e.getAttribute("aria-label")) {
          bad.push(e.outerHTML.slice(0, 80));
        }
        for (const e of document.querySelectorAll("table")) if (!e.caption) bad.push("a table without a caption");
        const levels = [...document.querySelectorAll("h1, h2, h3")].map((e) => Number(e.tagName[1]));
        if (levels[0] !== 1) bad.push("the first heading is not the title");
        return bad;
        """
    )
    assert missing == []
    assert window.run("return document.documentElement.lang") == "en"
