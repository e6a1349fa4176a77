// The table of scores: reference rows that stay in view under the heads, methods, and groups below them; each sorted alike.
"use strict";

window.scoreTable = (() => {
  const { make } = window.cells;

  // A column is {id, title, hint, cell(row), value(row), better}; it is sorted by `value`, the best first, if it has one.
  // `rows` have a `group`; `groups` are {kind, name, meaning}, those named "reference" stand in the head.
  function build({ caption, columns, groups, rows, sort, empty, onSort }) {
    const heads = columns.map((column) => head(column, sort, onSort));
    const table = make("table", { id: "scores-table" }, make("caption", { textContent: caption }));
    const pinned = rows.filter((row) => row.group === "reference").map((row) => rowElement(row, columns));
    table.append(make("thead", {}, make("tr", {}, ...heads), ...pinned));
    for (const group of groups) {
      const own = rows.filter((row) => row.group === group.kind);
      if (!own.length && group.kind !== "method") continue;
      const body = make("tbody", { className: group.kind });
      if (group.name) body.append(groupHead(group, columns.length));
      body.append(...sorted(own, columns, sort).map((row) => rowElement(row, columns)));
      if (!own.length) body.append(make("tr", { className: "empty" }, make("td", { colSpan: columns.length, textContent: empty })));
      table.append(body);
    }
    return table;
  }

  function head({ id, title, hint, value, better }, sort, onSort) {
    const cell = make("th", { scope: "col", className: id, title: hint || "" });
    if (!value) {
      cell.append(title);
      return cell;
    }
    const button = make("button", { type: "button", textContent: title });
    button.addEventListener("click", () => onSort(id));
    cell.append(button);
    if (sort.id === id) cell.setAttribute("aria-sort", (sort.best ? 1 : -1) * (better || 1) > 0 ? "descending" : "ascending");
    return cell;
  }

  function groupHead({ name, meaning }, width) {
    return make("tr", { className: "group" }, make("th", { scope: "rowgroup", colSpan: width }, make("b", { textContent: name }), ` ${meaning}`));
  }

  function rowElement(row, columns) {
    const cells = columns.map((column) => {
      const cell = attempt(() => column.cell(row)) || make("td", { textContent: "–", title: "cannot be shown" });
      cell.classList.add(column.id);
      return cell;
    });
    return make("tr", { className: row.kind }, ...cells);
  }

  // What a cell cannot show costs that cell, and not the table.
  function attempt(action) {
    try {
      return action();
    } catch {
      return null;
    }
  }

  // What has no value stands last, whichever way is sorted; equal ones as they were.
  function sorted(rows, columns, { id, best }) {
    const column = columns.find((known) => known.id === id);
    if (!column) return rows;
    const [there, missing] = [[], []];
    const value = (row) => attempt(() => column.value(row)) ?? null;
    for (const row of rows) (value(row) === null ? missing : there).push(row);
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(String(b)) : a - b);
    const sign = (best ? 1 : -1) * (column.better || 1);
    return [...there.sort((a, b) => -sign * compare(value(a), value(b))), ...missing];
  }

  return { build, sorted };
})();
