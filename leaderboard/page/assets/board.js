// The board: what is chosen decides which view is loaded, which rows the table has, and which lines the chart.
"use strict";

(() => {
  const DRAWN_AT_FIRST = 4;
  const CEILING = "the score of whoever knew what each configuration reaches on average; the rest is the spread between two seeds.";
  const { make, fill, choose, number, estimate } = window.cells;
  const index = JSON.parse(document.getElementById("index").textContent);
  const element = Object.fromEntries([...document.querySelectorAll("[id]")].map((found) => [found.id, found]));
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
    for (const select of [element["matrix-method"], element["matrix-metric"]]) select.addEventListener("change", () => drawMatrix());
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

  function fillProtocols(wanted) {
    fill(element.protocol, subset().protocols, wanted);
  }

  function subset() {
    return index.subsets.find((known) => known.name === element.subset.value);
  }

  // ---- loading: a script per view, since a page opened from a file may not fetch

  const received = new Map();
  window.receiveView = (arrived) => received.set(`${arrived.subset}.${arrived.protocol}`, arrived);

  function viewOf(subsetName, protocol) {
    const key = `${subsetName}.${protocol}`;
    if (!views.has(key)) {
      const arrival = (resolve) => document.head.append(make("script", { src: `data/${key}.js`, onload: () => resolve(received.get(key)) }));
      views.set(key, new Promise(arrival));
    }
    return views.get(key);
  }

  async function load(budget) {
    const arrived = await viewOf(element.subset.value, element.protocol.value);
    if (arrived.subset !== element.subset.value || arrived.protocol !== element.protocol.value) return;
    view = arrived;
    fill(element.budget, view.budgets, budget || element.budget.value || view.budgets[view.budgets.length - 1]);
    if (!view.budgets.includes(Number(element.budget.value))) element.budget.selectedIndex = view.budgets.length - 1;
    fill(element.metric, view.metrics.map((metric) => metric.name), view.metrics[0].name, label);
    drawn = new Set(bestFirst().slice(0, DRAWN_AT_FIRST));
    for (const entry of view.entries) if (entry.kind === "bar") drawn.add(window.charting.nameOf(entry));
    show();
  }

  function label(metric) {
    return index.words.metrics[metric].label;
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
    element.about.replaceChildren(...aboutSubset(subset()));
    element.task.replaceChildren(make("b", { textContent: view.protocol }), `: ${index.words.protocols[view.protocol]}`);
    history.replaceState(null, "", `#${new URLSearchParams({ subset: view.subset, protocol: view.protocol, budget: element.budget.value })}`);
    drawTable();
    drawChart();
    showMatrix();
  }

  function aboutSubset({ name, summary, version, unfinished }) {
    if (!version) return [`${name}: ${summary}.`];
    const said = [make("a", { href: `subsets/${name}.html`, textContent: `${name} ${version}` }), `: ${summary}. `];
    return unfinished ? [...said, make("strong", { textContent: index.words.subsets.unfinished })] : said;
  }

  function drawTable() {
    const search = table ? table.search() : "";
    if (table) table.destroy();
    const columns = columnsOf(view);
    const head = make("tr", {}, ...columns.map(({ title, hint }) => make("th", { scope: "col", textContent: title, title: hint || "" })));
    const caption = make("caption", { textContent: `${view.subset}, ${view.protocol}, ${budgetText()}` });
    const body = make("tbody", {}, ...rows().map((row) => rowElement(row, columns)));
    const content = make("table", { id: "scores-table", className: "row-border" }, caption, make("thead", {}, head), body, ...ceilingRow(columns));
    element.table.replaceChildren(content);
    element.meanings.replaceChildren(...columns.filter(({ hint }) => hint).flatMap(({ title, hint }) => [make("dt", { textContent: title }), make("dd", { textContent: hint })]));
    const [first] = view.metrics;
    const places = (wanted) => columns.flatMap((column, i) => (wanted(column) ? [i] : []));
    const by = (title, better) => [columns.findIndex((column) => column.title === title), better > 0 ? "desc" : "asc"];
    const order = [by("Added", 1), by(label(first.name), first.better)].filter(([column]) => column >= 0);
    table = new window.DataTable(content, {
      paging: false,
      autoWidth: false,
      order,
      columnDefs: [
        { targets: places((column) => column.fixed), orderable: false, searchable: false },
        { targets: places((column) => column.number), type: "num" },
      ],
      layout: { topStart: "info", topEnd: "search", bottomStart: null, bottomEnd: null },
      language: { search: "Search:", info: "_TOTAL_ rows", infoEmpty: "no rows", infoFiltered: "of _MAX_", emptyTable: "no method looks at so little", zeroRecords: "no row matches" },
      search: { search },
    });
  }

  function columnsOf({ metrics }) {
    const score = (title, hint, better, name) => ({ title, hint, number: true, better, name });
    const [first, ...others] = metrics.map(({ name, better }) => score(label(name), index.words.metrics[name].meaning, better, name));
    const has = (name) => view.entries.some((entry) => Object.values(entry.scores).some((scores) => scores[name]));
    // What the board is sorted by comes first: on a narrow screen the rest is scrolled to.
    return [
      ...(hasLines() ? [{ title: "Chart", fixed: true, cell: (row) => chartBox(row) }] : []),
      { title: "Method", cell: (row) => methodCell(row) },
      ...(has("added") ? [score("Added", "what the best blend of method and bar adds to the bar's R²: 0 says that the bar already knew", 1, "added")] : []),
      first,
      ...(view.beside ? [score("τ, trained", "Kendall's τ among the networks that learned anything", 1, "trained_tau")] : []),
      ...(has("gain") ? [score("Gain", `how much better than the bar in ${label(metrics[0].name)}`, 1, "gain")] : []),
      ...others,
      { title: "Seconds", hint: "to fit and predict, all folds and budgets together", number: true, better: -1, cell: (row) => ordered(make("td", { className: "number", textContent: row.seconds === undefined ? "–" : row.seconds.toFixed(1) }), row.seconds, -1) },
      { title: "Standing", hint: "self-reported: the scores follow from the submitted predictions; rerun: the maintainers ran the code again; audited: it ran on networks trained afterwards", cell: (row) => make("td", { textContent: row.standing || "the paper" }) },
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
    return make("tr", { className: row.kind }, ...columns.map((column) => (column.cell ? column.cell(row) : scoreCell(row, column))));
  }

  function scoreCell(row, { name, better }) {
    const found = row.scores[name];
    return ordered(estimate(found, row.relation), Array.isArray(found) ? found[0] : null, better);
  }

  // A missing number is the worst, whichever way the column is sorted best first.
  function ordered(cell, value, better) {
    cell.dataset.order = value ?? (better > 0 ? -Number.MAX_VALUE : Number.MAX_VALUE);
    return cell;
  }

  // What the spread between two seeds of one configuration leaves stands below the scores, however they are sorted.
  function ceilingRow(columns) {
    if (!Object.keys(view.ceiling).length) return [];
    const cell = ({ title, name }) => {
      if (title === "Method") return make("th", { scope: "row", textContent: "ceiling", title: CEILING });
      return make("td", { className: "number", textContent: name in view.ceiling ? number(view.ceiling[name]) : "" });
    };
    return [make("tfoot", {}, make("tr", { className: "ceiling" }, ...columns.map(cell)))];
  }

  function chartBox(row) {
    if (row.kind === "paper") return make("td");
    const box = make("input", { type: "checkbox", checked: drawn.has(row.name) });
    box.setAttribute("aria-label", `draw ${row.name}`);
    box.addEventListener("change", () => {
      if (box.checked) drawn.add(row.name);
      else drawn.delete(row.name);
      drawChart();
    });
    return make("td", {}, box);
  }

  function methodCell(row) {
    const cell = make("th", { scope: "row" });
    if (row.kind === "paper") cell.append(row.name, " ", badge("paper", row.place));
    else cell.append(make("a", { href: `methods/${row.method}.html`, textContent: row.name }));
    if (row.kind === "bar") cell.append(" ", badge("the bar", "the trivial method that sees hyperparameters and curves"));
    if (row.kind === "trivial") cell.append(" ", badge("trivial", "on the board for honesty"));
    if (row.draft) cell.append(" ", badge("draft", row.draft));
    cell.append(make("span", { className: "interval", textContent: row.place || `sees ${row.tier.join(", ") || "nothing"}` }));
    return cell;
  }

  function codeCell(row) {
    if (!row.code) return make("td", { textContent: "–" });
    const bundled = row.code.match(/^baselines\/(\w+)\.py$/);
    const address = bundled ? `code/${bundled[1]}.html` : row.code;
    const link = make("a", { href: address, textContent: bundled ? bundled[1] : new URL(row.code).hostname, rel: "nofollow noopener noreferrer" });
    link.setAttribute("aria-label", `code of ${row.name}`);
    return make("td", {}, link);
  }

  function badge(word, hint) {
    return make("span", { className: "badge", textContent: word, title: hint });
  }

  function budgetText() {
    return `after ${element.budget.value} epoch${element.budget.value === "1" ? "" : "s"}`;
  }

  // ---- the chart

  // One budget is a point, and no line.
  function hasLines() {
    return view.budgets.length > 1;
  }

  async function drawChart() {
    const metric = element.metric.value;
    element["chart-section"].hidden = !hasLines();
    const points = await window.charting.drawScores(element.chart, view, index.words.metrics[metric], metric, hasLines() ? drawn : new Set());
    const ceiling = metric in view.ceiling ? ` The dotted line is the ceiling: ${CEILING}` : "";
    element["chart-caption"].textContent = points.length ? `${label(metric)} on ${view.subset}, ${view.protocol}, with 95% bands.${ceiling}` : "No method is drawn: tick some in the table.";
  }

  // ---- the matrix, of the protocol that tests another subset than it trains on

  function showMatrix() {
    element["matrix-section"].hidden = !view.entries.some((entry) => entry.trained_on);
    if (element["matrix-section"].hidden) return;
    const methods = [...new Set(view.entries.filter((entry) => entry.scores[element.budget.value]).map((entry) => entry.method))].sort();
    fill(element["matrix-method"], methods, element["matrix-method"].value);
    fill(element["matrix-metric"], view.metrics.map((metric) => metric.name), element["matrix-metric"].value, label);
    drawMatrix();
  }

  async function drawMatrix() {
    const { protocol } = view;
    const others = index.subsets.filter((known) => known.protocols.includes(protocol));
    const all = await Promise.all(others.map((known) => viewOf(known.name, protocol)));
    if (view.protocol !== protocol) return;
    const [method, metric, budget] = [element["matrix-method"].value, element["matrix-metric"].value, element.budget.value];
    const title = `${method}, ${label(metric)}, ${budgetText()}`;
    element.matrix.replaceChildren(window.matrix.table(all, { method, metric, budget, title }));
  }

  start();
})();
