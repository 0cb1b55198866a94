"""What the pages of a built book weigh and how soon they are drawn: ``python benchmarks/weigh.py
build/laptop/html``. Part of ``make bench``.

Opened from disk in headless Chromium: each page's own size, all it loads, the time to its first
content and to the load event; of the topic space besides, when the map is drawn, how many points it
has, and the frames that moving it by mouse shows. Medians over ``--times``.
"""

import argparse
import shutil
import statistics
import sys
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlparse

TIMES = """() => {
  const [page] = performance.getEntriesByType('navigation');
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  return {first: paint ? paint.startTime : NaN, loaded: page.loadEventEnd};
}"""
# when the map has been drawn, from the start of the page
DRAWN = """() => new Promise((done, failed) => {
  setTimeout(() => failed(new Error("not drawn within 20 seconds")), 20000);
  const drawn = () => window.Bokeh?.documents?.length && Bokeh.documents.every((d) => d.is_idle);
  const end = () => done(performance.now());
  const look = () => drawn() ? requestAnimationFrame(end) : setTimeout(look, 5);
  look();
})"""
POINTS = """() => {
  const [view] = Bokeh.index.query((v) => v.model.type === 'Figure');
  view.el.scrollIntoView();
  const {x, y, width, height} = view.el.getBoundingClientRect();
  window.painted = [];
  const watch = (now) => { window.painted.push(now); requestAnimationFrame(watch); };
  requestAnimationFrame(watch);
  const counts = view.model.renderers.map((r) => (r.data_source.data.article || []).length);
  return {x: x + width / 2, y: y + height / 2, points: counts.reduce((sum, n) => sum + n, 0)};
}"""


def frames(page, moves: int = 60) -> tuple[int, float]:
    """How many points the topic space has, and the 95th percentile of the time between frames while
    a mouse moves it, in milliseconds.
    """
    at = page.evaluate(POINTS)
    page.mouse.move(at["x"], at["y"])
    page.mouse.down()
    page.evaluate("window.painted.length = 0")
    for i in range(moves):
        page.mouse.move(at["x"] + 2 * (i % 30), at["y"] + i % 7)
    page.mouse.up()
    painted = page.evaluate("window.painted")
    return at["points"], statistics.quantiles([b - a for a, b in pairwise(painted)], n=20)[-1]


def weigh(browser, path: Path, times: int) -> dict:
    """One page: sizes in kilobytes, medians of times in milliseconds."""
    first, loaded, drawn, slow, points, files = [], [], [], [], 0, set()
    for _ in range(times):
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.on(
            "request",
            lambda request: (
                files.add(unquote(urlparse(request.url).path))
                if request.url.startswith("file:")
                else None
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_load_state("load")
        if page.locator(".topic-space").count():
            drawn.append(page.evaluate(DRAWN))
            points, gap = frames(page)
            slow.append(gap)
        page.wait_for_timeout(200)
        seen = page.evaluate(TIMES)
        first.append(seen["first"])
        loaded.append(seen["loaded"])
        page.context.close()
    row = {
        "own": path.stat().st_size / 1000,
        "all": sum(Path(f).stat().st_size for f in files if Path(f).is_file()) / 1000,
    }
    row |= {"first": statistics.median(first), "loaded": statistics.median(loaded)}
    return row | (
        {
            "drawn": statistics.median(drawn),
            "points": points,
            "between frames": statistics.median(slow),
        }
        if drawn
        else {}
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("html", type=Path, help="folder of the built book")
    parser.add_argument("--times", type=int, default=5, help="how often each page is opened")
    options = parser.parse_args()
    pages = [
        p
        for p in [
            *sorted(options.html.glob("*.html")),
            *sorted(options.html.glob("topics/*/index.html")),
        ]
        if p.stem not in ("genindex", "search")
    ]
    chromium = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if options.times < 1:
        parser.error(f"--times {options.times}: expected 1 or more")
    if not pages or not chromium:
        print(
            (
                "no chromium on this machine"
                if pages
                else f"{options.html}: no page there; make book first"
            ),
            file=sys.stderr,
        )
        return 1
    from playwright.sync_api import sync_playwright

    print(f"{'page':<34} {'own kB':>8} {'all kB':>8} {'first ms':>9} {'loaded ms':>10}")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for path in pages:
            row = weigh(browser, path.resolve(), options.times)
            name = str(path.relative_to(options.html)).removesuffix(".html")
            print(
                f"{name:<34} {row['own']:>8,.0f} {row['all']:>8,.0f} {row['first']:>9.0f}"
                f" {row['loaded']:>10.0f}",
                flush=True,
            )
            if "drawn" in row:
                of_map = f"its map of {row['points']:,} points drawn after {row['drawn']:.0f} ms"
                print(
                    f"{'':<34} {of_map}; 95 % of frames within {row['between frames']:.0f} ms while"
                    " it moves"
                )
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
