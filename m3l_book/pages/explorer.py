"""The topic space to walk about in: points that say what they are, and lines to their tuples.

Drawn by Bokeh, whose script the built book carries itself; what Bokeh has no word for is JavaScript
in the folder ``static``. Everything a page shows is in the page, but for thumbnails beside it.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from m3l.corpus import Corpus
from m3l.files import atomic, read_json

from ..data.schema import PICTURES
from ..figures.style import PALETTE, view_looks
from ..pictures.reading import load_image
from ..tables.shared import shorten, titles
from ..topic_space import Space, TopicMap

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, CustomJS, GlyphRenderer, InlineStyleSheet
    from bokeh.plotting import figure as BokehFigure

SCRIPTS = ("bokeh.min.js", "bokeh-widgets.min.js")
STATIC = Path(__file__).with_name("static")
SHAPES = {"o": ("circle", "●"), "s": ("square", "■"), "^": ("triangle", "▲"), "D": ("diamond", "◆")}
SHAPES |= {"v": ("inverted_triangle", "▼"), "P": ("plus", "✚"), "h": ("hex", "⬢")}
PICTURE = '<img src="@picture" alt="" width="72"><br>'
HINT = (
    "Point at an item to see what it is; click or tap it, or find it by name, to see its tuple. "
    "Ctrl and the wheel, two fingers, or the buttons zoom. Of a topic, the words of each language "
    "stand between slashes."
)
WIDE = {"sizing_mode": "stretch_width"}


@dataclass(frozen=True)
class Labels:
    """What items are called and look like on the page.

    Attributes
    ----------
    titles : (view, article) -> what to call it
    words : language -> K lists of words
    pictures : row of the space -> address of its thumbnail
    links : row of the space -> address of a page that says more of the item
    """

    titles: Mapping[tuple[str, str], str]
    words: Mapping[str, Sequence[Sequence[str]]]
    pictures: Mapping[int, str]
    links: Mapping[int, str]


def static(name: str) -> str:
    """The text of a file of the folder ``static``."""
    return (STATIC / name).read_text(encoding="utf-8")


def thumbnails(pictures: Mapping[str, Path], folder: str | Path, side: int = 72) -> dict[str, str]:
    """Write small copies of pictures into ``folder``, whole or not at all; each one's file name."""
    from PIL import ImageOps

    names = {}
    with atomic(folder, directory=True) as temporary:
        for number, (picture, path) in enumerate(sorted(pictures.items())):
            names[picture] = f"{number:05d}.webp"
            small = ImageOps.contain(load_image(path), (side, side))
            small.save(temporary / names[picture], quality=70, method=4)
    return names


def data_uri(path: str | Path) -> str:
    """A thumbnail as an address that holds it, for a page that is to stand alone."""
    content = b64encode(Path(path).read_bytes()).decode("ascii")
    return f"data:image/webp;base64,{content}"


def largest(theta: np.ndarray, topics: int = 3) -> list[list[int]]:
    """The largest topics of one item (K,), each with its share in percent.

    Those below half a percent are left out.
    """
    order = np.argsort(-theta, kind="stable")[:topics]
    return [[int(k), round(100 * float(theta[k]))] for k in order if theta[k] >= 0.005]


def labels_of(
    topic_map: TopicMap,
    prepared: str,
    test: Corpus,
    assets: str,
    corpus: str,
    apart: bool,
    linked: bool,
) -> Labels:
    """Titles, thumbnails and links of the items of a map; thumbnails are written below ``assets``.

    Parameters
    ----------
    topic_map : TopicMap
    prepared : path
        The prepared corpus.
    test : Corpus
    assets : path
        Folder of files that the page loads.
    corpus : str
    apart : bool
        Whether the page loads thumbnails from there or holds them.
    linked : bool
        Whether the built book has a topic browser of the run.
    """
    space, first = topic_map.space, test.text_views[0]
    items = list(enumerate(zip(space.view, space.item, space.article, strict=True)))
    by_view = titles(prepared, test)
    called = {
        (view, article): shorten(by_view.get(view, by_view[first])[article], 60)
        for _, (view, _, article) in items
    }
    ids, files = {}, {}
    if PICTURES in test.views:
        names = test.views[PICTURES].item_ids
        ids = {row: names[item] for row, (view, item, _) in items if view == PICTURES}
        files = read_json(Path(prepared) / "images.json")
    folder = Path(assets) / f"space-{corpus}"
    images = Path(prepared) / "images"
    small = thumbnails({name: images / files[name] for name in set(ids.values())}, folder)
    pictures = {
        row: f"assets/{folder.name}/{small[name]}" if apart else data_uri(folder / small[name])
        for row, name in ids.items()
    }
    page = f"topics/{topic_map.run.folder.name}/index.html#/item"
    links = {row: f"{page}/{view}/{item}" for row, (view, item, _) in items if linked}
    return Labels(called, topic_map.run.topics, pictures, links)


