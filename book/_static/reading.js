/* What scrolls sideways on a narrow screen can be reached, and scrolled, by keyboard. */
"use strict";
const reachable = () => {
  for (const box of document.querySelectorAll(".bd-article table, .bd-article .cell_output, .bd-article .output, .bd-article div.math")) {
    if (box.scrollWidth > box.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(box).overflowX)) box.tabIndex = 0;
  }
};
window.addEventListener("load", () => {
  reachable();
  const article = document.querySelector(".bd-article");
  if (article) new ResizeObserver(reachable).observe(article);
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
