// lines from the chosen item to the other members of its tuple, and what they are about
const all = Object.entries(sources), xs = [], ys = [], x = [], y = [], texts = [];
const chosen = all.find(([, source]) => source.selected.indices.length);
message.text = hint;
if (chosen) {
  const [own, {data: from, selected}] = chosen, i = selected.indices[0];
  for (const [view, {data}] of all) {
    data.article.forEach((other, j) => {
      if (other === from.article[i] && !(view === own && j === i) && drawn[view].visible) {
        xs.push([from.x[i], data.x[j]]);
        ys.push([from.y[i], data.y[j]]);
        x.push(data.x[j]);
        y.push(data.y[j]);
        texts.push(`<br>${view}: ${describe(data.top[j])}`);
      }
    });
  }
  const link = `<a href="${from.link[i]}">Its topics and neighbours</a> in the topic browser.`;
  const about = `<b>${from.title[i]}</b> (${own}): ${describe(from.top[i])}.`;
  const members = texts.join('') || 'no other member is shown.';
  message.text = `${about}${from.link[i] ? ` ${link}` : ''}<br>Its tuple: ${members}`;
}
lines.data = {xs, ys};
ends.data = {x, y};
for (const {glyph} of Object.values(drawn)) {
  glyph.fill_alpha = glyph.line_alpha = chosen ? 0.25 : 0.85;
}
