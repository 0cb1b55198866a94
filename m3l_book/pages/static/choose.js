// the nearest item to where was clicked, and no other
const reach = 16 * (plot.x_range.end - plot.x_range.start) / plot.inner_width;
let nearest = [reach, null, -1];
for (const [view, {data}] of Object.entries(sources)) {
  if (drawn[view].visible) data.article.forEach((_, j) => {
    const away = Math.hypot(data.x[j] - cb_obj.x, data.y[j] - cb_obj.y);
    if (away < nearest[0]) nearest = [away, view, j];
  });
}
for (const [view, {selected}] of Object.entries(sources)) {
  selected.indices = view === nearest[1] ? [nearest[2]] : [];
}
