"use strict";
// Charts: the point nearest to the pointer says what it is; a name in the legend hides and shows its series.
for (const plot of document.querySelectorAll(".plot")) {
  const [svg, told] = [plot.querySelector("svg"), plot.querySelector(".told")];
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let [best, least] = [null, 900];
    for (const dot of svg.querySelectorAll("g:not([hidden]) circle")) {
      const far = (dot.cx.baseVal.value - x) ** 2 + (dot.cy.baseVal.value - y) ** 2;
      if (far < least) [best, least] = [dot, far];
    }
    svg.querySelector(".lit")?.classList.remove("lit");
    best?.classList.add("lit");
    told.textContent = best ? best.querySelector("title").textContent : "";
  };
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("click", nearest);
  for (const button of plot.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", shown);
      for (const series of svg.querySelectorAll("g[data-name]")) {
        if (series.dataset.name === button.dataset.name) series.toggleAttribute("hidden", !shown);
      }
    });
  }
}

// Tables: a click on a head sorts by it, a second one the other way; what is no number comes last.
for (const table of document.querySelectorAll("table.sorts")) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.firstElementChild.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const number = (row) => (value(row) === "" ? NaN : Number(value(row)));
      const rows = [...table.tBodies[0].rows].sort((one, other) => {
        if (!head.classList.contains("number")) return value(one).localeCompare(value(other), undefined, { numeric: true });
        const [a, b] = [number(one), number(other)];
        if (isNaN(a) || isNaN(b)) return (isNaN(a) - isNaN(b)) * (down ? -1 : 1);
        return a - b;
      });
      table.tBodies[0].replaceChildren(...(down ? rows.reverse() : rows));
    });
  });
}

// Tiles: a word shows those that have it; a click on a picture shows it larger.
for (const field of document.querySelectorAll("input.find")) {
  field.hidden = false;
  const tiles = [...field.parentElement.querySelectorAll(".tiles > div")];
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const tile of tiles) tile.hidden = !words.every((word) => tile.textContent.toLowerCase().includes(word));
  });
}
const large = document.querySelector("dialog.large");
for (const picture of large ? document.querySelectorAll("button.open img") : []) {
  picture.parentElement.addEventListener("click", () => {
    large.querySelector("img").src = picture.src;
    large.querySelector("img").alt = picture.alt;
    large.querySelector("p").textContent = picture.alt;
    large.showModal();
  });
}
large?.addEventListener("click", () => large.close());
