"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const percent = (x) => (x === null ? "–" : (100 * x).toFixed(2));
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };

  // Light and dark: the reader's choice, or the system's.
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");
  let stored = null;
  try { stored = localStorage.getItem("jfewshot-theme"); } catch { /* a file opened from disk may not store */ }
  const setTheme = (dark) => {
    root.dataset.theme = dark ? "dark" : "light";
    toggle.setAttribute("aria-pressed", String(dark));
    for (const node of document.querySelectorAll(".chart.drawn")) Plotly.relayout(node, themed({}));
  };
  const themed = (layout) => ({
    ...layout,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), size: 12, family: "system-ui, sans-serif" },
    "xaxis.gridcolor": css("--grid"),
    "yaxis.gridcolor": css("--grid"),
    hoverlabel: { font: { family: "system-ui, sans-serif" } },
  });
  setTheme(stored === null ? prefersDark.matches : stored === "dark");
  toggle.addEventListener("click", () => {
    const dark = root.dataset.theme !== "dark";
    setTheme(dark);
    try { localStorage.setItem("jfewshot-theme", dark ? "dark" : "light"); } catch { /* as above */ }
  });

  // Charts are drawn when they come into view.
  const options = { responsive: true, displaylogo: false, displayModeBar: false };
  const draw = (node, traces, layout) => {
    const full = { margin: { l: 60, r: 20, t: 30, b: 45 }, hovermode: "closest", ...layout };
    for (const name of Object.keys(full).filter((n) => /^[xy]axis/.test(n))) {
      full[name] = { gridcolor: css("--grid"), zeroline: false, automargin: true, ...full[name] };
    }
    const theme = themed({});
    delete theme["xaxis.gridcolor"];
    delete theme["yaxis.gridcolor"];
    if (full.height) node.style.minHeight = `${full.height}px`;  // what Plotly draws takes no room of its own
    Plotly.react(node, traces, { ...full, ...theme }, options);
    node.classList.add("drawn");
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      watcher.unobserve(entry.target);
      entry.target.dispatchEvent(new Event("draw"));
    }
  }, { rootMargin: "300px" });
  const whenSeen = (node, action) => { node.addEventListener("draw", action); watcher.observe(node); };
  // A chart with a layout for narrow windows changes between the two when the window does.
  const NARROW = 640;
  for (const node of document.querySelectorAll(".chart[data-chart]")) {
    const chart = data.charts[Number(node.dataset.chart)];
    const layout = () => (chart.narrow && node.clientWidth < NARROW ? chart.narrow : chart.layout);
    whenSeen(node, () => {
      let drawn = layout();
      draw(node, chart.data, drawn);
      if (!chart.narrow) return;
      addEventListener("resize", () => {
        if (layout() === drawn) return;
        drawn = layout();
        draw(node, chart.data, drawn);
      });
    });
  }

  // Folded sections open from a link, all at once, and for printing.
  const folded = [...document.querySelectorAll("#report details")];
  const opener = document.getElementById("open-all");
  const openAll = () => { for (const each of folded) each.open = true; };
  opener?.addEventListener("click", openAll);
  let shut = [];
  addEventListener("beforeprint", () => { shut = folded.filter((each) => !each.open); openAll(); });
  addEventListener("afterprint", () => { for (const each of shut) each.open = false; });

  // Plotly reads some HTML in labels; a name is none.
  const asText = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  // One bar per upstream for a dataset or the average; hovering tells mean, interval and number of episodes.
  const bars = (node, board, column, interval) => {
    const average = column < 0;
    const rows = board.upstreams.map((name, row) => ({
      name,
      mean: average ? board.average[row] : board.mean[row][column],
      half: average ? board.average_half[interval][row] : board.half[interval][row][column],
    })).filter((row) => row.mean !== null).reverse();
    draw(node, [{
      type: "bar", orientation: "h",
      y: rows.map((row) => asText(row.name)), x: rows.map((row) => 100 * row.mean),
      error_x: { type: "data", array: rows.map((row) => 100 * (row.half ?? 0)), color: css("--ink"), thickness: 1.2, width: 3 },
      marker: { color: css("--bar") },
      hovertext: rows.map((row) => `${asText(row.name)}<br>${percent(row.mean)} ± ${percent(row.half)}<br>${interval}, ` +
        `${board.n_episodes.toLocaleString("en")} episodes${average ? ` on each of ${board.datasets.length} datasets` : ""}`),
      hoverinfo: "text",
    }], {
      height: 90 + 22 * rows.length,
      xaxis: { title: { text: "accuracy (%)" }, range: [0, 100] },
      yaxis: { automargin: true, type: "category" },
      shapes: [{ type: "line", x0: 100 * board.chance, x1: 100 * board.chance, y0: 0, y1: 1, yref: "paper",
        line: { dash: "dot", width: 1, color: css("--quiet") } }],
    });
  };
  document.querySelectorAll(".board-chart").forEach((holder) => {
    const board = data.boards[Number(holder.dataset.board)];
    const [columns, intervals] = holder.querySelectorAll("select");
    const node = holder.querySelector(".chart");
    const update = () => bars(node, board, Number(columns.value), intervals.value);
    whenSeen(node, update);
    columns.addEventListener("change", update);
    intervals.addEventListener("change", update);
  });

  // Sortable, filterable tables.
  const plain = { info: false, order: [], autoWidth: false };
  for (const table of document.querySelectorAll("table.sortable")) {
    const rows = table.tBodies[0].rows.length;
    new DataTable(table, {
      ...plain,
      searching: rows > 3,
      paging: rows > 60,
      pageLength: 60,
      lengthChange: false,
      language: { search: "Filter rows:" },
    });
  }

  // Where a number comes from.
  const dialog = document.getElementById("provenance");
  const provenance = (b, row, column) => {
    const board = data.boards[b];
    const own = board.provenance[row][column];
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    const add = (name, value) => {
      if (value === null || value === undefined || value === "") return;
      list.append(make("dt", name), make("dd", typeof value === "string" ? value : JSON.stringify(value)));
    };
    dialog.querySelector("h2").textContent = `${board.upstreams[row]} on ${board.datasets[column]}`;
    add("accuracy", percent(board.mean[row][column]) + " %");
    for (const [name, half] of Object.entries(board.half)) add(`± ${name}`, percent(half[row][column]) + " points");
    add("condition", board.title);
    data.fields.forEach((field, i) => add(field, own[i]));
    for (const [name, value] of Object.entries(data.shared[own[data.fields.length]] ?? {})) add(name, value);
    dialog.showModal();
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("button.cell");
    if (cell) provenance(...cell.dataset.at.split(",").map(Number));
  });

  // A click on a clip plays it in its place. Where the browser cannot play the file, the link leads to it.
  document.addEventListener("click", (event) => {
    const clip = event.target.closest("a[href]");
    if (!clip || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (!/\.(wav|flac|ogg|oga|opus|mp3)$/i.test(clip.pathname)) return;
    event.preventDefault();
    let player = clip.nextElementSibling;
    if (player?.tagName !== "AUDIO") {
      player = make("audio", undefined, { controls: "", "aria-label": `Player of ${clip.textContent}` });
      player.addEventListener("error", () => { player.remove(); location.href = clip.href; });
      player.src = clip.href;
      clip.after(player);
    }
    player.currentTime = 0;
    player.play().catch(() => {});
  });

  // Pages of one upstream or one dataset, by the address's fragment: #upstream/<board>/<row>, #dataset/<board>/<column>.
  const report = document.getElementById("report");
  const detail = document.getElementById("detail");
  const cellButton = (b, row, column) => {
    const value = data.boards[b].mean[row][column];
    if (value === null) return make("span", "–");
    return make("button", percent(value), { class: "cell", "data-at": `${b},${row},${column}` });
  };
  const detailTable = (headings, rows) => {
    const table = make("table");
    const head = table.createTHead().insertRow();
    headings.forEach((text, i) => head.append(make("th", text, { scope: "col", class: i ? "" : "label" })));
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      row.forEach((value, i) => {
        const cell = i ? line.insertCell() : line.appendChild(make("th", undefined, { scope: "row", class: "label" }));
        if (value instanceof Node) cell.append(value); else cell.textContent = value;
      });
    }
    const holder = make("div", undefined, { class: "scroll" });
    holder.append(table);
    return holder;
  };
  const link = (text, hash) => make("a", text, { href: hash });
  const rankOf = (board, row, column) => {
    const own = board.mean[row][column];
    return own === null ? "–" : 1 + board.mean.filter((other) => other[column] !== null && other[column] > own).length;
  };
  const widths = (board, row, column) => Object.values(board.half).map((half) => percent(half[row][column]));
  const show = () => {
    const [kind, b, n] = location.hash.slice(1).split("/");
    const aim = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const within = aim?.closest("#report section")?.querySelector("details");
    if (within && !within.open) { within.open = true; aim.scrollIntoView(); }
    const board = data.boards[Number(b)];
    const wanted = (kind === "upstream" || kind === "dataset") && board;
    report.hidden = Boolean(wanted);
    detail.hidden = !wanted;
    if (!wanted) return;
    detail.replaceChildren();
    const number = Number(n);
    const name = kind === "upstream" ? board.upstreams[number] : board.datasets[number];
    const heading = make("h2", name, { tabindex: "-1" });
    detail.append(link("← the whole report", "#"), heading);
    data.boards.forEach((each, index) => {
      const at = (kind === "upstream" ? each.upstreams : each.datasets).indexOf(name);
      if (at < 0) return;
      detail.append(make("h3", each.title));
      const halves = Object.keys(each.half).map((half) => `± ${half}`);
      if (kind === "upstream") {
        detail.append(detailTable(["Dataset", "accuracy (%)", ...halves, "rank"], each.datasets.map((dataset, column) => [
          link(dataset, `#dataset/${index}/${column}`), cellButton(index, at, column), ...widths(each, at, column),
          rankOf(each, at, column),
        ])));
      } else {
        const chart = make("div", undefined, { class: "chart", role: "img", "aria-label": `Accuracy of every upstream on ${name}` });
        detail.append(chart, detailTable(["Upstream", "accuracy (%)", ...halves, "rank"], each.upstreams.map((upstream, row) => [
          link(upstream, `#upstream/${index}/${row}`), cellButton(index, row, at), ...widths(each, row, at), rankOf(each, row, at),
        ])));
        bars(chart, each, at, Object.keys(each.half)[0]);
      }
    });
    heading.focus();
    scrollTo(0, 0);
  };
  addEventListener("hashchange", show);
  show();
  root.dataset.ready = "yes";
})();
