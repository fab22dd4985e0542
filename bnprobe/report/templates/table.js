"use strict";
/* The table of layers: a click on a heading sorts by it, a word above it leaves the layers whose name or kind has it. Rows without a
   value stay at the end whichever way it is sorted; a third click brings back the order of the page, worst first. */
(() => {
  const chosen = new Map(); /* by table, since a page of a run that goes on replaces its tables */
  const tables = () => Array.from(document.querySelectorAll("table.layers"));
  const stateOf = (table) => {
    const number = tables().indexOf(table);
    if (!chosen.has(number)) chosen.set(number, { column: -1, down: false, word: "" });
    return chosen.get(number);
  };
  const rowsOf = (table) => Array.from(table.querySelectorAll("tbody tr"));
  const keyOf = (row, column) => (column === 0 ? row.querySelector("th").textContent.trim() : JSON.parse(row.dataset.keys)[column - 1]);

  function compare(one, other) {
    if (one === null || other === null) return (one === null) - (other === null);
    return typeof one === "string" ? one.localeCompare(other, undefined, { numeric: true }) : one - other;
  }
  function apply(table) {
    const { column, down, word } = stateOf(table);
    const rows = rowsOf(table);
    rows.forEach((row, place) => { row.dataset.place ??= place; });
    rows.sort((one, other) => {
      if (column < 0) return one.dataset.place - other.dataset.place;
      const [a, b] = [keyOf(one, column), keyOf(other, column)];
      const order = compare(a, b);
      return (a === null || b === null ? order : down ? -order : order) || one.dataset.place - other.dataset.place;
    });
    /* Where rows are cut, the first body keeps as many as it shows. */
    const bodies = Array.from(table.tBodies);
    const shown = bodies[0].rows.length;
    rows.forEach((row, place) => bodies[place < shown ? 0 : bodies.length - 1].append(row));
    const wanted = word.trim().toLowerCase();
    let left = 0;
    for (const row of rows) {
      row.hidden = !`${row.cells[0].textContent} ${row.cells[2].textContent}`.toLowerCase().includes(wanted);
      left += !row.hidden;
    }
    table.tHead.querySelectorAll("th").forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const tools = toolsOf(table);
    tools.querySelector("input").value = word;
    tools.querySelector("output").value = wanted ? `${left} of ${rows.length} layers` : "";
  }
  const toolsOf = (table) => table.closest(".wide").previousElementSibling;
  function unfold(table) {
    const button = table.closest(".wide").nextElementSibling;
    if (button?.matches("button.unfold")) button.click();
  }
  function offer() {
    for (const table of tables()) {
      toolsOf(table).hidden = false;
      apply(table);
    }
  }

  document.addEventListener("click", (event) => {
    const head = event.target.closest("table.layers thead th");
    if (!head) return;
    const table = head.closest("table");
    const state = stateOf(table);
    const starts = head.cellIndex > 2; /* numbers begin with the largest, names, places and kinds with the first */
    if (state.column !== head.cellIndex) Object.assign(state, { column: head.cellIndex, down: starts });
    else if (state.down === starts) state.down = !starts;
    else state.column = -1;
    apply(table);
  });
  document.addEventListener("input", (event) => {
    const tools = event.target.closest(".table-tools");
    if (!tools) return;
    const table = tools.nextElementSibling.querySelector("table");
    stateOf(table).word = event.target.value;
    unfold(table);
    apply(table);
  });
  document.addEventListener("bnprobe:renewed", offer);
  offer();
})();
