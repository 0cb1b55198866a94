"""Two things to play with on a page, without a server: the loss of three tuples, and θ of three
topics. Their few lines of JavaScript stand in the folder ``static``.
"""

import json
from html import escape
from pathlib import Path

STATIC = Path(__file__).with_name("static")
TERMS = ("reconstruction", "agreement", "contrast")
# θ of three documents in two languages, how often they have each of four words, and β
THETA_EN = ((0.8, 0.1, 0.1), (0.15, 0.7, 0.15), (0.1, 0.2, 0.7))
THETA_DE = ((0.75, 0.15, 0.1), (0.2, 0.6, 0.2), (0.1, 0.15, 0.75))
COUNTS = ((3, 1, 0, 0), (0, 3, 1, 0), (0, 0, 1, 3))
WORDS = ("ship", "oven", "salt", "star")
BETA = ((3.0, 0.0, 1.0, 0.0), (0.0, 3.0, 2.0, 0.0), (0.0, 0.0, 0.0, 3.0))
KNOBS = (
    ("temperature", "temperature τ", -1.7, 0.3, 0.05, -1.15),
    ("weight", "weight of the contrast s", 0, 100, 1, 50),
    ("kl", "weight of the KL", 0, 20, 0.5, 1),
    ("move", "document 2 (de) towards document 3", 0, 1, 0.05, 0),
)


def _page(name: str, body: str, script: str, given: dict) -> str:
    """A block of HTML whose script is told what it has to know; nothing of it is a text of others'
    making, and no two on a page share an id.
    """
    style = (STATIC / "lab.css").read_text(encoding="utf-8")
    code = (STATIC / script).read_text(encoding="utf-8").strip()
    told = json.dumps(given, ensure_ascii=False)
    return (
        f'<style>{style}</style><div class="m3l-lab" id="{name}">{body}</div>'
        f'<script>({code})(document.getElementById("{name}"), {told});</script>'
    )


def loss_lab() -> str:
    """The loss of three tuples with knobs for τ, s, the weight of the KL, and one document's θ."""
    knobs = "".join(
        f'<label><span>{escape(text)}</span><input type="range" data-knob="{name}" min="{low}"'
        f' max="{high}" step="{step}" value="{value}"><output data-shown="{name}"></output></label>'
        for name, text, low, high, step, value in KNOBS
    )
    heads = "".join(f'<th scope="col"><span class="key {t}"></span>{t}</th>' for t in TERMS)
    rows = ""
    for number in range(1, 4):
        cells = "".join(f'<td data-term="{term}"></td>' for term in TERMS)
        bars = "".join(f'<span class="bar {term}" data-bar="{term}"></span>' for term in TERMS)
        rows += (
            f'<tr><th scope="row">tuple {number}</th>{cells}<td data-term="total"></td>'
            f'<td class="bars" aria-hidden="true">{bars}</td></tr>'
        )
    table = (
        f'<table><thead><tr><td></td>{heads}<th scope="col">sum</th>'
        f'<td class="bars"></td></tr></thead><tbody>{rows}</tbody></table>'
    )
    given = {"en": THETA_EN, "de": THETA_DE, "words": COUNTS, "beta": BETA}
    reset = '<button type="button">as at the beginning</button>'
    return _page("loss-lab", knobs + table + reset, "loss.js", given)


def simplex_lab() -> str:
    """A point of the simplex to drag, and the words of a document of such topics."""
    rows = "".join(
        f'<tr data-word><th scope="row">{escape(word)}</th><td data-share></td>'
        '<td class="bars" aria-hidden="true"><span class="bar word" data-bar></span></td></tr>'
        for word in WORDS
    )
    drawing = (
        '<svg viewBox="0 0 240 225" role="group" aria-label="Triangle of three topics">'
        '<polygon points="20,193.2 220,193.2 120,20"></polygon>'
        '<text x="2" y="210">topic 1</text><text x="203" y="210">topic 2</text>'
        '<text x="100" y="14">topic 3</text>'
        '<circle data-point r="8" tabindex="0" role="slider" aria-label="θ, moved by arrow keys"'
        ' aria-valuemin="0" aria-valuemax="1" aria-valuenow="0"></circle></svg>'
    )
    body = (
        f'<div class="beside">{drawing}<div><p data-theta aria-live="polite"></p>'
        f"<table><tbody>{rows}</tbody></table></div></div>"
    )
    return _page("simplex-lab", body, "simplex.js", {"beta": BETA, "words": WORDS})
