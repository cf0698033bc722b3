"use strict";
{
  // "0.83", "-1.5 to 2.0" by its lower end, "95.0%", "13 of 20"
  const number = (text) => parseFloat(text.replace(/(\d),(?=\d{3})/g, "$1"));
  const words = new Intl.Collator(undefined, { numeric: true }).compare;

  function compare(one, other, numbers) {
    const [a, b] = [one, other].map((text) => (numbers ? number(text) : 0));
    // intervals of one lower end are told apart by the rest
    return a - b || words(one, other);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    const original = [...body.rows];

    const sort = (heading, column) => {
      const now = heading.getAttribute("aria-sort");
      const next = { ascending: "descending", descending: "" }[now] ?? "ascending";
      headings.forEach((each) => each.removeAttribute("aria-sort"));
      const rows = [...original];
      if (next) {
        heading.setAttribute("aria-sort", next);
        const numbers = heading.classList.contains("number");
        const text = (row) => row.cells[column].textContent.trim();
        const empty = (row) => !text(row) || (numbers && Number.isNaN(number(text(row))));
        const direction = next === "ascending" ? 1 : -1;
        rows.sort((one, other) => empty(one) - empty(other) ||
          (empty(one) ? 0 : compare(text(one), text(other), numbers) * direction));
      }
      body.append(...rows);
    };

    headings.forEach((heading, column) => {
      if (!heading.textContent.trim()) return;
      const button = document.createElement("button");
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(heading, column));
      heading.append(button);
    });
  }
}
