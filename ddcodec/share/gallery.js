"use strict";
// A press on a column's title sorts by it, a second one turns the order; what is unknown stays last.
const body = document.querySelector("tbody");
for (const head of document.querySelectorAll("th[aria-sort]")) {
  head.querySelector("button").addEventListener("click", () => {
    const turn = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of document.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending");
    const value = (row) => row.cells[head.cellIndex].dataset.value;
    const numbers = head.classList.contains("n");
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return turn * (numbers ? x - y : x.localeCompare(y, "en", { numeric: true }));
    });
    body.append(...rows);
  });
}
