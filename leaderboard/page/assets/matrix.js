// The matrix of a protocol that tests another subset than it trains on: a row per subset trained on, a column per tested one.
"use strict";

window.matrix = (() => {
  const { make, estimate } = window.cells;

  // Views are of one protocol, one per tested subset.
  function table(views, { method, metric, budget, title }) {
    const scores = (view, trainedOn) => view.entries.find((entry) => entry.method === method && entry.trained_on === trainedOn)?.scores[budget];
    const tested = views.map((view) => view.subset);
    const names = [...new Set([...tested, ...views.flatMap((view) => view.entries.map((entry) => entry.trained_on))])];
    const head = make(
      "thead",
      {},
      make("tr", {}, make("th", { scope: "col", rowSpan: 2, textContent: "Trained on" }), make("th", { scope: "colgroup", colSpan: tested.length, textContent: "Tested on" })),
      make("tr", {}, ...tested.map((name) => make("th", { scope: "col", textContent: name }))),
    );
    const row = (name) => make("tr", {}, make("th", { scope: "row", textContent: name }), ...views.map((view) => (view.subset === name ? same() : shaded(scores(view, name)?.[metric]))));
    return make("table", { className: "matrix" }, make("caption", { textContent: title }), head, make("tbody", {}, ...names.map(row)));
  }

  function same() {
    return make("td", { className: "number", textContent: "–", title: "the same subset" });
  }

  // All metrics of transfer are 1 at best, and 0 for an order that says nothing.
  function shaded(found) {
    const cell = estimate(found);
    if (Array.isArray(found)) cell.style.setProperty("--shade", `${Math.round(40 * Math.min(Math.max(found[0], 0), 1))}%`);
    return cell;
  }

  return { table };
})();
