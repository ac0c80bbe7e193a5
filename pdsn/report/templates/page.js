"use strict";
// A click on a heading sorts the table by that column, numbers highest first and words from A; the next one sorts the other
// way round, and the third brings the first order back.
const NUMBER = /^[+-]?\d+(\.\d+)?( \(.*\))?$/;
const valueOf = (cell) => {
  if (cell.dataset.key !== undefined) return Number(cell.dataset.key);
  const text = cell.textContent.trim();
  return NUMBER.test(text) ? Number.parseFloat(text) : text;
};
const compare = (a, b, sign) => {
  // What is empty stands last, whatever the order.
  if (a === "" || b === "") return (a === "") - (b === "");
  if (typeof a === typeof b) return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
  return typeof a === "number" ? -1 : 1;
};
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  for (const button of table.querySelectorAll("thead button")) {
    const heading = button.parentElement;
    button.addEventListener("click", () => {
      const column = heading.cellIndex;
      const numeric = original.some((row) => typeof valueOf(row.cells[column]) === "number");
      const orders = numeric ? ["descending", "ascending"] : ["ascending", "descending"];
      const next = orders[orders.indexOf(heading.getAttribute("aria-sort")) + 1];
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      const rows = [...original];
      if (next !== undefined) {
        heading.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        rows.sort((a, b) => compare(valueOf(a.cells[column]), valueOf(b.cells[column]), sign));
      }
      body.append(...rows);
    });
  }
}
// Printed, everything is shown.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
