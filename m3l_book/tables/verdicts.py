"""Claims and their verdicts as chapters show them."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from ..claims.judging import OUTCOMES, SEEDS, Case, Change, Verdict, over_the_study
from ..claims.reading import CONSTANT, STANDINGS, Claim
from ..measured import Contender
from ..record_check import points
from ..records.results import RAW
from ..records.selection import PAPER_MODELS
from ..shown import as_html
from .shared import own_direction

if TYPE_CHECKING:
    from pandas import DataFrame

MARKS = {"yes": "✔", "no": "✘", "equal": "=", "undecided": "?"}
IN_WORDS = {
    "replicates": "As the paper says:",
    "differs": "Otherwise than the paper says:",
    "in part": "In part as the paper says, with no difference that matters in the rest:",
    "no difference": "Where the paper sees one, there is no difference that matters:",
    "mixed": "One way on one corpus and another on another:",
    "undecided": "Cannot be told:",
}
# corpus -> view -> the part it plays in the paper
Roles = Mapping[str, Mapping[str, str]]


def claims_frame(verdicts: Iterable[Verdict]) -> "DataFrame":
    """Return a row for each claim: what it says, what it is to this book, and its verdict.

    Columns are id, section, claim, rule, standing, note; ``counts``; ``paper's table``, whether it
    bears the claim out; ``verdict``; ``as in its table``, whether what was measured is as the
    paper's table has it; and ``over the study``, whether it stays decided if all claims that count
    are corrected together.
    """
    import pandas as pd

    verdicts = list(verdicts)
    sure = {name: "yes" if stands else "no" for name, stands in over_the_study(verdicts).items()}
    about = ["id", "section", "claim", "rule", "standing", "note"]
    rows = [
        {name: getattr(verdict.claim, name) for name in about}
        | {"counts": verdict.claim.counts, "paper's table": verdict.paper_agrees}
        | {"verdict": verdict.words, "as in its table": verdict.as_in_the_table}
        | {"over the study": sure.get(verdict.claim.id, "not decided")}
        for verdict in verdicts
    ]
    columns = [*about, "counts", "paper's table", "verdict", "as in its table", "over the study"]
    return pd.DataFrame(rows, columns=columns)


def main_means(verdicts: Iterable[Verdict], roles: Roles) -> "DataFrame":
    """Return the models' means behind the main claims on the first corpus that claims were tested
    on: a row for each measure and direction, a column for each model, ours before the paper's.
    """
    import pandas as pd

    verdicts, rows = list(verdicts), []
    first = next((corpus for verdict in verdicts for corpus in verdict.by_corpus), "")
    for verdict in verdicts:
        claim = verdict.claim
        if claim.standing != "tested" or claim.chapter != "07-retrieval":
            continue
        for (corpus, pair, who), mean in verdict.means.items():
            if corpus == first and not who.changes:
                where = f"{claim.measure} {own_direction(pair, roles[corpus])}"
                texts_alone = claim.setting == "multilingual" or "image" in pair
                where += "" if texts_alone else " (with pictures)"
                rows.append((where, who.short, mean, verdict.paper_means.get((pair, who))))
    columns = ["measure", "model", "here", "in the paper"]
    means = pd.DataFrame(rows, columns=columns).drop_duplicates()
    if means.empty:
        return means[["measure"]]
    wide = means.pivot(index="measure", columns="model", values=["here", "in the paper"])
    order = [who.short for who in (*map(Contender, PAPER_MODELS), RAW)]
    measures = ["MRR", "UAP", "JSD", "NPMI"]
    wide = wide.sort_index(axis="columns", level=1, key=lambda names: names.map(order.index))
    order_of = {"kind": "stable", "key": lambda rows: rows.str.split().str[0].map(measures.index)}
    wide = wide.sort_index(**order_of)
    wide = wide[["here", "in the paper"]].dropna(axis="columns", how="all")
    return wide.rename_axis(columns=[None, None]).reset_index()


def came_out(verdicts: Iterable[Verdict]) -> str:
    """Return a list of the claims of each outcome, in HTML."""
    verdicts, parts = list(verdicts), []
    for outcome, words in IN_WORDS.items():
        lines = [f"<li>{_with_section(v.claim)}</li>" for v in verdicts if v.verdict == outcome]
        if lines:
            parts.append(f"<p><b>{words}</b></p><ul>{''.join(lines)}</ul>")
    return "".join(parts)


def cards(
    verdicts: Sequence[Verdict],
    roles: Roles,
    claims: "DataFrame",
    live: Mapping[str, Verdict],
    changes: Mapping[str, Sequence[Change]],
) -> str:
    """Show each claim as a card, in HTML: what it says, its verdict, a strip for each comparison on
    which the verdict hangs, and all else on demand.

    Parameters
    ----------
    verdicts : sequence of Verdict
    roles : corpus -> view -> part in the paper
        Of the corpora of ``verdicts`` and of ``live``.
    claims : DataFrame
        Of all claims, by `claims_frame`: it says whether a verdict stands over the whole study.
    live : claim's id -> verdict of this build's runs, or none
        A diamond shows where the build's comparison lies.
    changes : claim's id -> choices under which the verdict would be another
    """
    over_all, shown = claims.set_index("id")["over the study"], []
    for verdict in verdicts:
        own = live.get(verdict.claim.id)
        more = _more(verdict, roles)
        more["As in its table"] = verdict.as_in_the_table
        more["Over the study"] = over_all[verdict.claim.id]
        if live:
            more["This build"] = _this_build(verdict, own, roles)
        more["Would change it"] = change_lines(changes.get(verdict.claim.id, ()))
        rest = "the rule, the numbers, the rest"
        folded = "".join(f"<p><b>{head}.</b> {text}</p>" for head, text in more.items() if text)
        shown.append(
            f'<article class="claim-card"><p>{_with_section(verdict.claim)}</p>{chip(verdict)}'
            f"{_strips(verdict, own, roles)}<details><summary>{rest}</summary>{folded}"
            "</details></article>"
        )
    return f'<div class="claim-cards">{"".join(shown)}</div>'


def telling(verdict: Verdict) -> list[Case]:
    """Choose the comparisons that a verdict hangs on, one for each corpus that counts and pair of
    views: one against the claim before one that is undecided, and that before any other; of several
    the one that is least for the claim.
    """
    order, groups = ("no", "undecided", "equal", "yes"), {}
    for case in (case for case in verdict.cases if case.corpus in verdict.by_corpus):
        groups.setdefault((case.corpus, case.pair), []).append(case)
    return [
        min(own, key=lambda case: (order.index(case.right), case.in_half_widths))
        for own in groups.values()
    ]


def _strips(verdict: Verdict, live: Verdict | None, roles: Roles) -> str:
    """Draw the telling comparisons on one scale: zero, the margin as a band, the interval, the
    value, and that of this build.
    """
    cases = telling(verdict)
    built = {(c.corpus, c.pair, *c.weights): c.value for c in live.cases} if live else {}
    here = [built.get((case.corpus, case.pair, *case.weights)) for case in cases]
    ends = [x for case in cases for x in (case.low, case.high, 1.5 * case.margin)]
    most = max(map(abs, [*ends, *(value for value in here if value is not None)]), default=0) or 1.0
    strips = []
    for case, value in zip(cases, here, strict=True):
        marks = [("zero", 0.0, 0.0)]
        marks += [("band", -case.margin, case.margin)] if case.margin else []
        marks += [("interval", case.low, case.high), ("value", case.value, case.value)]
        marks += [("live", value, value)] if value is not None else []
        drawn = "".join(_mark(kind, low / most, high / most) for kind, low, high in marks)
        said = f"{case.value:+.3f}, 95 % interval {case.low:+.3f} to {case.high:+.3f}"
        said += f"; this build {value:+.3f}" if value is not None else ""
        compared = [who for who in case.weights if who != CONSTANT]
        means = [f"{w.short} {verdict.means[case.corpus, case.pair, w]:.3f}" for w in compared]
        where = f"{case.corpus} {own_direction(case.pair, roles[case.corpus])}"
        strips.append(
            f"<p><b>{as_html(where)}</b> {as_html(' · '.join(means))}</p>"
            f'<div class="strip {case.right}" role="img" aria-label="{said}" title="{said}">'
            f"{drawn}</div>"
        )
    ends = f"<span>−{most:.2f}</span><span>0</span><span>+{most:.2f} {verdict.claim.measure}</span>"
    return "".join([*strips, f'<p class="scale">{ends}</p>' if strips else ""])


def _mark(kind: str, low: float, high: float) -> str:
    """Place a mark of a strip that goes from −1 to 1; what lies beyond stands at its end."""
    near, far = (50 + 49 * max(-1.0, min(1.0, end)) for end in (low, high))
    width = f";width:{far - near:.1f}%" if far > near else ""
    return f'<i class="{kind}" style="left:{near:.1f}%{width}"></i>'


def _more(verdict: Verdict, roles: Roles) -> dict[str, str]:
    """Return what stands in a card on demand, by its heading, in HTML."""
    claim = verdict.claim
    thin = [c for c in verdict.cases if c.corpus in verdict.by_corpus and 0 < c.seeds < SEEDS]
    printed = paper_lines(verdict) or "in words only"
    if verdict.paper_agrees == "no":
        printed += "<br>its own numbers say otherwise"
    measured = _claim_lines(verdict, roles) if verdict.cases else "its runs are not there"
    if verdict.verdict == "undecided" and thin:
        measured += f"<br>fewer than {SEEDS} seeds decide nothing"
    again = f"It says of other runs what {claim.restates} says." if claim.restates else ""
    written = f"{claim.written}; changed: {claim.changed}" if claim.changed else claim.written
    return {
        "Rule": escape(claim.rule),
        "In the paper": printed,
        "Measured": measured,
        "Not counted again": escape(again),
        "Note": escape(claim.note),
        "Caveats": escape(", ".join(claim.caveats_on(verdict.by_corpus))),
        "Rule written": escape(written),
        "Known in the files as": f"<code>{claim.id}</code>",
    }


def paper_lines(verdict: Verdict) -> str:
    """Return the paper's printed numbers for a claim in HTML, a line for each pair of views."""
    lines: dict[str, list[str]] = {}
    for (pair, who), mean in verdict.paper_means.items():
        lines.setdefault(pair, []).append(f"{who.short} {mean:.3f}")
    return "<br>".join(
        f"<b>{pair.replace('-', ' → ')}</b> {' · '.join(means)}" for pair, means in lines.items()
    )


