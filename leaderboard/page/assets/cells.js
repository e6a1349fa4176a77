// What tables are made of. Every text of a submission reaches the page as text (textContent), never as HTML.
"use strict";

window.cells = (() => {
  function make(tag, properties = {}, ...content) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...content);
    return element;
  }

  function fill(select, values, wanted, label = (value) => value) {
    select.replaceChildren(...values.map((value) => make("option", { value: String(value), textContent: label(value) })));
    choose(select, wanted);
  }

  function choose(select, wanted) {
    if ([...select.options].some((option) => option.value === String(wanted))) select.value = String(wanted);
  }

  function number(value) {
    if (value === null) return "–";
    const size = Math.abs(value);
    const written = size >= 1e4 ? value.toExponential(1) : value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 3);
    return Number(written) === 0 ? written.replace(/^-/, "") : written.replace(/^-/, "−");
  }

  // A cell with an estimate, [value, low, high]; a dash where there is none, or where a text says why.
  function estimate(found, relation = "") {
    const cell = make("td", { className: "number" });
    if (!Array.isArray(found)) {
      cell.append("–");
      if (typeof found === "string") cell.title = found;
      return cell;
    }
    const [value, low, high] = found;
    cell.append(relation ? `${relation} ` : "", number(value));
    if (low !== null && high !== null) cell.append(" ", make("span", { className: "interval", textContent: `(${number(low)} to ${number(high)})` }));
    return cell;
  }

  return { make, fill, number, estimate };
})();
