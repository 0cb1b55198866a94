"""Keep pages silent without a network: no live-code script, whose loader names a CDN and declares
its constant twice.
"""


def drop_thebe(app, pagename, templatename, context, doctree):
    """Leave sphinx-thebe's scripts and styles out of every page; the book offers no live code."""
    for kind in ("script_files", "css_files"):
        context[kind] = [
            file
            for file in context.get(kind, [])
            if "thebe" not in str(getattr(file, "filename", file)).lower()
            and "THEBE" not in str(getattr(file, "attributes", {}).get("body", ""))
        ]


def setup(app):
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
