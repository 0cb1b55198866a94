"""A figure tells what it shows: an SVG without alternative text takes its own title for it, and is
left as it is in the dark, which it knows of.
"""

from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes


def describe(app, doctree):
    for image in doctree.findall(nodes.image):
        path = Path(app.srcdir, image["uri"])
        if path.suffix == ".svg" and path.is_file():
            title = ElementTree.parse(path).getroot().findtext("{http://www.w3.org/2000/svg}title")
            if title:
                image.setdefault("alt", title)
                image["classes"].append("dark-light")


def setup(app):
    app.connect("doctree-read", describe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
