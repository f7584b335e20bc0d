"use strict";

for (const compare of document.querySelectorAll(".compare")) {
  const stage = compare.querySelector(".stage");
  const slider = stage.querySelector("input");
  const [left, right] = compare.querySelectorAll("select");

  const show = () => {
    stage.style.setProperty("--at", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % ${left.value}, the rest ${right.value}`);
    stage.querySelector(".on-left").textContent = left.value;
    stage.querySelector(".on-right").textContent = right.value;
    for (const image of stage.querySelectorAll("img")) {
      const { version } = image.dataset;
      image.hidden = version !== left.value && version !== right.value;
      // The same version on both sides needs no divider: then the whole image is the lower one.
      image.classList.toggle("before", version === left.value && version !== right.value);
    }
  };
  for (const control of [slider, left, right]) control.addEventListener("input", show);
  show();
}

const table = document.querySelector("#per-image");
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];

const sortBy = (column, direction) => {
  const key = (row) => {
    const text = row.cells[column].textContent;
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
  body.replaceChildren(...rows.map(([, row]) => row));
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", direction);
};

headings.forEach((heading, column) => {
  const button = heading.querySelector("button");
  button.addEventListener("click", () => {
    const opposite = { ascending: "descending", descending: "ascending" };
    sortBy(column, opposite[heading.getAttribute("aria-sort")] ?? button.dataset.first ?? "ascending");
  });
});

document.querySelector("#method").addEventListener("input", ({ target }) => {
  for (const row of body.rows) row.hidden = target.value !== "" && row.dataset.method !== target.value;
});
