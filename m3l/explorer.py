"""The topic space to walk about in: points that tell what they are, views to switch off, lines to the other members of a tuple.

Drawn by Bokeh, whose script the built book carries itself. Everything a page shows is in the page, but for thumbnails beside it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .files import atomic
from .plots import VIEW_MARKERS, view_colour
from .space import Space

SCRIPTS = ("bokeh.min.js", "bokeh-widgets.min.js")
SHAPES = {"o": "circle", "s": "square", "^": "triangle", "D": "diamond"}
TOOLTIP = """<div style="max-width: 15em"><b>@title{{safe}}</b> ({view})<br>@picture{{safe}}@topics{{safe}}</div>"""

# the one thing that Bokeh has no word for: lines from the chosen point to its tuple, and the words for those who do not see them
CONNECT = """
const all = Object.entries(sources), xs = [], ys = [], names = [];
const chosen = all.find(([, source]) => source.selected.indices.length);
said.text = hint;
if (chosen) {
  const [own, {data: from, selected}] = chosen, i = selected.indices[0];
  for (const [view, {data}] of all) {
    data.article.forEach((other, j) => {
      if (other === from.article[i] && !(view === own && j === i)) {
        xs.push([from.x[i], data.x[j]]);
        ys.push([from.y[i], data.y[j]]);
        names.push(`${view}: ${data.topics[j]}`);
      }
    });
  }
  said.text = `<b>${from.title[i]}</b> (${own}): ${from.topics[i]}. Its tuple: ${names.join('; ') || 'no other member is shown'}.`;
}
lines.data = {xs, ys};
"""
FIND = """
for (const [view, source] of Object.entries(sources)) {
  const i = source.data.named.indexOf(cb_obj.value);
  source.selected.indices = i < 0 ? [] : [i];
}
"""
HINT = "Point at an item to see what it is; choose one, by pointing or by name, to see its tuple. Names in the legend switch views off."


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


def describe(theta: np.ndarray, words: Mapping[str, Sequence[Sequence[str]]], topics: int = 3, per_topic: int = 4) -> str:
    """The largest topics of one item, with their share and words in every language."""
    order = np.argsort(-theta, kind="stable")[:topics]
    return "; ".join(f"topic {k} ({theta[k]:.0%}): " + " / ".join(", ".join(w[k][:per_topic]) for w in words.values()) for k in order)


def explorer(
    space: Space,
    place: np.ndarray,
    titles: Mapping[tuple[str, str], str],
    words: Mapping[str, Sequence[Sequence[str]]],
    pictures: Mapping[int, str],
    title: str,
    scripts: str,
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
    scripts : str
        Folder, from the page, of Bokeh's scripts, `SCRIPTS`.
    """
    from html import escape

    from bokeh.embed import components
    from bokeh.layouts import column
    from bokeh.models import AutocompleteInput, ColumnDataSource, CustomJS, Div, HoverTool
    from bokeh.plotting import figure as bokeh_figure

    plot = bokeh_figure(
        **{"title": title, "height": 560, "sizing_mode": "stretch_width", "tools": "pan,wheel_zoom,box_zoom,tap,reset", "active_scroll": "wheel_zoom"},
        **{"toolbar_location": "above", "match_aspect": True, "output_backend": "canvas"},
    )
    plot.grid.visible = plot.axis.visible = False
    lines = ColumnDataSource({"xs": [], "ys": []})
    plot.multi_line("xs", "ys", source=lines, line_color="#333333", line_width=2)
    sources, named = {}, []
    for view in dict.fromkeys(space.view.tolist()):
        rows = np.flatnonzero(space.view == view)
        called = [titles[view, space.article[r]] for r in rows]
        names = [f"{name} ({view}, {space.article[r]}{f', {n}' if view == 'image' else ''})" for n, (name, r) in enumerate(zip(called, rows, strict=True))]
        shown = [f'<img src="{escape(pictures[r])}" alt="" width="72"><br>' if r in pictures else "" for r in rows]
        data = {
            "x": place[rows, 0],
            "y": place[rows, 1],
            "article": space.article[rows].tolist(),
            "named": names,
            "picture": shown,
            # as HTML, in which a title's signs are signs
            "title": [escape(name) for name in called],
            "topics": [escape(describe(space.theta[r], words)) for r in rows],
        }
        sources[view] = ColumnDataSource(data)
        named += names
        colour = tuple(round(255 * c) for c in view_colour(view))
        drawn = plot.scatter(
            **{
                "x": "x",
                "y": "y",
                "source": sources[view],
                "size": 8,
                "alpha": 0.7,
                "color": colour,
                "marker": SHAPES[VIEW_MARKERS.get(view, "o")],
                "legend_label": view,
            },
            **{"selection_line_color": "black", "selection_line_width": 3, "nonselection_alpha": 0.25},
        )
        plot.add_tools(HoverTool(tooltips=TOOLTIP.format(view=escape(view)), renderers=[drawn]))
    plot.legend.click_policy = "hide"
    plot.legend.location = "top_right"
    said = Div(text=HINT, sizing_mode="stretch_width")
    connect = CustomJS(args={"sources": sources, "lines": lines, "said": said, "hint": HINT}, code=CONNECT)
    for source in sources.values():
        source.selected.js_on_change("indices", connect)
    find = AutocompleteInput(
        title="Find by name",
        completions=named,
        case_sensitive=False,
        search_strategy="includes",
        min_characters=2,
        max_completions=12,
        sizing_mode="stretch_width",
    )
    find.js_on_change("value", CustomJS(args={"sources": sources}, code=FIND))
    script, div = components(column(find, plot, said, sizing_mode="stretch_width"))
    loaded = "".join(f'<script src="{scripts}/{name}"></script>' for name in SCRIPTS)
    return f'<div class="topic-space">{loaded}{div}{script}</div>'


def bokeh_scripts() -> list[Path]:
    """Bokeh's scripts as they lie in its package, for the built book to carry."""
    import bokeh

    return [Path(bokeh.__file__).parent / "server" / "static" / "js" / name for name in SCRIPTS]
