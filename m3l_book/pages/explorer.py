"""The topic space to explore: points that say what they are, and lines to their tuples.

Drawn by Bokeh, whose script the built book carries itself; what Bokeh has no word for is JavaScript
in the folder ``static``. Everything a page shows is in the page, but for thumbnails beside it.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from m3l.corpus import Corpus
from m3l.errors import DataError, require
from m3l.files import atomic, read_json

from ..data.schema import PICTURES
from ..figures.style import PALETTE, view_looks
from ..pictures.reading import load_image
from ..tables.shared import shorten, titles
from ..topic_space import TopicMap

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, CustomJS, GlyphRenderer
    from bokeh.plotting import figure as BokehFigure

STATIC = Path(__file__).with_name("static")
SCRIPTS = ("bokeh.min.js", "bokeh-widgets.min.js")
SHAPES = {"o": ("circle", "●"), "s": ("square", "■"), "^": ("triangle", "▲"), "D": ("diamond", "◆")}
SHAPES |= {"v": ("inverted_triangle", "▼"), "P": ("plus", "✚"), "h": ("hex", "⬢")}
HINT = (
    "Point at an item to see what it is; click or tap it, or find it by name, to see its tuple. "
    "Ctrl and the wheel, two fingers, or the buttons zoom. Of a topic, the words of each language "
    "stand between slashes."
)
WIDE = {"sizing_mode": "stretch_width"}


def explorer(
    shown: TopicMap,
    test: Corpus,
    prepared: str | Path,
    title: str,
    assets: str | Path,
    scripts: str = "",
    linked: bool = False,
    names: Sequence[str] = (),
) -> str:
    """Return an interactive map as HTML, and write its thumbnails into ``assets``.

    Parameters
    ----------
    shown : TopicMap
    test : Corpus
        The test part whose items the map holds.
    prepared : path
        The prepared corpus: its titles and pictures.
    title : str
        What the map is called for those who hear it.
    assets : path
        Folder of files that the page loads.
    scripts : str
        Folder, from the page, of Bokeh's scripts, `SCRIPTS`; "" puts them and the thumbnails into
        the page.
    linked : bool
        Whether the built book has a topic browser of the run.
    names : sequence of str
        What each topic is called; by default its number.
    """
    from bokeh import models
    from bokeh.embed import components
    from bokeh.layouts import column

    items = _items(shown, test, Path(prepared), Path(assets), bool(scripts), linked)
    plot = _empty_map(title)
    sheet = models.InlineStyleSheet(css=_static("explorer.css"))
    of_languages = shown.run.topics.values()
    words = [[escape(", ".join(topic[:4])) for topic in topics] for topics in of_languages]
    sources = {
        view: models.ColumnDataSource(rows.drop(columns=["view", "name"]).to_dict("list"))
        for view, rows in items.groupby("view", sort=False)
    }
    looks = view_looks(list(sources))
    called = list(map(escape, names)) or [f"topic {k}" for k in range(len(words[0]))]
    topics = {"words": words, "names": called}
    known: dict[str, Any] = {"plot": plot, "sources": sources, "hint": HINT, **topics}
    known |= _tuple_lines(plot)
    known["drawn"] = {view: _draw(plot, view, sources[view], topics, looks[view]) for view in looks}
    # of one height whatever it says, so that the map stays in place
    said = {"role": "status", "tabindex": "0", "aria-label": "the chosen item"}
    known["message"] = message = models.Div(
        text=HINT, stylesheets=[sheet], html_attributes=said, **WIDE
    )
    message.styles = {"height": "8em", "overflow-y": "auto"}
    known["boxes"] = boxes = models.CheckboxGroup(
        labels=[f"{view} ({len(source.data['x']):,})" for view, source in sources.items()],
        active=list(range(len(sources))),
        inline=True,
        stylesheets=[sheet, models.InlineStyleSheet(css=_signs(looks))],
    )
    known["find"] = find = models.AutocompleteInput(
        title="Find by name",
        completions=items["name"].tolist(),
        case_sensitive=False,
        search_strategy="includes",
        min_characters=2,
        max_completions=30,
        restrict=False,
        stylesheets=[sheet],
        **WIDE,
    )
    connect = _script("connect", known)
    for source in sources.values():
        source.selected.js_on_change("indices", connect)
    boxes.js_on_change("active", _script("switch", known), connect)
    find.js_on_change("value", _script("find", known))
    plot.js_on_event("tap", _script("choose", known))
    plot.js_on_change("inner_width", _script("sizes", known))
    script, div = components(column(find, boxes, message, plot, **WIDE))
    return f'<div class="topic-space">{_load_bokeh(scripts)}{div}{script}</div>'


def thumbnails(
    prepared: str | Path, names: list[str], folder: str | Path, side: int
) -> dict[str, str]:
    """Write small copies of pictures into ``folder``, whole or not at all; each one's file name.

    Raises
    ------
    DataError
        The prepared corpus has no file for a picture.
    """
    from PIL import ImageOps

    files, small = read_json(Path(prepared) / "images.json"), {}
    lost = [name for name in names if name not in files]
    message = f"{prepared}/images.json: names no file for {len(lost)} pictures of the test part,"
    require(not lost, f"{message} such as {lost[:1]}", DataError)
    with atomic(folder, directory=True) as temporary:
        for number, name in enumerate(sorted(set(names))):
            small[name] = f"{number:05d}.webp"
            picture = load_image(Path(prepared) / "images" / files[name])
            copy = ImageOps.contain(picture, (side, side))
            copy.save(temporary / small[name], quality=70, method=4)
    return small


def _items(
    shown: TopicMap, test: Corpus, prepared: Path, assets: Path, apart: bool, linked: bool
) -> pd.DataFrame:
    """Tabulate what the page says of each item, view by view, as HTML where it is shown as such."""
    space, page = shown.space, f"topics/{shown.run.folder.name}/index.html#/item"
    called, first = titles(prepared, test), test.text_views[0]
    small, folder = {}, assets / f"space-{prepared.name}"
    if PICTURES in test.views:
        ids = [str(name) for name in test.views[PICTURES].item_ids]
        names = [ids[item] for item in space.item[space.view == PICTURES]]
        small = thumbnails(prepared, names, folder, side=72)
    rows, number = [], dict.fromkeys(space.view.tolist(), -1)
    for view, item, article, place, theta in zip(
        space.view, space.item, space.article, shown.place, space.theta, strict=True
    ):
        title = shorten(called.get(view, called[first])[article], 60)
        number[view] += 1
        which, picture = "", ""
        if view == PICTURES:  # pictures of an article are told apart by number
            which, file = f", {number[view]}", small[ids[item]]
            picture = f"assets/{folder.name}/{file}" if apart else _data_uri(folder / file)
        rows.append(
            {
                **{"view": view, "article": article, "name": f"{title} ({view}, {article}{which})"},
                **{"x": float(place[0]), "y": float(place[1]), "title": escape(title)},
                **{"top": largest(theta), "picture": escape(picture)},
                "link": escape(f"{page}/{view}/{item}") if linked else "",
            }
        )
    return pd.DataFrame(rows)


def _data_uri(path: Path) -> str:
    content = b64encode(path.read_bytes()).decode("ascii")
    return f"data:image/webp;base64,{content}"


def largest(theta: np.ndarray) -> list[list[int]]:
    """List the three largest topics of one item (K,), each with its share in percent.

    Those below half a percent are left out.
    """
    order = np.argsort(-theta, kind="stable")[:3]
    return [[int(k), round(100 * float(theta[k]))] for k in order if theta[k] >= 0.005]


def _static(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _script(name: str, known: Mapping[str, Any]) -> "CustomJS":
    from bokeh.models import CustomJS

    return CustomJS(args=dict(known), code=_static("describe.js") + _static(f"{name}.js"))


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
    mouse = models.CustomJS(args={"plot": plot, "pan": pan}, code=_static("mouse.js"))
    plot.js_on_event("mouseenter", mouse)
    return plot


def _tuple_lines(plot: "BokehFigure") -> dict[str, "ColumnDataSource"]:
    """Draw lines from a chosen item to its tuple, none yet, and rings around their ends."""
    from bokeh.models import ColumnDataSource

    lines, ends = ColumnDataSource({"xs": [], "ys": []}), ColumnDataSource({"x": [], "y": []})
    stroke = {"line_color": PALETTE[4], "line_width": 3}
    plot.multi_line("xs", "ys", source=lines, **stroke)
    plot.scatter("x", "y", source=ends, size=15, fill_color=None, **stroke)
    return {"lines": lines, "ends": ends}


def _draw(
    plot: "BokehFigure",
    view: str,
    source: "ColumnDataSource",
    topics: Mapping[str, list],
    own: Mapping[str, str],
) -> "GlyphRenderer":
    """Draw the points of one view, with a card for the one that is pointed at."""
    from bokeh import models

    look = {"size": 7, "alpha": 0.85, "nonselection_alpha": 0.25}
    look |= {"selection_line_color": PALETTE[4], "selection_line_width": 4}
    look |= {"color": own["color"], "marker": SHAPES[own["marker"]][0]}
    points = plot.scatter("x", "y", source=source, **look)
    picture = '<img src="@picture" alt="" width="72"><br>' if any(source.data["picture"]) else ""
    about = f"<b>@title{{safe}}</b> ({escape(view)})<br>{picture}@top{{custom}}"
    card = f'<div style="max-width: 15em; color: #1a1a1a; background: #fff">{about}</div>'
    topics = models.CustomJSHover(
        args=dict(topics), code=_static("describe.js") + "return describe(value);"
    )
    plot.add_tools(
        models.HoverTool(
            tooltips=card, renderers=[points], formatters={"@top": topics}, limit=1, visible=False
        )
    )
    return points


def _signs(looks: Mapping[str, Mapping[str, str]]) -> str:
    """Give each view's box its sign and colour, as CSS."""
    return "\n".join(
        f"label:nth-of-type({number}) span::before"
        f" {{ content: '{SHAPES[look['marker']][1]} '; color: {look['color']}; }}"
        for number, look in enumerate(looks.values(), start=1)
    )


def _load_bokeh(folder: str) -> str:
    """Load Bokeh's scripts from a folder, or hold them, as HTML."""
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
