"""Texts of a corpus as pages show them: every sign as itself, run and parsed by nobody.

A corpus is somebody else's data. A title may be ``</table><script>``, a word ``*``, a price $5.
"""

import html
import string
import unicodedata

DOLLAR = '<span class="tex2jax_ignore mathjax_ignore">&#36;</span>'
"""A dollar that begins no formula, neither for MyST, nor for JupyterLab, nor for MathJax."""

TURNING = {"R", "AL", "AN", "RLE", "RLO", "RLI", "FSI"}
"""Kinds of signs that run from the right, or make others do so (Unicode Standard Annex 9)."""

MARKDOWN = str.maketrans({sign: f"&#{ord(sign)};" for sign in string.punctuation} | {"$": DOLLAR})
"""Signs that mean something in Markdown as character references."""


def as_html(text: object) -> str:
    """A text as HTML that shows it; one with letters from the right stands apart from others."""
    return _apart(str(text), html.escape(str(text)).replace("$", DOLLAR))


def as_markdown(text: object) -> str:
    """A text as Markdown that shows it, on one line.

    Signs that mean something are written as character references, which Markdown reads as the sign
    and never as markup.
    """
    line = " ".join(str(text).split())
    return _apart(line, line.translate(MARKDOWN))


def _apart(text: str, shown: str) -> str:
    """What shows a text, isolated if the text could turn the order of its neighbours round."""
    turned = any(unicodedata.bidirectional(sign) in TURNING for sign in text)
    return f"<bdi>{shown}</bdi>" if turned else shown
