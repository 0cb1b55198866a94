"""The topic space to walk about in: points that tell what they are, views to switch off, lines to the other members of a tuple.

Drawn by Bokeh, whose script the built book carries itself. Everything a page shows is in the page, but for thumbnails beside it.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from .files import atomic
from .plots import PALETTE, VIEW_MARKERS, view_colour
from .space import Space

SCRIPTS = ("bokeh.min.js", "bokeh-widgets.min.js")
SHAPES = {"o": ("circle", "●"), "s": ("square", "■"), "^": ("triangle", "▲"), "D": ("diamond", "◆")}
# words take the colours of the page around them, whatever its scheme; a tooltip is a card, white as its pictures are
STYLE = """:host { color: var(--pst-color-text-base, #1a1a1a); font-size: 0.9rem;
  --background-color: var(--pst-color-background, #fff); --surface-background-color: var(--pst-color-surface, #ebebeb); }
.bk-input { color: inherit; }
.bk-menu { max-height: 20em; overflow-y: auto; }
a { color: var(--pst-color-link, #0b5cad); }"""
TOOLTIP = '<div style="max-width: 15em; color: #1a1a1a; background: #fff"><b>@title{{safe}}</b> ({view})<br>{picture}@top{{custom}}</div>'
PICTURE = '<img src="@picture" alt="" width="72"><br>'

# what Bokeh has no word for: the topics of an item in words, an item found by name, lines from the chosen point to its tuple
DESCRIBE = """
const describe = (top) => top.map(([k, share]) => `topic ${k} (${share}%): ` + words.map((w) => w[k]).join(' / ')).join('; ');
"""
CONNECT = (
    DESCRIBE
    + """
const all = Object.entries(sources), xs = [], ys = [], x = [], y = [], told = [];
const chosen = all.find(([, source]) => source.selected.indices.length);
said.text = hint;
if (chosen) {
  const [own, {data: from, selected}] = chosen, i = selected.indices[0];
  for (const [view, {data}] of all) {
    data.article.forEach((other, j) => {
      if (other === from.article[i] && !(view === own && j === i) && drawn[view].visible) {
        xs.push([from.x[i], data.x[j]]);
        ys.push([from.y[i], data.y[j]]);
        x.push(data.x[j]);
        y.push(data.y[j]);
        told.push(`<br>${view}: ${describe(data.top[j])}`);
      }
    });
  }
  const more = from.link[i] ? ` <a href="${from.link[i]}">Its topics and neighbours</a> in the topic browser.` : '';
  said.text = `<b>${from.title[i]}</b> (${own}): ${describe(from.top[i])}.${more}<br>Its tuple: ${told.join('') || 'no other member is shown.'}`;
}
lines.data = {xs, ys};
ends.data = {x, y};
for (const {glyph} of Object.values(drawn)) {
  glyph.fill_alpha = glyph.line_alpha = chosen ? 0.25 : 0.85;
}
"""
)
# by name: its view is switched on, and the map moved if the item is outside
FIND = """
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
  said.text = `No item is called “${name}”; choose one of the names that appear while you type.`;
}
"""
# the nearest item to where was clicked, and no other
CHOOSE = """
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
"""
SWITCH = "Object.values(drawn).forEach((points, i) => { points.visible = boxes.active.includes(i); });"
SIZES = "for (const {glyph} of Object.values(drawn)) glyph.size = plot.inner_width < 450 ? 5 : 7;"
# a finger that moves scrolls the page, two zoom; a mouse moves the map
MOUSE = "if (!plot.toolbar.active_drag && matchMedia('(hover: hover)').matches) plot.toolbar.active_drag = pan;"
HINT = "Point at an item to see what it is; click or tap it, or find it by name, to see its tuple. Ctrl and the wheel, two fingers, or the buttons zoom. Of a topic, the words of each language stand between slashes."


def thumbnails(pictures: Mapping[str, Path], folder, side: int = 72) -> dict[str, str]:
    """Small copies of the pictures in ``folder``, written whole or not at all; name of each picture's file."""
    from PIL import ImageOps

    from .images import load_image

    names = {}
    with atomic(folder, directory=True) as temporary:
        for number, (picture, path) in enumerate(sorted(pictures.items())):
            names[picture] = f"{number:05d}.webp"
            ImageOps.contain(load_image(path), (side, side)).save(temporary / names[picture], quality=70, method=4)
    return names


def data_uri(path) -> str:
    """A thumbnail as an address that holds it, for a page that is to stand alone."""
    return f"data:image/webp;base64,{b64encode(Path(path).read_bytes()).decode('ascii')}"


def largest(theta: np.ndarray, topics: int = 3) -> list[list[int]]:
    """The largest topics of one item (K,), each with its share in percent; those below half a percent are left out."""
    order = np.argsort(-theta, kind="stable")[:topics]
    return [[int(k), round(100 * float(theta[k]))] for k in order if theta[k] >= 0.005]


def explorer(
    space: Space,
    place: np.ndarray,
    titles: Mapping[tuple[str, str], str],
    words: Mapping[str, Sequence[Sequence[str]]],
    pictures: Mapping[int, str],
    title: str,
    scripts: str,
    links: Mapping[int, str] | None = None,
) -> str:
    """An interactive figure as HTML.

    Parameters
    ----------
    space : Space
    place : (N, 2)
    titles : (view, article) -> what to call it
    words : language -> K lists of words
    pictures : row of the space -> address of its thumbnail
    title : str
        What the figure is called for those who hear it.
    scripts : str
        Folder, from the page, of Bokeh's scripts, `SCRIPTS`; "" puts them into the page.
    links : row of the space -> address that tells more of the item
    """
    from bokeh import models
    from bokeh.embed import components
    from bokeh.layouts import column
    from bokeh.plotting import figure as bokeh_figure

    wide, sheet = {"sizing_mode": "stretch_width"}, models.InlineStyleSheet(css=STYLE)
    pan, zoom = models.PanTool(), models.WheelZoomTool(modifiers="ctrl", visible=False)
    tools = [pan, zoom, "zoom_in,zoom_out,box_zoom,reset"]
    plot = bokeh_figure(width=620, height=560, sizing_mode="scale_width", tools=tools, active_scroll=zoom, toolbar_location="above", match_aspect=True)
    plot.toolbar.update(active_drag=None, logo=None)
    plot.update(background_fill_color=None, border_fill_color=None, outline_line_color="#808080", html_attributes={"role": "group", "aria-label": title})
    plot.update(lod_threshold=900, lod_factor=3)  # while a map of thousands moves, a third of its points are enough
    plot.grid.visible = plot.axis.visible = False
    plot.js_on_event("mouseenter", models.CustomJS(args={"plot": plot, "pan": pan}, code=MOUSE))
    lines = models.ColumnDataSource({"xs": [], "ys": []})
    ends = models.ColumnDataSource({"x": [], "y": []})
    plot.multi_line("xs", "ys", source=lines, line_color=PALETTE[4], line_width=3)
    plot.scatter("x", "y", source=ends, size=15, fill_color=None, line_color=PALETTE[4], line_width=3)
    # of one height whatever it says, so that the map below stays where it is
    said = models.Div(text=HINT, stylesheets=[sheet], html_attributes={"role": "status", "tabindex": "0", "aria-label": "the chosen item"}, **wide)
    said.styles = {"height": "8em", "overflow-y": "auto"}
    topic_words = [[escape(", ".join(topic[:4])) for topic in topics] for topics in words.values()]
    formatter = models.CustomJSHover(args={"words": topic_words}, code=DESCRIBE + "return describe(value);")
    sources, drawn, named, legend = {}, {}, [], ""
    for view in dict.fromkeys(space.view.tolist()):
        rows = np.flatnonzero(space.view == view)
        called = [titles[view, space.article[r]] for r in rows]
        named += [f"{name} ({view}, {space.article[r]}{f', {n}' if view == 'image' else ''})" for n, (name, r) in enumerate(zip(called, rows, strict=True))]
        data = {
            **dict(zip("xy", np.float32(place[rows]).T, strict=True)),
            "article": space.article[rows].tolist(),
            "title": [escape(name) for name in called],  # as HTML, in which a title's signs are signs
            "top": [largest(space.theta[r]) for r in rows],
            "link": [escape((links or {}).get(r, "")) for r in rows],
            "picture": [escape(pictures.get(r, "")) for r in rows],
        }
        sources[view] = models.ColumnDataSource(data)
        marker, sign = SHAPES[VIEW_MARKERS.get(view, "o")]
        look = {"size": 7, "alpha": 0.85, "nonselection_alpha": 0.25, "selection_line_color": PALETTE[4], "selection_line_width": 4}
        drawn[view] = plot.scatter("x", "y", source=sources[view], color=view_colour(view), marker=marker, **look)
        tooltip = TOOLTIP.format(view=escape(view), picture=PICTURE if any(data["picture"]) else "")
        plot.add_tools(models.HoverTool(tooltips=tooltip, renderers=[drawn[view]], formatters={"@top": formatter}, limit=1, visible=False))
        legend += f"label:nth-of-type({len(drawn)}) span::before {{ content: '{sign} '; color: {view_colour(view)}; }}\n"
    known = {"plot": plot, "sources": sources, "drawn": drawn, "lines": lines, "ends": ends, "said": said, "hint": HINT, "words": topic_words}
    connect = models.CustomJS(args=known, code=CONNECT)
    for source in sources.values():
        source.selected.js_on_change("indices", connect)
    boxes = models.CheckboxGroup(labels=[f"{view} ({len(source.data['article']):,})" for view, source in sources.items()], inline=True)
    boxes.update(active=list(range(len(sources))), stylesheets=[sheet, models.InlineStyleSheet(css=legend)])
    find = models.AutocompleteInput(title="Find by name", completions=named, case_sensitive=False, search_strategy="includes", stylesheets=[sheet], **wide)
    find.update(min_characters=2, max_completions=30, restrict=False)
    known |= {"boxes": boxes, "find": find}
    boxes.js_on_change("active", models.CustomJS(args=known, code=SWITCH), connect)
    find.js_on_change("value", models.CustomJS(args=known, code=FIND))
    plot.js_on_event("tap", models.CustomJS(args=known, code=CHOOSE))
    plot.js_on_change("inner_width", models.CustomJS(args=known, code=SIZES))
    script, div = components(column(find, boxes, said, plot, **wide))
    if scripts:
        loaded = "".join(f'<script defer src="{scripts}/{name}"></script>' for name in SCRIPTS)
    else:
        sources_of = (path.read_text(encoding="utf-8").replace("</script", "<\\/script") for path in bokeh_scripts())
        loaded = "".join(f"<script>{code}</script>" for code in sources_of)
    return f'<div class="topic-space">{loaded}{div}{script}</div>'


def bokeh_scripts() -> list[Path]:
    """Bokeh's scripts as they lie in its package, for the built book to carry."""
    import bokeh

    return [Path(bokeh.__file__).parent / "server" / "static" / "js" / name for name in SCRIPTS]
