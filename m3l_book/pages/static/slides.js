// Arrow keys, page keys and the space bar go from slide to slide.
(() => {
  const main = document.querySelector("main"), slides = [...main.children];
  const forward = ["ArrowRight", "ArrowDown", "PageDown", " "];
  const backward = ["ArrowLeft", "ArrowUp", "PageUp"];
  const here = () => Math.round(main.scrollTop / main.clientHeight);
  const go = (number) => {
    const target = slides[Math.max(0, Math.min(number, slides.length - 1))];
    target.scrollIntoView({ behavior: "instant" });
  };
  document.addEventListener("keydown", (event) => {
    const step = forward.includes(event.key) ? 1 : backward.includes(event.key) ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    go(here() + step);
  });
})();