def explorer(space: Space, place: np.ndarray, labels: Labels, title: str, scripts: str) -> str:
    """An interactive figure as HTML.

    Parameters
    ----------
    space : Space
    place : (N, 2)
    labels : Labels
    title : str
        What the figure is called for those who hear it.
    scripts : str
        Folder, from the page, of Bokeh's scripts, `SCRIPTS`; "" puts them into the page.
    """
    from bokeh import models
    from bokeh.embed import components
    from bokeh.layouts import column

    plot = _empty_map(title)
    sheet = models.InlineStyleSheet(css=static("explorer.css"))
    words = [[escape(", ".join(topic[:4])) for topic in topics] for topics in labels.words.values()]
    views = list(dict.fromkeys(space.view.tolist()))
    sources = {view: _points(space, place, labels, view) for view in views}
    looks = view_looks(list(sources))
    drawn = {
        view: _draw(plot, view, source, words, looks[view]) for view, source in sources.items()
    }
    message = _message(sheet)
    known: dict[str, Any] = {
        **{"plot": plot, "sources": sources, "drawn": drawn, "words": words},
        **{"message": message, "hint": HINT, **_tuple_lines(plot)},
    }
    known["boxes"] = boxes = _view_boxes(sources, looks, sheet)
    known["find"] = find = _search_field(space, labels, views, sheet)
    connect = _script("connect", known, "describe")
    for source in sources.values():
        source.selected.js_on_change("indices", connect)
    boxes.js_on_change("active", _script("switch", known), connect)
    find.js_on_change("value", _script("find", known))
    plot.js_on_event("tap", _script("choose", known))
    plot.js_on_change("inner_width", _script("sizes", known))
    script, div = components(column(find, boxes, message, plot, **WIDE))
    return f'<div class="topic-space">{_load_bokeh(scripts)}{div}{script}</div>'


def _script(name: str, known: Mapping[str, Any], *before: str) -> "CustomJS":
    from bokeh.models import CustomJS

    return CustomJS(args=dict(known), code="\n".join(static(f"{n}.js") for n in (*before, name)))


def _empty_map(title: str) -> "BokehFigure":
    from bokeh import models
    from bokeh.plotting import figure

    pan, zoom = models.PanTool(), models.WheelZoomTool(modifiers="ctrl", visible=False)
    plot = figure(
        width=620,
        height=560,
        sizing_mode="scale_width",
        tools=[pan, zoom, "zoom_in,zoom_out,box_zoom,reset"],
        active_scroll=zoom,
        toolbar_location="above",
        match_aspect=True,
    )
    plot.toolbar.update(active_drag=None, logo=None)
    plot.update(background_fill_color=None, border_fill_color=None, outline_line_color="#808080")
    plot.update(html_attributes={"role": "group", "aria-label": title})
    # while a map of thousands moves, a third of its points are enough
    plot.update(lod_threshold=900, lod_factor=3)
    plot.grid.visible = plot.axis.visible = False
    plot.js_on_event("mouseenter", _script("mouse", {"plot": plot, "pan": pan}))
    return plot


def _tuple_lines(plot: "BokehFigure") -> dict[str, "ColumnDataSource"]:
    """Empty lines from a chosen item to its tuple, and rings around their ends."""
    from bokeh.models import ColumnDataSource

    lines, ends = ColumnDataSource({"xs": [], "ys": []}), ColumnDataSource({"x": [], "y": []})
    stroke = {"line_color": PALETTE[4], "line_width": 3}
    plot.multi_line("xs", "ys", source=lines, **stroke)
    plot.scatter("x", "y", source=ends, size=15, fill_color=None, **stroke)
    return {"lines": lines, "ends": ends}


