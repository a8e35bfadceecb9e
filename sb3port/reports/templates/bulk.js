(() => {
  "use strict";
  const table = document.getElementById("models"), body = table.tBodies[0], rows = [...body.rows];
  const search = document.getElementById("search"), shown = document.getElementById("shown");
  const selects = [...document.querySelectorAll("select[data-filter]")], none = document.getElementById("none");
  const number = new Intl.NumberFormat("en");

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = selects.filter((select) => select.selectedIndex > 0).map((select) => [select.dataset.filter, select.value]);
    let count = 0;
    for (const row of rows) {
      const fits = wanted.every(([name, value]) => row.dataset[name] === value)
        && (words.length === 0 || words.every((word) => row.textContent.toLowerCase().includes(word)));
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = number.format(count) + " of " + number.format(rows.length) + " shown";
    none.hidden = count > 0;
  };

  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort ?? cell.textContent.trim();
  };
  const compare = new Intl.Collator("en", { numeric: true, sensitivity: "base" }).compare;
  const sort = (button) => {
    const head = button.closest("th"), column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row) => [key(row, column), row]);
    keyed.sort((a, b) => (a[0] === "") - (b[0] === "") || (down ? -1 : 1) * compare(a[0], b[0]));
    body.append(...keyed.map((pair) => pair[1]));
  };

  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); });
  for (const select of selects) select.addEventListener("change", filter);
  for (const button of table.tHead.querySelectorAll("button")) button.addEventListener("click", () => sort(button));
  for (const button of document.querySelectorAll("button[data-outcome]")) button.addEventListener("click", () => {
    const select = selects.find((one) => one.dataset.filter === "outcome");
    const same = select.value === button.dataset.outcome && select.selectedIndex > 0;
    select.selectedIndex = same ? 0 : [...select.options].findIndex((option, i) => i > 0 && option.value === button.dataset.outcome);
    filter();
  });
  document.getElementById("tools").hidden = false;
  filter();
})();
