"""A real browser for tests: headless Chromium, the network cut off, everything that goes wrong
written down.
"""

import contextlib
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FACTS = """() => ({
  broken: [...document.images].filter(i => i.complete && !i.naturalWidth)
    .map(i => i.src.slice(-60)),
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  untypeset: [...document.querySelectorAll('.math')].filter(
    m => !m.querySelector('mjx-container, mjx-assistive-mml, .MathJax, svg')).length,
  formulas: document.querySelectorAll('.math').length})"""


# resolves once the page has drawn twelve frames in which nothing changed, however long each took
SETTLED = """() => new Promise((done) => {
  let before = "", same = 0;
  const state = () => {
    const ranges = (window.Bokeh?.documents ?? []).flatMap((d) => d.is_idle
      ? [...d._all_models.values()].filter((m) => m.type.endsWith("Range1d"))
        .flatMap((m) => [m.start, m.end]) : [Math.random()]);
    const root = document.documentElement;
    const math = window.MathJax?.startup?.promise && !window.mathIsSet ? Math.random() : 0;
    return JSON.stringify([scrollX, scrollY, root.scrollWidth, root.scrollHeight,
      document.body.innerHTML.length, document.title, ranges, math]);
  };
  window.MathJax?.startup?.promise?.then(() => { window.mathIsSet = true; });
  const look = () => {
    const now = state();
    same = now === before ? same + 1 : 0;
    before = now;
    if (same >= 12) done(); else requestAnimationFrame(() => setTimeout(look, 5));
  };
  look();
})"""
# minutes after which a browser that hangs is given up: a guard, which no slow machine reaches
HANGING = 20 * 60_000


@dataclass
class Tab:
    """A page that is open, and what it complained of."""

    page: object
    faults: list[str] = field(default_factory=list)


def chromium() -> str:
    """The path of the browser.

    Where there is none a test is skipped and says so; in CI it fails.
    """
    actual = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if not actual:
        message = (
            "no chromium on this machine: pages were not opened in a browser; on Debian, apt-get"
            " install chromium"
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return actual


@contextlib.contextmanager
def browser():
    """A running browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        actual = driver.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            timeout=HANGING,
        )
        yield actual
        actual.close()


@contextlib.contextmanager
def opened(
    running,
    path: Path,
    width: int = 1280,
    scheme: str = "light",
    fragment: str = "",
    touch: bool = False,
):
    """A page opened from disk, with ``touch`` as a phone does; requests that leave the machine are
    refused and noted.
    """
    context = running.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        has_touch=touch,
        is_mobile=touch,
    )
    context.set_default_timeout(HANGING)
    tab = Tab(context.new_page())
    context.route(
        "http*://**",
        lambda route: (
            tab.faults.append(f"asks the network for {route.request.url[:90]}"),
            route.abort(),
        ),
    )
    tab.page.on(
        "requestfailed", lambda request: tab.faults.append(f"failed request {request.url[-90:]}")
    )
    tab.page.on(
        "console",
        lambda message: (
            tab.faults.append(f"console: {message.text[:200]}") if message.type == "error" else None
        ),
    )
    tab.page.on("pageerror", lambda error: tab.faults.append(f"script error: {str(error)[:200]}"))
    tab.page.goto(path.resolve().as_uri() + fragment)
    tab.page.wait_for_load_state("load")
    yield tab
    context.close()


def settle(page) -> None:
    """Wait until nothing changes on a page any more."""
    page.evaluate(SETTLED)


def pixels(page, selector: str):
    """What an element looks like: an RGB image."""
    import io

    from PIL import Image

    return Image.open(io.BytesIO(page.locator(selector).first.screenshot())).convert("RGB")


def colours(page, selector: str) -> int:
    """How many colours a drawn element shows, in steps of 32: one if nothing was drawn."""
    return len(
        {
            tuple(c // 32 for c in colour)
            for _, colour in pixels(page, selector).getcolors(maxcolors=1 << 24)
        }
    )


SPACE = """(what) => {
  const [view] = Bokeh.index.query((v) => v.model.type === "Figure"), {model} = view;
  const points = model.renderers.filter((r) => r.data_source.data.article);
  if (what === "state") {
    const {start, end} = model.x_range;
    const chosen = points.map((r) => r.data_source.selected.indices.length);
    return {start, width: end - start, visible: points.map((r) => r.visible), chosen};
  }
  const box = view.el.getBoundingClientRect();
  const chosen = points.find((r) => r.data_source.selected.indices.length);
  const {data, selected} = (what === "chosen" ? chosen : points[0]).data_source, {x, y} = data;
  const i = what === "chosen" ? selected.indices[0] : what;
  return {x: box.x + view.frame.x_scale.compute(x[i]), y: box.y + view.frame.y_scale.compute(y[i])};
}"""


def space_state(page) -> dict:
    """Of the topic space: where its map starts and how wide it is, which views are visible, how
    many items of each are chosen.
    """
    return page.evaluate(SPACE, "state")


def space_point(page, item: int) -> tuple[float, float]:
    """Where an item of the first view is on the screen, in pixels."""
    at = page.evaluate(SPACE, item)
    return at["x"], at["y"]


def drag(page, fingers, moves) -> None:
    """Fingers put down at places (x, y), moved each by its (dx, dy), in pixels, and lifted: touches
    as the browser itself handles them.
    """
    hand = page.context.new_cdp_session(page)
    for step in range(11):
        at = [
            {"x": x + dx * step / 10, "y": y + dy * step / 10, "id": i}
            for i, ((x, y), (dx, dy)) in enumerate(zip(fingers, moves, strict=True))
        ]
        hand.send(
            "Input.dispatchTouchEvent",
            {"type": "touchMove" if step else "touchStart", "touchPoints": at},
        )
        page.wait_for_timeout(16)
    hand.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(page)


def serious_faults(page, colours_alone=False):
    """What axe-core finds that keeps someone from reading or using the page; ``colours_alone``
    leaves out what does not depend on them.
    """
    from axe_playwright_python.sync_playwright import Axe

    rules = ["color-contrast", "link-in-text-block"]
    # what it would load again, a browser refuses to a page of a file
    options = {"preload": False}
    options |= {"runOnly": {"type": "rule", "values": rules}} if colours_alone else {}
    actual = Axe().run(page, options=options).response["violations"]
    serious = [
        f"{v['id']}: {n['target']}"
        for v in actual
        if v["impact"] in ("serious", "critical")
        for n in v["nodes"][:3]
    ]
    # docutils' list of references holds doc-biblioentry, a kind of list item that axe does not
    # count as one
    known = "aria-required-children: ['.citation-list']"
    # Sphinx lists the parameters of a long signature as definitions of no term
    signature = re.compile(r"definition-list: \['#m3l\S+ > dl'\]")
    return [fault for fault in serious if fault != known and not signature.fullmatch(fault)]
