// The pages of methods and subsets: each chart says which data block of the page it draws.
"use strict";

(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  for (const element of document.querySelectorAll(".chart[data-view]")) {
    const view = read(element.dataset.view);
    const { name } = view.metrics[0];
    const draw = () => window.charting.drawScores(element, view, read("metrics")[name], name, new Set(view.entries.map(window.charting.nameOf)));
    window.charting.whenSeen(element, draw);
  }
  for (const element of document.querySelectorAll(".chart[data-curves]")) {
    window.charting.whenSeen(element, () => window.charting.drawCurves(element, read(element.dataset.curves)));
  }
})();
