"""Print a built book, its slides, its report, or its claims a page each by chromium: ``python
workflow/printing.py PROFILE book|slides|report|cards``.

The files are ``build/PROFILE/book.pdf``, ``slides.pdf`` and so on; the pages must have been built.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from m3l.files import atomic

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
FOOT = (
    '<div style="font-size:8px;width:100%;text-align:center;color:#595959">'
    '<span class="pageNumber"></span></div>'
)
PAGES = {"slides": "slides.html", "report": "conclusion.html", "cards": "verdicts.html"}
MARGINS = {"top": "18mm", "bottom": "18mm", "left": "17mm", "right": "17mm"}
# on paper a page's provenance is without its lists of runs
BOOK = ".admonition.provenance .admonition.provenance { display: none; }"
# a report of four pages has no list of its own contents and no folds
REPORT = "#jb-print-docs-body #jb-print-toc, .admonition.provenance { display: none; }"
# it is to have four pages
REPORT += " .bd-article td, .bd-article th { padding: 0.1em 0.4em !important; line-height: 1.2; }"
# a claim on a page of its own, and nothing else
CARDS = ".bd-article :not(:has(.claim-card)):not(.claim-card):not(.claim-card *)"
CARDS += " { display: none !important; } .claim-cards { display: block !important; }"
CARDS += " #jb-print-docs-body { display: none; } .claim-card { break-after: page; }"
CARDS += " .claim-card { font-size: 1.6em; max-width: none; border: none; }"
# MathJax, where there is one, has set its last equation
SET = "window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"


def print_page(page: Path, output: Path, style: str = "", **options: object) -> None:
    """Print a page from disk as PDF, its folds open and without the network; ``style`` is CSS."""
    from playwright.sync_api import sync_playwright

    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        raise FileNotFoundError("no chromium on this machine; on Debian, apt-get install chromium")
    with sync_playwright() as driver, atomic(output) as temporary:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=0)
        context = browser.new_context(offline=True, color_scheme="light")
        opened = context.new_page()
        opened.goto(page.as_uri(), wait_until="load", timeout=0)
        opened.wait_for_function(SET, timeout=0)
        opened.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        opened.add_style_tag(content=style or "/* none */")
        opened.pdf(path=str(temporary), print_background=True, **options)
        browser.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("profile")
    parser.add_argument("what", choices=["book", "slides", "report", "cards"])
    options = parser.parse_args()
    build = ROOT / "build" / options.profile
    page, output = build / "html" / PAGES.get(options.what, ""), build / f"{options.what}.pdf"
    if options.what == "book":
        page = build / "onepage" / "index.html"
        command = [sys.executable, "workflow/render.py", options.profile]
        pages = build / ("own" if (build / "own").is_dir() else "pages")
        command += [str(pages), str(page.parent), "--builder", "singlehtml"]
        if code := subprocess.run(command, cwd=ROOT).returncode:
            return code
    if not page.is_file():
        print(f"{page} is not there; make book PROFILE={options.profile}", file=sys.stderr)
        return 2
    layout = {"format": "A4", "margin": MARGINS}
    if options.what == "slides":
        layout = {"prefer_css_page_size": True}
    else:
        layout |= {"display_header_footer": True, "header_template": "<span></span>"}
        layout |= {"footer_template": FOOT, "outline": True, "tagged": True}
        # wide tables need the room
        style = {"book": BOOK, "report": REPORT, "cards": CARDS}[options.what]
        scale = {"book": 0.7, "report": 0.65, "cards": 1.0}[options.what]
        layout |= {"scale": scale, "style": style}
    try:
        print_page(page, output, **layout)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    print(output.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
