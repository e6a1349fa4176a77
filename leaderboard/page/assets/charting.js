// Charts in the page's own colours, drawn again when those change. Marks and axes of the SVG carry labels for screen readers.
"use strict";

(() => {
  // Okabe and Ito's colours without the yellow and the black, told apart with every kind of colour blindness.
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"];
  const DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // Vega is three times the rest of a page: it is loaded when a chart comes into view.
  const library = new URL("charts.js", document.currentScript.src).href;
  let vega = null;
  function loadVega() {
    vega ??= new Promise((resolve, reject) => document.head.append(Object.assign(document.createElement("script"), { src: library, onload: resolve, onerror: reject })));
    return vega;
  }

  function whenSeen(element, action) {
    const observer = new IntersectionObserver((seen) => {
      if (!seen.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      action();
    }, { rootMargin: "100px" });
    observer.observe(element);
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function configuration() {
    const [text, line] = [colour("--text"), colour("--line")];
    const axis = { labelColor: text, titleColor: text, domainColor: line, tickColor: line, gridColor: line, gridOpacity: 0.5 };
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      axis: { ...axis, labelFontSize: 12, titleFontSize: 12 },
      legend: { labelColor: text, titleColor: text, labelLimit: 240, symbolStrokeWidth: 2, labelFontSize: 12 },
      view: { stroke: null },
    };
  }

  // `specification` is a function: the page's colours are read again whenever it is drawn.
  async function draw(element, specification, label) {
    await loadVega();
    const redraw = () =>
      window.vegaEmbed(
        element,
        { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", height: 320, autosize: { type: "fit", contains: "padding" }, description: label, ...specification() },
        { renderer: "svg", actions: false, ast: true, config: configuration() },
      );
    element.redraw = redraw;
    await redraw();
  }

  dark.addEventListener("change", () => {
    for (const element of document.querySelectorAll(".chart")) if (element.redraw) element.redraw();
  });

  // Rows of {method, budget, value, low, high} for the entries to draw.
  function scoreRows(view, metric, names) {
    const rows = [];
    for (const entry of view.entries) {
      const name = nameOf(entry);
      if (!names.has(name)) continue;
      for (const [budget, scores] of Object.entries(entry.scores)) {
        const estimate = scores[metric];
        if (!Array.isArray(estimate) || !Number.isFinite(estimate[0])) continue;
        rows.push({ method: name, budget: Number(budget), value: estimate[0], low: estimate[1], high: estimate[2] });
      }
    }
    return rows;
  }

  function nameOf(entry) {
    return entry.trained_on ? `${entry.method} from ${entry.trained_on}` : entry.method;
  }

  // A line with a band per method, and the ceiling where the subset has one. Returns what was drawn, as rows.
  async function drawScores(element, view, { label, shown }, metric, names) {
    const rows = scoreRows(view, metric, names);
    if (!rows.length) {
      element.replaceChildren();
      element.redraw = null;
      element.dataset.drawn = 0;
      return rows;
    }
    const drawn = [...new Set(rows.map((row) => row.method))];
    const references = Object.values(view.references);
    const chart = { rows, drawn, references, label, shown, ceiling: view.ceiling[metric]?.[0], narrow: element.clientWidth < 500 };
    await draw(element, () => ({ data: { values: rows }, layer: scoreLayers(chart) }), `${label} at each budget: ${drawn.join(", ")}, with 95% bands`);
    element.dataset.drawn = drawn.length;
    return rows;
  }

  function scoreLayers({ rows, drawn, references, label, shown, ceiling, narrow }) {
    const legend = { orient: "bottom", columns: narrow ? 1 : 3, title: null, symbolType: "stroke", symbolOpacity: 1, symbolSize: 300 };
    const [colours, dashes] = styles(drawn, references);
    const color = { field: "method", legend, scale: { domain: drawn, range: colours } };
    const strokeDash = { field: "method", legend, scale: { domain: drawn, range: dashes } };
    const x = { field: "budget", type: "quantitative", title: "training epochs seen", axis: { tickMinStep: 1, format: "d" } };
    const y = { type: "quantitative", title: label, scale: { zero: false, ...ends(rows, shown) } };
    const tooltip = [{ field: "method" }, { field: "budget" }, { field: "value", title: label, format: ".3f" }, { field: "low", format: ".3f" }, { field: "high", format: ".3f" }];
    return [
      { mark: { type: "area", opacity: 0.15, clip: true }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color } },
      { mark: { type: "line", point: true, clip: true }, encoding: { x, y: { ...y, field: "value" }, color, strokeDash, tooltip } },
      ...(ceiling === undefined ? [] : ceilingLayers(ceiling, { ...y, field: "ceiling" })),
    ];
  }

  // A label on the line: what it is must be seen without a legend.
  function ceilingLayers(ceiling, y) {
    const data = { values: [{ ceiling }] };
    const ink = colour("--text");
    return [
      { data, mark: { type: "rule", strokeDash: [3, 3], color: ink, strokeWidth: 1.5 }, encoding: { y } },
      { data, mark: { type: "text", align: "left", baseline: "top", dx: 6, dy: 4, color: ink, fontSize: 12, text: `a recipe's mean can reach ${ceiling.toFixed(3)}` }, encoding: { y, x: { value: 0 } } },
    ];
  }

  // The axis ends where the metric's plots do, lest one method far below flatten all others.
  function ends(rows, shown) {
    if (!shown) return {};
    const [lowest, highest] = shown;
    return {
      ...(Math.min(...rows.map((row) => row.low ?? row.value)) < lowest && { domainMin: lowest }),
      ...(Math.max(...rows.map((row) => row.high ?? row.value)) > highest && { domainMax: highest }),
    };
  }

  // The references are drawn in the colour of the text, whoever else is drawn.
  function styles(names, references) {
    const others = names.filter((name) => !references.includes(name));
    const style = (name) => {
      if (references.includes(name)) return [colour("--text"), DASHES[references.indexOf(name) % DASHES.length]];
      const place = others.indexOf(name);
      return [COLOURS[place % COLOURS.length], DASHES[Math.floor(place / COLOURS.length) % DASHES.length]];
    };
    const chosen = names.map(style);
    return [chosen.map(([ink]) => ink), chosen.map(([, dash]) => dash)];
  }

  async function drawCurves(element, columns) {
    const values = columns.epoch.map((epoch, i) => ({ epoch, network: columns.network[i], accuracy: columns.accuracy[i], rate: columns.learning_rate[i] }));
    const encoding = {
      x: { field: "epoch", type: "quantitative", title: "epoch", axis: { tickMinStep: 1 } },
      y: { field: "accuracy", type: "quantitative", title: "validation accuracy (%)" },
      detail: { field: "network" },
      color: { field: "rate", type: "quantitative", scale: { type: "log", scheme: "viridis" }, title: "learning rate", legend: { orient: "bottom", gradientLength: 180, tickCount: 3, format: ".0e" } },
    };
    const mark = { type: "line", opacity: 0.5, strokeWidth: 1, aria: false };
    await draw(element, () => ({ data: { values }, mark, encoding }), "Learning curves: validation accuracy over epochs, a line per network");
    element.dataset.drawn = new Set(columns.network).size;
  }

  window.charting = { drawScores, drawCurves, nameOf, whenSeen };
})();
