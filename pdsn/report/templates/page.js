"use strict";
// A click on a heading sorts the table by that column, the next one the other way round.
const valueOf = (cell) => {
  if (cell.dataset.key !== undefined) return Number(cell.dataset.key);
  const number = Number.parseFloat(cell.textContent);
  return Number.isNaN(number) ? cell.textContent : number;
};
const compare = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a.localeCompare(b);
};
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const table = heading.closest("table");
    const column = heading.cellIndex;
    const sign = heading.getAttribute("aria-sort") === "descending" ? 1 : -1;
    for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => sign * compare(valueOf(a.cells[column]), valueOf(b.cells[column])));
    table.tBodies[0].append(...rows);
  });
}
// Printed, everything is shown.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