def chip(verdict: Verdict) -> str:
    """Return the verdict as a coloured word; of a claim that does not count, why, in HTML."""
    words = verdict.words
    if verdict.verdict in ("not testable", "not counted"):
        words = STANDINGS[verdict.claim.standing]
    kind = verdict.verdict.replace(" ", "-") if verdict.verdict in OUTCOMES else "aside"
    return f'<span class="verdict {kind}">{as_html(words)}</span>'


def _claim_lines(verdict: Verdict, roles: Roles, marks: bool = True) -> str:
    """Return what was measured for a claim, a line of HTML for each corpus and pair of views: each
    model's mean, and with ``marks`` whether the comparison with it came out right.
    """
    right: dict[tuple, str] = {}
    several = len(verdict.claim.subject) > 1 and verdict.claim.relation != "ranked above"
    for case in verdict.cases:
        compared = [who for who in case.weights if who != CONSTANT]
        where = case.corpus, case.pair, compared[0 if several else -1]
        right[where] = right.get(where, "") + MARKS[case.right]
    lines = []
    for corpus, pair in dict.fromkeys((case.corpus, case.pair) for case in verdict.cases):
        values = []
        for who in dict.fromkeys([*verdict.claim.subject, *verdict.claim.others]):
            if (corpus, pair, who) in verdict.means:
                mark = right.get((corpus, pair, who)) if marks else ""
                value = f"{who.short} {verdict.means[corpus, pair, who]:.3f}"
                values.append(f"{value}\u00a0{mark}" if mark else value)
        where = f"{corpus} {own_direction(pair, roles[corpus])}"
        lines.append(f"<b>{as_html(where)}</b> {' · '.join(values)}")
    return "<br>".join(lines)


def _this_build(verdict: Verdict, own: Verdict | None, roles: Roles) -> str:
    """Return where a build's means point, above the means, in HTML."""
    if own is None or not own.cases:
        return "not trained here"
    way, lines = points(verdict, own), _claim_lines(own, roles, marks=False)
    return f"<b>points the {way} way</b><br>{lines}" if way else lines


def change_lines(changes: Sequence[Change]) -> str:
    """Return the choices under which a verdict would be another, a line of HTML for each."""
    lines = []
    for change in changes:
        outcomes = (f"{outcome} on {as_html(c)}" for c, outcome in change.by_corpus.items())
        lines.append(f"{escape(change.choice)}: {', '.join(outcomes)}")
    return "<br>".join(lines)


def _with_section(claim: Claim) -> str:
    return f"{escape(claim.claim)} <small>(§ {escape(claim.section)})</small>"
