// The board: what is chosen decides which view is loaded, which rows and columns the table has, and which lines the chart.
// All that is chosen is in the address.
"use strict";

(() => {
  const DRAWN_AT_FIRST = 4;
  const { make, fill, estimate } = window.cells;
  const index = JSON.parse(document.getElementById("index").textContent);
  const element = Object.fromEntries([...document.querySelectorAll("[id]")].map((found) => [found.id, found]));
  const READABLE = boxes().map((box) => box.value);
  const CEILING = `${index.words.ceiling.name}: ${index.words.ceiling.meaning}`;
  const narrow = window.matchMedia("(max-width: 40rem)");
  let view = null;
  // null: what the table shows first is drawn, and the columns are those that the screen has room for.
  const chosen = { sort: null, columns: null, drawn: null };

  // ---- the address

  function addressed() {
    return new URLSearchParams(location.hash.slice(1));
  }

  function readAddress(asked) {
    const subset = asked.get("subset") || index.first.subset;
    fill(element.subset, index.subsets.map((known) => known.name), subset);
    fillProtocols(asked.get("protocol") || index.first.protocol);
    const reads = asked.has("sees") ? asked.get("sees").split(",") : READABLE;
    for (const box of boxes()) box.checked = reads.includes(box.value);
    element.find.value = asked.get("find") || "";
    const sort = asked.get("sort");
    chosen.sort = sort ? { id: sort.replace(/^-/, ""), best: !sort.startsWith("-") } : null;
    chosen.columns = asked.has("columns") ? asked.get("columns").split(",") : null;
  }

  function writeAddress() {
    const said = { subset: view.subset, protocol: view.protocol, budget: element.budget.value };
    const reads = allowed();
    if (reads.length < READABLE.length) said.sees = reads.join(",");
    if (element.find.value.trim()) said.find = element.find.value.trim();
    if (chosen.sort) said.sort = `${chosen.sort.best ? "" : "-"}${chosen.sort.id}`;
    if (chosen.columns) said.columns = chosen.columns.join(",");
    history.replaceState(null, "", `#${new URLSearchParams(said).toString().replaceAll("%2C", ",")}`);
  }

  // ---- choosing

  function start() {
    const folded = document.querySelectorAll("details[data-wide]");
    for (const details of folded) details.open = !narrow.matches;
    readAddress(addressed());
    element.subset.addEventListener("change", () => {
      fillProtocols(element.protocol.value);
      load();
    });
    element.protocol.addEventListener("change", () => load());
    element.budget.addEventListener("change", () => show());
    element.reads.addEventListener("change", () => show());
    element.find.addEventListener("input", () => show());
    element.metric.addEventListener("change", () => drawChart());
    narrow.addEventListener("change", () => {
      // On a wide screen there is no summary to open them by.
      if (!narrow.matches) for (const details of folded) details.open = true;
      if (view) show();
    });
    for (const select of [element["matrix-method"], element["matrix-metric"]]) select.addEventListener("change", () => drawMatrix());
    element["show-none"].addEventListener("click", () => {
      chosen.drawn = new Set();
      for (const box of element.table.querySelectorAll("input[type=checkbox]")) box.checked = false;
      drawChart();
    });
    element["all-columns"].addEventListener("change", () => {
      chosen.columns = [...element["all-columns"].querySelectorAll("input:checked")].map((box) => box.value);
      show();
    });
    element["usual-columns"].addEventListener("click", () => {
      chosen.columns = null;
      show();
    });
    window.addEventListener("hashchange", () => {
      if (!addressed().get("subset")) return;
      readAddress(addressed());
      load(addressed().get("budget"));
    });
    window.addEventListener("resize", fit);
    if (index.subsets.length) load(addressed().get("budget"));
    else element.about.textContent = "There are no submissions yet.";
  }

  function fillProtocols(wanted) {
    fill(element.protocol, subset().protocols, wanted);
  }

  function subset() {
    return index.subsets.find((known) => known.name === element.subset.value);
  }

  function boxes() {
    return [...element.reads.querySelectorAll("input")];
  }

  function allowed() {
    return boxes().filter((box) => box.checked).map((box) => box.value);
  }

  // ---- loading: a script per view, since a page opened from a file may not fetch

  const views = new Map();
  const received = new Map();
  window.receiveView = (arrived) => {
    const entries = arrived.entries.filter(isWhole);
    received.set(`${arrived.subset}.${arrived.protocol}`, { ...arrived, entries, unreadable: arrived.entries.length - entries.length });
  };

  // One that is not costs its own row, and no other.
  function isWhole(entry) {
    const isText = (value) => typeof value === "string";
    const isTexts = (value) => Array.isArray(value) && value.every(isText);
    const isRecord = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
    const mayBe = (value, is) => value === null || value === undefined || is(value);
    if (!isRecord(entry) || !isText(entry.method) || !isText(entry.kind) || !isTexts(entry.reads) || !isTexts(entry.authors)) return false;
    if (!isRecord(entry.scores) || !Object.values(entry.scores).every(isRecord)) return false;
    return [entry.description, entry.source, entry.code, entry.paper_link, entry.standing, entry.refuted, entry.date, entry.trained_on].every((value) => mayBe(value, isText)) && mayBe(entry.seconds, Number.isFinite);
  }

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
    const wanted = [budget, element.budget.value].map(Number).find((each) => view.budgets.includes(each));
    fill(element.budget, view.budgets, wanted ?? view.opens_at);
    fill(element.metric, view.metrics.map((metric) => metric.name), view.metrics[0].name, label);
    chosen.drawn = null;
    if (chosen.sort && !columnsOf().some(({ id, value }) => id === chosen.sort.id && value)) chosen.sort = null;
    show();
    window.charting.whenSeen(element.chart, drawChart);
  }

  function label(metric) {
    return index.words.metrics[metric].label;
  }

  function meaningOf(column, reference = "") {
    return index.words.columns[column].replace("METRIC", label(view.metrics[0].name)).replace("REFERENCE", reference);
  }

  // ---- the table

  function show() {
    element.about.replaceChildren(...aboutSubset(subset()));
    element.task.replaceChildren(make("b", { textContent: view.protocol }), `: ${index.words.protocols[view.protocol]}`);
    element.summary.textContent = `${view.subset}, ${view.protocol}, ${budgetText()}`;
    element.csv.href = `data/${view.subset}.${view.protocol}.csv`;
    element.csv.download = `${view.subset}.${view.protocol}.csv`;
    writeAddress();
    drawTable();
    drawChart();
    showMatrix();
  }

  function aboutSubset({ name, summary, version, unfinished }) {
    if (!version) return [`${name}: ${summary}.`];
    const said = [make("a", { href: `subsets/${name}.html`, textContent: `${name} ${version}` }), `: ${summary}. `];
    return unfinished ? [...said, make("strong", { textContent: index.words.subsets.unfinished })] : said;
  }

  function drawTable(focused = null) {
    const columns = columnsOf();
    const shown = columns.filter(({ id }) => shownIds(columns).includes(id));
    const own = rows();
    const options = { caption: `${view.subset}, ${view.protocol}, ${budgetText()}`, columns: shown, groups: index.groups, rows: own, sort: sort(), empty: whyEmpty(), onSort };
    element.table.replaceChildren(window.scoreTable.build(options));
    const count = own.filter((row) => row.group !== "reference").length;
    const all = view.entries.filter((entry) => entry.kind !== "reference" && entry.scores[element.budget.value]).length + paperRows(element.budget.value).length;
    const unreadable = view.unreadable ? `, ${view.unreadable} more cannot be shown` : "";
    element.count.textContent = `${count === all ? "" : `${count} of `}${all} ${all === 1 ? "row" : "rows"}${unreadable}`;
    element.meanings.replaceChildren(...columns.filter(({ hint }) => hint).flatMap(({ title, hint }) => [make("dt", { textContent: title }), make("dd", { textContent: hint })]));
    fillChooser(columns, shown);
    if (focused) element.table.querySelector(`th.${CSS.escape(focused)} button`)?.focus();
    fit();
  }

  // With more columns than there is room for, the table scrolls in a box of its own, its heads with it.
  function fit() {
    element.table.classList.remove("scrolls");
    element.table.classList.toggle("scrolls", element.table.scrollWidth > element.table.clientWidth + 1);
  }

  function sort() {
    return chosen.sort || { id: view.metrics[0].name, best: true };
  }

  function onSort(id) {
    const now = sort();
    chosen.sort = { id, best: now.id === id ? !now.best : true };
    writeAddress();
    drawTable(id);
    if (!chosen.drawn) drawChart();
  }

  function shownIds(columns) {
    if (chosen.columns) return ["method", ...chosen.columns];
    return columns.filter((column) => (narrow.matches ? column.phone : column.main)).map(({ id }) => id);
  }

  function fillChooser(columns, shown) {
    const box = ({ id, title }) => {
      const input = make("input", { type: "checkbox", value: id, checked: shown.some((column) => column.id === id) });
      return make("label", {}, input, ` ${title}`);
    };
    if (element["all-columns"].contains(document.activeElement)) return;
    element["all-columns"].replaceChildren(...columns.filter(({ id }) => id !== "method").map(box));
  }

  function columnsOf() {
    const text = (id, title, hint, value, more = {}) => ({ id, title, hint, value, cell: (row) => make("td", { textContent: value(row) ?? "–" }), ...more });
    const score = (id, title, hint, better, find, more = {}) => ({
      id,
      title,
      hint,
      better,
      value: (row) => (Array.isArray(find(row)) ? find(row)[0] : null),
      cell: (row) => (row.kind === "ceiling" && !(id in row.scores) ? make("td") : estimate(row.kind === "ceiling" ? row.scores[id] : find(row), row.relation)),
      ...more,
    });
    const has = (name, key) => view.entries.some((entry) => Object.values(entry.scores).some((scores) => scores[name]?.[key]));
    const over = (name, title, more) => index.references.filter(({ key }) => has(name, key)).map(({ key, name: said }) => score(`${name}-${key}`, `${title} ${said}`, meaningOf(name, said), 1, (row) => row.scores[name]?.[key], more));
    const metric = ({ name, better }, more) => score(name, label(name), index.words.metrics[name].meaning, better, (row) => row.scores[name], more);
    const [first, ...others] = view.metrics;
    const added = over("added", "Added to", { main: true });
    const gain = over("gain", "Gain over", { main: !added.length });
    const beside = added.length ? added : gain;
    if (beside.length) beside[0].phone = true;
    return [
      ...(hasLines() ? [{ id: "draw", title: "Chart", cell: (row) => chartBox(row), main: true }] : []),
      ...(index.only.length ? [] : [{ id: "rank", title: "Rank", hint: meaningOf("rank"), better: -1, value: (row) => row.scores.rank ?? null, cell: (row) => make("td", { className: "number", textContent: row.scores.rank ?? "" }), main: true, phone: true }]),
      { id: "method", title: "Method", cell: (row) => methodCell(row), value: (row) => row.name, better: -1, main: true, phone: true },
      text("sees", "Sees", meaningOf("sees"), (row) => (row.reads ? row.reads.join(", ") || "nothing" : null), { better: -1 }),
      metric(first, { main: true, phone: true }),
      ...added,
      ...(view.beside ? [score("trained_tau", "τ, trained", meaningOf("trained_tau"), 1, (row) => row.scores.trained_tau, { main: true })] : []),
      ...gain,
      ...others.map((other) => metric(other, { main: !added.length })),
      text("standing", "Standing", index.standings.map((name) => `${name}: ${index.words.standings[name]}`).join("; "), (row) => row.standing ?? null, { main: true, value: (row) => (row.standing === "refuted" ? -1 : row.standing ? index.standings.indexOf(row.standing) : null), better: 1, cell: (row) => make("td", { textContent: row.standing ?? (row.kind === "paper" ? "the paper" : "") }) }),
      text("date", "Date", meaningOf("date"), (row) => row.date ?? null, { main: true, better: 1, cell: (row) => make("td", { className: "number", textContent: row.date ?? "" }) }),
      { id: "links", title: "Links", cell: (row) => linksCell(row), main: true },
      { id: "draws", title: "Draws", hint: meaningOf("draws"), better: 1, value: (row) => row.scores.draws ?? null, cell: (row) => make("td", { className: "number", textContent: row.scores.draws ?? "–" }) },
      text("authors", "Authors", "", (row) => row.authors?.join(", ") ?? null, { better: -1 }),
      { id: "seconds", title: "Seconds", hint: meaningOf("seconds"), better: -1, value: (row) => row.seconds ?? null, cell: (row) => make("td", { className: "number", textContent: row.seconds === undefined ? "–" : row.seconds.toFixed(1) }) },
    ];
  }

  function rows() {
    const budget = element.budget.value;
    const reads = new Set(allowed());
    const words = element.find.value.trim().toLowerCase();
    const found = (row) => !words || [row.name, row.description, row.source, ...(row.authors || [])].some((text) => text?.toLowerCase().includes(words));
    const own = view.entries
      .filter((entry) => entry.scores[budget])
      .map((entry) => ({ ...entry, group: entry.kind, name: window.charting.nameOf(entry), scores: entry.scores[budget] }));
    const [pinned, others] = [own.filter((row) => row.kind === "reference"), own.filter((row) => row.kind !== "reference")];
    const order = Object.values(view.references);
    // One in whose place another stands comes after those that the others are compared with.
    const place = ({ method }) => (order.includes(method) ? order.indexOf(method) : order.length);
    pinned.sort((a, b) => place(a) - place(b));
    return [...pinned, ...ceilingRow(), ...others.filter((row) => row.reads.every((read) => reads.has(read)) && found(row)), ...paperRows(budget).filter(found)];
  }

  function whyEmpty() {
    if (!view.entries.length) return "No method is submitted here yet: only the paper's figures are shown.";
    if (!view.entries.some((entry) => entry.kind === "method" && entry.scores[element.budget.value])) return `No method is submitted ${budgetText()}.`;
    const words = element.find.value.trim();
    if (words && allowed().length === READABLE.length) return `No method matches “${words}”.`;
    return `No method sees so little${words ? ` and matches “${words}”` : ""}: also allow ${READABLE.filter((read) => !allowed().includes(read)).join(" or ")}.`;
  }

  // The paper's figures of one method at one place in it are one row.
  function paperRows(budget) {
    const byPlace = new Map();
    for (const { budget: own, method, place, relation, metric, value } of view.paper) {
      if (String(own) !== budget) continue;
      const key = `${method} ${place}`;
      if (!byPlace.has(key)) byPlace.set(key, { name: method, kind: "paper", group: "paper", place, relation: relation === "=" ? "" : relation, scores: {} });
      byPlace.get(key).scores[metric] = [value, null, null];
    }
    return [...byPlace.values()];
  }

  // What the spread between two seeds of one configuration leaves.
  function ceilingRow() {
    return Object.keys(view.ceiling).length ? [{ name: "ceiling", kind: "ceiling", group: "reference", scores: view.ceiling }] : [];
  }

  function chartBox(row) {
    if (row.kind === "paper" || row.kind === "ceiling") return make("td");
    const box = make("input", { type: "checkbox", checked: drawn().has(row.name) });
    box.setAttribute("aria-label", `draw ${row.name}`);
    box.addEventListener("change", () => {
      chosen.drawn = new Set(drawn());
      if (box.checked) chosen.drawn.add(row.name);
      else chosen.drawn.delete(row.name);
      drawChart();
    });
    return make("td", {}, box);
  }

  function methodCell(row) {
    const cell = make("th", { scope: "row" });
    if (row.kind === "ceiling") return make("th", { scope: "row", textContent: index.words.ceiling.name, title: CEILING });
    if (row.kind === "paper") cell.append(row.name);
    else cell.append(make("a", { href: `methods/${row.method}.html`, textContent: row.name, title: row.description }));
    const reference = index.references.find(({ key }) => view.references[key] === row.method);
    if (row.kind === "reference" && reference) cell.append(" ", badge(reference.name, reference.meaning));
    if (row.refuted) cell.append(" ", badge("refuted", row.refuted));
    if (row.draft) cell.append(" ", badge("draft", row.draft));
    if (row.sealed === false) cell.append(" ", badge("not sealed", index.words.rows.unsealed));
    if (row.scores.draws < mostDraws()) cell.append(" ", badge(row.scores.draws === 1 ? "1 draw" : `${row.scores.draws} draws`, index.words.rows.draws));
    if (row.place) cell.append(make("span", { className: "interval", textContent: row.place }));
    else cell.append(make("span", { className: "interval sees", textContent: `sees ${row.reads.join(", ") || "nothing"}` }));
    return cell;
  }

  // Of the folds, that a reference's score at this budget is the mean over.
  function mostDraws() {
    const references = view.entries.filter((entry) => Object.values(view.references).includes(entry.method));
    return Math.max(1, ...references.map((entry) => entry.scores[element.budget.value]?.draws ?? 1));
  }

  function linksCell(row) {
    const links = [];
    if (row.code) links.push(link(bundledCode(row.code) || row.code, "code", `code of ${row.name}`));
    if (row.paper_link) links.push(link(row.paper_link, "paper", `paper of ${row.name}`));
    return make("td", {}, ...links.flatMap((found, i) => (i ? [" ", found] : [found])));
  }

  function bundledCode(code) {
    const bundled = code.match(/^baselines\/(\w+)\.py$/);
    return bundled && `code/${bundled[1]}.html`;
  }

  function link(href, text, said) {
    const made = make("a", { href, textContent: text, rel: "nofollow noopener noreferrer" });
    made.setAttribute("aria-label", said);
    return made;
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

  // What the table shows first, and the rows that it is read beside.
  function drawn() {
    if (chosen.drawn) return chosen.drawn;
    const all = rows();
    const shown = index.groups.flatMap(({ kind }) => window.scoreTable.sorted(all.filter((row) => row.group === kind && row.kind !== "paper"), columnsOf(), sort()));
    return new Set([...all.filter((row) => row.kind === "reference"), ...shown.slice(0, DRAWN_AT_FIRST)].map((row) => row.name));
  }

  async function drawChart() {
    const metric = element.metric.value;
    element["chart-section"].hidden = !hasLines();
    if (!hasLines() || !nearlySeen(element.chart)) return;
    const points = await window.charting.drawScores(element.chart, view, index.words.metrics[metric], metric, drawn());
    const ceiling = metric in view.ceiling ? ` The dotted line is ${CEILING}` : "";
    element["chart-caption"].textContent = points.length ? `${label(metric)} on ${view.subset}, ${view.protocol}, with 95% bands.${ceiling}` : "No method is drawn: tick some in the table.";
  }

  function nearlySeen(chart) {
    return chart.dataset.drawn !== undefined || chart.getBoundingClientRect().top < window.innerHeight + 100;
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
