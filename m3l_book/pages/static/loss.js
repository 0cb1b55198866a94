// The loss of three tuples, term by term, as its knobs are turned: m3l.loss in a few lines.
// `given` holds the English and German θ, the word counts of both, and β; see ../lab.py.
(root, given) => {
  const field = (name) => root.querySelector(`[data-knob="${name}"]`);
  const knobs = ["temperature", "weight", "kl", "move"];
  const dot = (p, q) => p.reduce((sum, x, k) => sum + x * q[k], 0);
  const cosine = (p, q) => dot(p, q) / Math.sqrt(dot(p, p) * dot(q, q));
  const logSumExp = (xs) => {
    const most = Math.max(...xs);
    return most + Math.log(xs.reduce((sum, x) => sum + Math.exp(x - most), 0));
  };

  // the second German document on its way from its partner to the third one's place
  const german = (share) => given.de.map((row, i) => (i !== 1 ? row
    : row.map((x, k) => (1 - share) * x + share * given.de[2][k])));

  // negatives from both views, both directions, their mean: the objective `book`
  const contrast = (a, b, tau) => a.map((_, i) => {
    const against = (own, other) => logSumExp([
      ...other.map((row) => cosine(own[i], row) / tau),
      ...own.filter((_, j) => j !== i).map((row) => cosine(own[i], row) / tau),
    ]) - cosine(own[i], other[i]) / tau;
    return (against(a, b) + against(b, a)) / 2;
  });

  const agreement = (a, b) => a.map((p, i) => b[i].reduce(
    (sum, q, k) => sum + q * Math.log(q / p[k]), 0));

  const reconstruction = (rows, counts) => rows.map((theta, i) => {
    const logits = given.beta[0].map((_, v) => dot(theta, given.beta.map((topic) => topic[v])));
    const total = logSumExp(logits);
    return -counts[i].reduce((sum, n, v) => sum + n * (logits[v] - total), 0);
  });

  const draw = () => {
    const value = Object.fromEntries(knobs.map((name) => [name, Number(field(name).value)]));
    value.temperature = 10 ** value.temperature;
    knobs.forEach((name) => {
      const digits = name === "temperature" ? 3 : 2;
      root.querySelector(`[data-shown="${name}"]`).textContent = value[name].toFixed(digits);
      field(name).setAttribute("aria-valuetext", value[name].toFixed(digits));
    });
    const a = given.en, b = german(value.move);
    const words = reconstruction(a, given.words).map(
      (x, i) => x + reconstruction(b, given.words)[i]);
    const terms = {
      reconstruction: words,
      agreement: agreement(a, b).map((x) => value.kl * x),
      contrast: contrast(a, b, value.temperature).map((x) => value.weight * x),
    };
    const totals = [0, 1, 2].map((i) => Object.values(terms).reduce((sum, x) => sum + x[i], 0));
    const widest = Math.max(...totals, 1);
    root.querySelectorAll("tbody tr").forEach((row, i) => {
      Object.entries(terms).forEach(([name, values]) => {
        const cell = row.querySelector(`[data-term="${name}"]`);
        cell.textContent = values[i].toFixed(3);
        row.querySelector(`[data-bar="${name}"]`).style.width = `${100 * values[i] / widest}%`;
      });
      row.querySelector('[data-term="total"]').textContent = totals[i].toFixed(3);
    });
    root.dataset.total = totals.reduce((sum, x) => sum + x, 0);
  };
  knobs.forEach((name) => field(name).addEventListener("input", draw));
  root.querySelector("button").addEventListener("click", () => {
    knobs.forEach((name) => { field(name).value = field(name).defaultValue; });
    draw();
  });
  draw();
}
