/* What scrolls sideways on a narrow screen can be reached, and scrolled, by keyboard. */
"use strict";
const reachable = () => {
  const parts = ["table", ".cell_output", ".output", ".wide-figure", "div.math"];
  const boxes = document.querySelectorAll(parts.map((part) => `.bd-article ${part}`).join(", "));
  for (const box of boxes) {
    const wide = box.scrollWidth > box.clientWidth + 1;
    const scrolls = wide && /auto|scroll/.test(getComputedStyle(box).overflowX);
    if (scrolls) box.tabIndex = 0;
    box.classList.toggle("scrolls", scrolls);
  }
};
window.addEventListener("load", () => {
  reachable();
  const article = document.querySelector(".bd-article");
  if (article) new ResizeObserver(reachable).observe(article);
});

/* The sidebar's arrows open the pages below one; they say so. */
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll(".bd-sidenav details > summary")) {
    const page = arrow.closest("li").querySelector("a");
    arrow.setAttribute("aria-label", `pages below ${page ? page.textContent.trim() : "this one"}`);
  }
});

/* Paper is white, whatever the screen is. */
let screen_theme = "";
window.addEventListener("beforeprint", () => {
  screen_theme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
window.addEventListener("afterprint", () => {
  document.documentElement.dataset.theme = screen_theme;
});

/* One switch shows the code that supports a page, on every page that has some. */
const kept = (() => {
  try {
    return window.localStorage.getItem("code") === "all" ? "all" : "less";
  } catch {
    return "less"; // a page opened from disk may have no memory
  }
})();
document.documentElement.dataset.code = kept;
document.addEventListener("DOMContentLoaded", () => {
  const heading = document.querySelector(".bd-article h1");
  if (!heading || !document.querySelector(".bd-article div.cell.tag_support")) return;
  const button = document.createElement("button");
  button.className = "code-switch";
  button.type = "button";
  const label = () => {
    const all = document.documentElement.dataset.code === "all";
    button.textContent = all ? "Hide supporting code" : "Show all code";
    button.setAttribute("aria-pressed", String(all));
  };
  button.addEventListener("click", () => {
    const {dataset} = document.documentElement;
    dataset.code = dataset.code === "all" ? "less" : "all";
    try {
      window.localStorage.setItem("code", dataset.code);
    } catch {
      // it is kept for this page alone
    }
    label();
  });
  label();
  heading.insertAdjacentElement("afterend", button);
});
