"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const at = (id) => document.getElementById(id);
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const draw = (tag, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // Light and dark: the reader's choice, or the system's.
  const toggle = at("theme");
  let stored = null;
  try { stored = localStorage.getItem("jfewshot-theme"); } catch { /* a file opened from disk may not store */ }
  const setTheme = (dark) => {
    root.dataset.theme = dark ? "dark" : "light";
    toggle.setAttribute("aria-pressed", String(dark));
  };
  setTheme(stored === null ? matchMedia("(prefers-color-scheme: dark)").matches : stored === "dark");
  toggle.addEventListener("click", () => {
    const dark = root.dataset.theme !== "dark";
    setTheme(dark);
    try { localStorage.setItem("jfewshot-theme", dark ? "dark" : "light"); } catch { /* as above */ }
  });

  const percent = (mean, half) => `${(100 * mean).toFixed(2)}|${(100 * half).toFixed(2)}`;
  let order = { key: "score", down: true };
  const standing = () => data.standings[at("track").value][at("family").value];

  // A column: what it is called, the value that it is sorted by, its text, and the small text behind it.
  const columns = (one) => [
    { key: "encoder", title: "Encoder", label: true, value: (row) => one.encoders[row].toLowerCase(), text: (row) => [one.encoders[row], ""] },
    // What ranks comes first, so that ten datasets do not push it out of sight.
    { key: "score", title: "Score", value: (row) => one.total[row], text: (row) => [one.total[row].toFixed(1), ""], range: "total" },
    { key: "rank", title: "Avg Rank", value: (row) => one.rank[row], text: (row) => [one.rank[row].toFixed(2), ""], range: "rank" },
    { key: "average", title: "Avg", value: (row) => one.average[row], text: (row) => percent(one.average[row], one.average_half_width[row]).split("|") },
    ...one.datasets.map((name, column) => ({
      key: `dataset ${name}`, title: name, total: column === 0, value: (row) => one.accuracy[row][column],
      text: (row) => percent(one.accuracy[row][column], one.half_width[row][column]).split("|"),
    })),
  ];

  const board = () => {
    const one = standing(), all = columns(one), words = at("search").value.trim().toLowerCase();
    if (!all.some((column) => column.key === order.key)) order = { key: "score", down: true };
    const by = all.find((column) => column.key === order.key);
    const rows = one.encoders.map((_, row) => row).filter((row) => one.encoders[row].toLowerCase().includes(words));
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    rows.sort((a, b) => (order.down ? -1 : 1) * compare(by.value(a), by.value(b)));
    const table = at("board");
    table.caption.textContent = `${at("track").selectedOptions[0].text}, ${at("family").selectedOptions[0].text}`;
    const head = make("tr");
    for (const column of all) {
      const cell = make("th", undefined, { scope: "col" });
      if (column.label) cell.classList.add("label");
      if (column.total) cell.classList.add("total");
      if (column.key === order.key) cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      const button = make("button", column.title, { type: "button" });
      button.addEventListener("click", () => {
        // The best first: high scores, low ranks, names from A.
        const down = !(column.label || column.key === "rank");
        order = { key: column.key, down: order.key === column.key ? !order.down : down };
        board();
        at("board").tHead.rows[0].cells[all.indexOf(column)].firstChild.focus();
      });
      cell.append(button);
      head.append(cell);
    }
    table.tHead.replaceChildren(head);
    // What reads the same as the best is marked like it.
    const best = all.map((column) => {
      if (column.label || one.encoders.length < 2) return null;
      const texts = one.encoders.map((_, row) => Number(column.text(row)[0]));
      return column.key === "rank" ? Math.min(...texts) : Math.max(...texts);
    });
    table.tBodies[0].replaceChildren(...rows.map((row) => {
      const line = make("tr");
      all.forEach((column, number) => {
        const [text, half] = column.text(row);
        const cell = column.label ? make("th", text, { scope: "row", class: "label" }) : make("td", text);
        if (column.total) cell.classList.add("total");
        if (best[number] !== null && Number(text) === best[number]) cell.classList.add("best");
        if (half) cell.append(make("small", ` ± ${half}`));
        const range = column.range && one.over_datasets ? one.over_datasets[column.range][row] : null;
        if (range) cell.append(make("small", ` [${range.map((x) => x.toFixed(column.key === "rank" ? 1 : 0)).join(", ")}]`));
        line.append(cell);
      });
      return line;
    }));
    at("status").textContent = `${rows.length} of ${one.encoders.length} encoders, ${one.datasets.length} datasets.`;
    at("interval").textContent = one.over_datasets
      ? "In brackets: 95% interval over datasets (bootstrap)."
      : `No interval over datasets is given for fewer than ${data.least_datasets} datasets; see below what one dataset decides.`;
  };

  const without = () => {
    const one = standing();
    at("hinge").textContent = one.hinge;
    const table = at("without");
    table.hidden = one.without === null;
    if (one.without === null) return;
    const head = make("tr");
    head.append(make("th", "Encoder", { scope: "col", class: "label" }));
    head.append(make("th", "all", { scope: "col" }));
    one.datasets.forEach((name, number) => head.append(make("th", `without ${name}`, { scope: "col", class: number ? "" : "total" })));
    table.tHead.replaceChildren(head);
    const best = [one.total, ...one.without].map((scores) => Math.max(...scores.map((score) => Number(score.toFixed(1)))));
    table.tBodies[0].replaceChildren(...one.encoders.map((name, row) => {
      const line = make("tr");
      line.append(make("th", name, { scope: "row", class: "label" }));
      [one.total[row], ...one.without.map((scores) => scores[row])].forEach((score, number) => {
        const cell = make("td", score.toFixed(1));
        if (number === 1) cell.classList.add("total");
        if (one.encoders.length > 1 && Number(score.toFixed(1)) === best[number]) cell.classList.add("best");
        line.append(cell);
      });
      return line;
    }));
  };

  const chart = () => {
    const one = standing(), figure = at("chart"), rows = one.encoders.length;
    const ranges = one.encoders.map((_, row) => {
      if (one.over_datasets) return one.over_datasets.total[row];
      if (one.without === null) return [one.total[row], one.total[row]];
      const scores = one.without.map((list) => list[row]);
      return [Math.min(...scores), Math.max(...scores)];
    });
    const low = Math.min(0, ...ranges.map((r) => r[0])), high = Math.max(1000, ...ranges.map((r) => r[1]));
    const narrow = figure.parentElement.clientWidth < 600;
    const left = narrow ? 150 : 250, width = narrow ? 420 : 860, letters = narrow ? 18 : 30, step = narrow ? 500 : 250;
    const place = (x) => left + ((x - low) / (high - low)) * (width - left - 30);
    const height = 30 + 26 * rows;
    figure.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const parts = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) {
      parts.push(draw("line", { class: "grid", x1: place(tick), x2: place(tick), y1: 0, y2: height - 22 }));
      parts.push(draw("text", { x: place(tick), y: height - 6, "text-anchor": "middle" }, String(tick)));
    }
    one.encoders.forEach((name, row) => {
      const y = 14 + 26 * row;
      const short = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
      parts.push(draw("text", { x: left - 12, y: y + 4, "text-anchor": "end" }, short));
      parts.push(draw("line", { class: "range", x1: place(ranges[row][0]), x2: place(ranges[row][1]), y1: y, y2: y }));
      parts.push(draw("circle", { cx: place(one.total[row]), cy: y, r: 5 }));
    });
    figure.replaceChildren(...parts);
    at("chart-caption").textContent = one.over_datasets
      ? "Score, with its 95% interval over datasets."
      : "Score, with the range of the scores that leave one dataset out.";
  };

  const show = () => { board(); without(); chart(); };
  for (const id of ["track", "family"]) at(id).addEventListener("change", show);
  at("search").addEventListener("input", board);
  addEventListener("resize", () => { if (Object.keys(data.standings).length) chart(); });
  if (Object.keys(data.standings).length) show();
  else at("status").textContent = "There is no contribution yet.";
  root.dataset.ready = "yes";
})();
