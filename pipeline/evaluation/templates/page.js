"use strict";

const compares = [...document.querySelectorAll(".compare")];

for (const compare of compares) {
  const stage = compare.querySelector(".stage");
  const view = stage.querySelector(".view");
  const slider = stage.querySelector("input");
  const [left, right] = compare.querySelectorAll("select[data-side]");
  const zoom = compare.querySelector("select[data-zoom]");

  // The divider stands still while the enlarged picture moves below it. Nothing is read from the
  // layout that need not be: a write and a read for each of hundreds of pictures take many seconds.
  let width = 0;
  const divide = () => {
    const scrolled = stage.dataset.zoom > 1 ? view.scrollLeft : 0;
    const at = scrolled + (slider.value / 100) * width;
    stage.style.setProperty("--at", `${slider.value}%`);
    stage.style.setProperty("--cut", `${at}px`);
  };

  const show = () => {
    slider.setAttribute("aria-valuetext", `${Math.round(slider.value)} % ${left.value}, the rest ${right.value}`);
    stage.querySelector(".on-left").textContent = left.value;
    stage.querySelector(".on-right").textContent = right.value;
    for (const image of stage.querySelectorAll("img")) {
      const { version } = image.dataset;
      image.hidden = version !== left.value && version !== right.value;
      // The same version on both sides needs no divider: then the whole image is the lower one.
      image.classList.toggle("before", version === left.value && version !== right.value);
    }
    divide();
  };

  const enlarge = () => {
    const before = Number(stage.dataset.zoom ?? 1);
    const now = Number(zoom.value);
    const box = stage.querySelector(".box");
    const middle = before > 1
      ? [(view.scrollLeft + view.clientWidth / 2) / view.scrollWidth, (view.scrollTop + view.clientHeight / 2) / view.scrollHeight]
      : ["left", "top"].map((side, axis) => (parseFloat(box.style[side]) + parseFloat(box.style[axis ? "height" : "width"]) / 2) / 100);
    stage.dataset.zoom = now;
    stage.style.setProperty("--zoom", now);
    if (now > 1) view.setAttribute("tabindex", "0");
    else view.removeAttribute("tabindex");
    view.scrollTo({
      left: middle[0] * view.scrollWidth - view.clientWidth / 2,
      top: middle[1] * view.scrollHeight - view.clientHeight / 2,
      behavior: "instant",
    });
    divide();
  };

  for (const control of [slider, left, right]) control.addEventListener("input", show);
  zoom.addEventListener("input", enlarge);
  view.addEventListener("scroll", divide);
  new ResizeObserver(([entry]) => {
    width = entry.contentRect.width;
    divide();
  }).observe(view);
  show();
}

const dots = [...document.querySelectorAll(".dot")];
const chosen = document.querySelector(".chosen");

const choose = (dot) => {
  const method = dot.getAttribute("aria-pressed") === "true" ? null : dot.dataset.method;
  for (const other of dots) other.setAttribute("aria-pressed", String(other.dataset.method === method));
  for (const row of document.querySelectorAll("#figures tr, #per-image tbody tr")) {
    const name = row.dataset.method ?? row.querySelector("th[scope=row]")?.textContent;
    row.classList.toggle("chosen-row", method !== null && name === method);
  }
  const descriptions = dots.filter((other) => other.dataset.method === method).map((other) => other.getAttribute("aria-label"));
  chosen.textContent = descriptions.join(" · ");
  for (const compare of compares) {
    const right = compare.querySelector("select[data-side=right]");
    if (![...right.options].some((option) => option.value === method)) continue;
    right.value = method;
    right.dispatchEvent(new Event("input"));
  }
};

for (const dot of dots) {
  dot.addEventListener("click", () => choose(dot));
  dot.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(dot);
  });
}

const copied = document.querySelector(".copied");
const written = [...document.querySelectorAll("textarea[data-written]")];

const copy = async (name) => {
  const text = written.find((area) => area.dataset.written === name);
  for (const area of written) area.hidden = true;
  try {
    await navigator.clipboard.writeText(text.value);
    copied.textContent = `The table is in the clipboard, as ${name}.`;
  } catch {
    // Without a clipboard, or leave to write it, the text is there to be copied by hand.
    text.hidden = false;
    text.focus();
    text.select();
    copied.textContent = "The table is selected below: copy it.";
  }
};

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button.dataset.copy));
}

// Folded, a phone's page is pictures and figures; a link to a part opens it.
const unfold = () => {
  const part = location.hash && document.querySelector(location.hash);
  for (const fold of part ? part.querySelectorAll(":scope > details.fold") : []) fold.open = true;
};
if (matchMedia("(max-width: 40rem)").matches) {
  for (const fold of document.querySelectorAll("details.fold")) fold.open = false;
}
addEventListener("hashchange", unfold);
unfold();

const table = document.querySelector("#per-image");
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];

// Names are numbers, numbers with a part behind them (123, 123-1), or those of files.
const collator = new Intl.Collator("en", { numeric: true });

const sortBy = (column, direction) => {
  const text = (row) => row.cells[column].textContent;
  const compare = headings[column].classList.contains("figure")
    ? (a, b) => Number(text(a)) - Number(text(b))
    : (a, b) => collator.compare(text(a), text(b));
  const sign = direction === "ascending" ? 1 : -1;
  body.replaceChildren(...[...body.rows].sort((a, b) => sign * compare(a, b)));
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