def _message(sheet: "InlineStyleSheet"):
    """What the chosen item is; of one height whatever it says, so that the map stays in place."""
    from bokeh.models import Div

    announced = {"role": "status", "tabindex": "0", "aria-label": "the chosen item"}
    message = Div(text=HINT, stylesheets=[sheet], html_attributes=announced, **WIDE)
    message.styles = {"height": "8em", "overflow-y": "auto"}
    return message


def _points(space: Space, place: np.ndarray, labels: Labels, view: str) -> "ColumnDataSource":
    """The items of one view as Bokeh reads them; a title's signs are escaped, since it is HTML."""
    from bokeh.models import ColumnDataSource

    rows = np.flatnonzero(space.view == view)
    x, y = np.float32(place[rows]).T
    return ColumnDataSource(
        {
            "x": x,
            "y": y,
            "article": space.article[rows].tolist(),
            "title": [escape(labels.titles[view, space.article[row]]) for row in rows],
            "top": [largest(space.theta[row]) for row in rows],
            "link": [escape(labels.links.get(row, "")) for row in rows],
            "picture": [escape(labels.pictures.get(row, "")) for row in rows],
        }
    )


def _draw(
    plot: "BokehFigure",
    view: str,
    source: "ColumnDataSource",
    words: list[list[str]],
    own: Mapping[str, str],
) -> "GlyphRenderer":
    """Draw the points of one view, with a card for the one that is pointed at."""
    from bokeh import models

    look = {"size": 7, "alpha": 0.85, "nonselection_alpha": 0.25}
    look |= {"selection_line_color": PALETTE[4], "selection_line_width": 4}
    look |= {"color": own["color"], "marker": SHAPES[own["marker"]][0]}
    points = plot.scatter("x", "y", source=source, **look)
    picture = PICTURE if any(source.data["picture"]) else ""
    card = static("tooltip.html").replace("VIEW", escape(view)).replace("PICTURE", picture)
    topics = models.CustomJSHover(
        args={"words": words}, code=static("describe.js") + "return describe(value);"
    )
    hover = models.HoverTool(
        tooltips=card, renderers=[points], formatters={"@top": topics}, limit=1, visible=False
    )
    plot.add_tools(hover)
    return points


def _view_boxes(
    sources: Mapping[str, "ColumnDataSource"], looks: Mapping, sheet: "InlineStyleSheet"
):
    """A box a view, with its sign and colour, that switches it on and off."""
    from bokeh import models

    legend = ""
    for number, view in enumerate(sources, start=1):
        sign = SHAPES[looks[view]["marker"]][1]
        look = f"content: '{sign} '; color: {looks[view]['color']};"
        legend += f"label:nth-of-type({number}) span::before {{ {look} }}\n"
    names = [f"{view} ({len(source.data['article']):,})" for view, source in sources.items()]
    boxes = models.CheckboxGroup(labels=names, inline=True, active=list(range(len(names))))
    boxes.stylesheets = [sheet, models.InlineStyleSheet(css=legend)]
    return boxes


def _search_field(space: Space, labels: Labels, views: Sequence[str], sheet: "InlineStyleSheet"):
    """A field that finds an item by its name; pictures of an article are told apart by number."""
    from bokeh.models import AutocompleteInput

    names = []
    for view in views:
        rows = np.flatnonzero(space.view == view)
        pictured = any(row in labels.pictures for row in rows)
        for number, row in enumerate(rows):
            article = space.article[row]
            which = f", {number}" if pictured else ""
            names.append(f"{labels.titles[view, article]} ({view}, {article}{which})")
    return AutocompleteInput(
        title="Find by name",
        completions=names,
        case_sensitive=False,
        search_strategy="includes",
        min_characters=2,
        max_completions=30,
        restrict=False,
        stylesheets=[sheet],
        **WIDE,
    )


def _load_bokeh(folder: str) -> str:
    """HTML that loads Bokeh's scripts from a folder, or holds them."""
    if folder:
        return "".join(f'<script defer src="{folder}/{name}"></script>' for name in SCRIPTS)
    texts = (path.read_text(encoding="utf-8") for path in bokeh_scripts())
    return "".join(
        "<script>" + text.replace("</script", "<\\/script") + "</script>" for text in texts
    )


def bokeh_scripts() -> list[Path]:
    """Bokeh's scripts as they lie in its package, for the built book to carry."""
    import bokeh

    folder = Path(bokeh.__file__).parent / "server" / "static" / "js"
    return [folder / name for name in SCRIPTS]
