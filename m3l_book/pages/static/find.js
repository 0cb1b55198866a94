// an item found by name: its view is switched on, and the map moved if it lies outside
const wanted = find.completions.indexOf(find.value);
let i = wanted;
Object.entries(sources).forEach(([view, {data, selected}], v) => {
  const n = data.article.length, here = i >= 0 && i < n;
  if (here) {
    if (!boxes.active.includes(v)) boxes.active = [...boxes.active, v];
    for (const [range, at] of [[plot.x_range, data.x[i]], [plot.y_range, data.y[i]]]) {
      const half = (range.end - range.start) / 2;
      if (at < range.start || at > range.end) range.setv({start: at - half, end: at + half});
    }
  }
  selected.indices = here ? [i] : [];
  i -= n;
});
if (wanted < 0 && find.value) {
  const name = find.value.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  const advice = 'choose one of the names that appear while you type';
  message.text = `No item is called “${name}”; ${advice}.`;
}
