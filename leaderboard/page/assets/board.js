// The board: what is chosen decides which view is loaded, which rows the table has, and which lines the chart.
// Every text of a submission reaches the page as text (textContent), never as HTML.
"use strict";

(() => {
  const DRAWN_AT_FIRST = 4;
  const index = JSON.parse(document.getElementById("index").textContent);
  const element = Object.fromEntries(
    ["subset", "protocol", "budget", "metric", "tiers", "table", "chart", "about", "show-none", "chart-caption"].map((id) => [id, document.getElementById(id)]),
  );
  const views = new Map();
  let view = null;
  let table = null;
  let drawn = new Set();

  // DataTables' own styles have their dark scheme behind a class.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const followScheme = () => document.documentElement.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", followScheme);
  followScheme();

  // ---- choosing

  function start() {
    const asked = new URLSearchParams(location.hash.slice(1));
    fill(element.subset, index.subsets.map((subset) => subset.name), asked.get("subset") || index.first.subset);
    fillProtocols(asked.get("protocol") || index.first.protocol);
    element.subset.addEventListener("change", () => {
      fillProtocols(element.protocol.value);
      load();
    });
    element.protocol.addEventListener("change", () => load());
    element.budget.addEventListener("change", () => show());
    element.tiers.addEventListener("change", () => show());
    element.metric.addEventListener("change", () => drawChart());
    element["show-none"].addEventListener("click", () => {
      drawn.clear();
      for (const box of element.table.querySelectorAll("input[type=checkbox]")) box.checked = false;
      drawChart();
    });
    window.addEventListener("hashchange", () => {
      const wanted = new URLSearchParams(location.hash.slice(1));
      const same = wanted.get("subset") === element.subset.value && wanted.get("protocol") === element.protocol.value;
      if (!same && wanted.get("subset")) {
        choose(element.subset, wanted.get("subset"));
        fillProtocols(wanted.get("protocol"));
        load(wanted.get("budget"));
      }
    });
    if (index.subsets.length) load(asked.get("budget"));
    else element.about.textContent = "There are no submissions yet.";
  }

  function fill(select, values, wanted, label = (value) => value) {
    select.replaceChildren(...values.map((value) => make("option", { value: String(value), textContent: label(value) })));
    choose(select, wanted);
  }

  function choose(select, wanted) {
    if ([...select.options].some((option) => option.value === String(wanted))) select.value = String(wanted);
  }

  function fillProtocols(wanted) {
    fill(element.protocol, subset().protocols, wanted);
  }

  function subset() {
    return index.subsets.find((known) => known.name === element.subset.value);
  }

  // ---- loading: a script per view, since a page opened from a file may not fetch

  function load(budget) {
    const key = `${element.subset.value}.${element.protocol.value}`;
    const arrived = () => {
      if (key !== `${element.subset.value}.${element.protocol.value}`) return;
      view = views.get(key);
      fill(element.budget, view.budgets, budget || element.budget.value || view.budgets[view.budgets.length - 1]);
      if (!view.budgets.includes(Number(element.budget.value))) element.budget.selectedIndex = view.budgets.length - 1;
      fill(element.metric, view.metrics.map((metric) => metric.name), view.metrics[0].name, label);
      drawn = new Set(bestFirst().slice(0, DRAWN_AT_FIRST));
      for (const entry of view.entries) if (entry.kind === "bar") drawn.add(window.charting.nameOf(entry));
      show();
    };
    if (views.has(key)) {
      arrived();
      return;
    }
    window.receiveView = (received) => views.set(`${received.subset}.${received.protocol}`, received);
    document.head.append(make("script", { src: `data/${key}.js`, onload: arrived }));
  }

  function label(metric) {
    return index.metrics[metric].label;
  }

  function bestFirst() {
    const [first] = view.metrics;
    const value = (entry) => {
      const estimate = entry.scores[element.budget.value]?.[first.name];
      return Array.isArray(estimate) ? first.better * estimate[0] : -Infinity;
    };
    return [...view.entries].sort((a, b) => value(b) - value(a)).map(window.charting.nameOf);
  }

  // ---- the table

  function show() {
    const chosen = subset();
    element.about.replaceChildren();
    if (chosen.page) element.about.append(make("a", { href: `subsets/${chosen.name}.html`, textContent: chosen.name }), `: ${chosen.summary}. `);
    element.about.append(`Protocol ${view.protocol}: ${index.protocols[view.protocol]}.`);
    history.replaceState(null, "", `#${new URLSearchParams({ subset: view.subset, protocol: view.protocol, budget: element.budget.value })}`);
    drawTable();
    drawChart();
  }

  function drawTable() {
    const search = table ? table.search() : "";
    if (table) table.destroy();
    const columns = columnsOf(view);
    const head = make("tr");
    for (const column of columns) {
      const cell = make("th", { scope: "col", textContent: column.title });
      if (column.hint) cell.title = column.hint;
      head.append(cell);
    }
    const body = make("tbody");
    body.append(...rows().map((row) => rowElement(row, columns)));
    const caption = make("caption", { textContent: `${view.subset}, ${view.protocol}, after ${element.budget.value} epochs` });
    const content = make("table", { id: "scores-table", className: "display" });
    content.append(caption, make("thead"), body);
    content.tHead.append(head);
    element.table.replaceChildren(content);
    const [first] = view.metrics;
    const by = (title, better) => [columns.findIndex((column) => column.title === title), better > 0 ? "desc" : "asc"];
    const order = [by("Added", 1), by(label(first.name), first.better)].filter(([column]) => column >= 0);
    table = new window.DataTable(content, {
      paging: false,
      autoWidth: false,
      order,
      columnDefs: [
        { targets: 0, orderable: false, searchable: false },
        { targets: columns.map((column, i) => (column.number ? i : -1)).filter((i) => i >= 0), type: "num" },
      ],
      layout: { topStart: "info", topEnd: "search", bottomStart: null, bottomEnd: null },
      language: { search: "Search:", info: "_TOTAL_ rows", infoEmpty: "no rows", infoFiltered: "of _MAX_", emptyTable: "no method looks at so little", zeroRecords: "no row matches" },
      search: { search },
    });
  }

  function columnsOf({ metrics }) {
    const estimate = (title, hint, better, name) => ({ title, hint, number: true, better, of: (row) => row.scores?.[name] });
    const [first, ...others] = metrics.map(({ name, better }) => estimate(label(name), index.metrics[name].meaning, better, name));
    const hasAdded = metrics.some(({ name }) => name === "r2");
    // What the board is sorted by comes first: on a narrow screen the rest is scrolled to.
    return [
      { title: "Chart", cell: (row) => chartBox(row) },
      { title: "Method", cell: (row) => methodCell(row) },
      { title: "Looks at", cell: (row) => text(row.tier ? row.tier.join(", ") || "nothing" : "–") },
      ...(hasAdded ? [estimate("Added", "to the bar's R²", 1, "added")] : []),
      first,
      ...(view.beside ? [estimate("τ, trained", "Kendall's τ among the networks that learned anything", 1, "trained_tau")] : []),
      estimate("Gain", `over the bar, in ${label(metrics[0].name)}`, 1, "gain"),
      ...others,
      { title: "Seconds", hint: "for all budgets", number: true, better: -1, cell: (row) => ordered(row.seconds === undefined ? "–" : row.seconds.toFixed(1), row.seconds, -1) },
      { title: "Standing", cell: (row) => text(row.standing || "the paper") },
      { title: "Code", cell: (row) => codeCell(row) },
    ];
  }

  function rows() {
    const budget = element.budget.value;
    const allowed = new Set([...element.tiers.querySelectorAll("input:checked")].map((box) => box.value));
    const own = view.entries
      .filter((entry) => entry.tier.every((tier) => allowed.has(tier)) && entry.scores[budget])
      .map((entry) => ({ ...entry, name: window.charting.nameOf(entry), scores: entry.scores[budget] }));
    return [...own, ...paperRows(budget)];
  }

  // The paper's figures of one method at one place in it are one row.
  function paperRows(budget) {
    const byPlace = new Map();
    for (const { epochs, method, place, relation, metric, value } of view.paper) {
      if (String(epochs) !== budget) continue;
      const key = `${method} ${place}`;
      if (!byPlace.has(key)) byPlace.set(key, { name: method, kind: "paper", place, relation: relation === "=" ? "" : relation, scores: {} });
      byPlace.get(key).scores[metric] = [value, null, null];
    }
    return [...byPlace.values()];
  }

  function rowElement(row, columns) {
    const line = make("tr", { className: row.kind });
    line.append(...columns.map((column) => (column.cell ? column.cell(row) : estimateCell(column.of(row), column.better, row))));
    return line;
  }

  function chartBox(row) {
    const cell = make("td");
    if (row.kind === "paper") return cell;
    const box = make("input", { type: "checkbox", checked: drawn.has(row.name) });
    box.setAttribute("aria-label", `draw ${row.name}`);
    box.addEventListener("change", () => {
      if (box.checked) drawn.add(row.name);
      else drawn.delete(row.name);
      drawChart();
    });
    cell.append(box);
    return cell;
  }

  function methodCell(row) {
    const cell = make("th", { scope: "row" });
    if (row.kind === "paper") cell.append(row.name, " ", badge("paper", row.place), make("span", { className: "interval", textContent: row.place }));
    else cell.append(make("a", { href: `methods/${row.method}.html`, textContent: row.name }));
    if (row.kind === "bar") cell.append(" ", badge("the bar", "the trivial method that sees hyperparameters and curves"));
    if (row.kind === "trivial") cell.append(" ", badge("trivial", "on the board for honesty"));
    if (row.draft) cell.append(" ", badge("draft", row.draft));
    return cell;
  }

  function codeCell(row) {
    if (!row.code) return text("–");
    const bundled = row.code.match(/^baselines\/(\w+)\.py$/);
    const address = bundled ? `code/${bundled[1]}.html` : row.code;
    const link = make("a", { href: address, textContent: bundled ? bundled[1] : new URL(row.code).hostname, rel: "nofollow noopener noreferrer" });
    link.setAttribute("aria-label", `code of ${row.name}`);
    const cell = make("td");
    cell.append(link);
    return cell;
  }

  function estimateCell(estimate, better, row) {
    if (!Array.isArray(estimate)) {
      const cell = ordered("–", null, better);
      if (typeof estimate === "string") cell.title = estimate;
      return cell;
    }
    const [value, low, high] = estimate;
    const cell = ordered(`${row.relation ? `${row.relation} ` : ""}${number(value)}`, value, better);
    if (low !== null && high !== null) cell.append(" ", make("span", { className: "interval", textContent: `(${number(low)} to ${number(high)})` }));
    return cell;
  }

  // A missing number is the worst, whichever way the column is sorted best first.
  function ordered(shown, value, better) {
    const cell = text(shown);
    cell.className = "number";
    cell.dataset.order = value ?? (better > 0 ? -Number.MAX_VALUE : Number.MAX_VALUE);
    return cell;
  }

  function number(value) {
    if (value === null) return "–";
    const size = Math.abs(value);
    if (size >= 1e4) return value.toExponential(1);
    return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 3);
  }

  function badge(word, hint) {
    return make("span", { className: "badge", textContent: word, title: hint });
  }

  function text(content) {
    return make("td", { textContent: content });
  }

  function make(tag, properties = {}) {
    return Object.assign(document.createElement(tag), properties);
  }

  // ---- the chart

  async function drawChart() {
    const metric = element.metric.value;
    const points = await window.charting.drawScores(element.chart, view, metric, label(metric), drawn);
    const ceiling = view.ceiling[metric];
    const last = `With 95% bands. ${ceiling === undefined ? "" : `The dotted line is the ceiling, ${number(ceiling)}: what the spread between two seeds leaves.`}`;
    element["chart-caption"].textContent = points.length ? `${label(metric)} on ${view.subset}, ${view.protocol}. ${last}` : "No method is drawn: tick some in the table.";
  }

  start();
})();
