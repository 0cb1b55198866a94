// θ of three topics as a point of a triangle that can be dragged or moved by arrow keys; beside it
// the words that a document of such topics has. `given` holds β and its words; see ../lab.py.
(root, given) => {
  const picture = root.querySelector("svg");
  const point = picture.querySelector("[data-point]");
  const height = Math.sqrt(0.75), edge = 200, left = 20, top = 20;
  let theta = [0.5, 0.3, 0.2];

  const place = (t) => [left + edge * (t[1] + t[2] / 2), top + edge * height * (1 - t[2])];
  const inside = (t) => {
    const clipped = t.map((x) => Math.max(x, 0));
    const sum = clipped.reduce((x, y) => x + y, 0);
    return clipped.map((x) => x / sum);
  };
  const at = (x, y) => {
    const third = 1 - (y - top) / (edge * height);
    const second = (x - left) / edge - third / 2;
    return inside([1 - second - third, second, third]);
  };
  const softmax = (xs) => {
    const most = Math.max(...xs), powers = xs.map((x) => Math.exp(x - most));
    const sum = powers.reduce((x, y) => x + y, 0);
    return powers.map((x) => x / sum);
  };

  const draw = () => {
    const [x, y] = place(theta);
    point.setAttribute("cx", x);
    point.setAttribute("cy", y);
    const words = softmax(given.words.map(
      (_, v) => theta.reduce((sum, t, k) => sum + t * given.beta[k][v], 0)));
    const entropy = -theta.reduce((sum, t) => sum + (t > 0 ? t * Math.log(t) : 0), 0);
    root.querySelector("[data-theta]").textContent =
      `θ = (${theta.map((t) => t.toFixed(2)).join(", ")}), entropy ${entropy.toFixed(2)} nats`;
    point.setAttribute("aria-valuetext", theta.map((t) => t.toFixed(2)).join(", "));
    root.querySelectorAll("[data-word]").forEach((row, v) => {
      row.querySelector("[data-share]").textContent = words[v].toFixed(3);
      row.querySelector("[data-bar]").style.width = `${100 * words[v]}%`;
    });
    root.dataset.theta = JSON.stringify(theta);
    root.dataset.words = JSON.stringify(words);
  };

  const follow = (event) => {
    const matrix = picture.getScreenCTM().inverse();
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    theta = at(spot.x, spot.y);
    draw();
  };
  picture.addEventListener("pointerdown", (event) => {
    picture.setPointerCapture(event.pointerId);
    follow(event);
  });
  picture.addEventListener("pointermove", (event) => {
    if (picture.hasPointerCapture(event.pointerId)) follow(event);
  });
  const steps = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] };
  point.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const [x, y] = place(theta);
    theta = at(x + step[0], y + step[1]);
    draw();
  });
  draw();
}
