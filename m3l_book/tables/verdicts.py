"""Claims and their verdicts as chapters show them."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from ..claims.judging import OUTCOMES, SEEDS, Change, Verdict, over_the_study
from ..claims.reading import CONSTANT, STANDINGS, Claim
from ..record_check import points
from ..shown import as_html
from .shared import own_direction, styled

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

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

    Columns are id, section, claim, rule, chapter, standing, note, ``restates``, and ``written`` and
    ``changed`` of its rule; ``counts``; ``paper's table``, whether it bears the claim out;
    ``verdict``; ``as in its table``, whether what was measured is as the paper's table has it; and
    ``over the study``, whether it stays decided if all claims that count are corrected
    together.
    """
    import pandas as pd

    verdicts = list(verdicts)
    sure = {name: "yes" if stands else "no" for name, stands in over_the_study(verdicts).items()}
    about = ["id", "section", "claim", "rule", "chapter", "standing", "note", "restates"]
    about += ["written", "changed"]
    rows = [
        {name: getattr(verdict.claim, name) for name in about}
        | {"counts": verdict.claim.counts, "paper's table": verdict.paper_agrees}
        | {"verdict": verdict.words, "as in its table": verdict.as_in_the_table}
        | {"over the study": sure.get(verdict.claim.id, "not decided")}
        for verdict in verdicts
    ]
    columns = [*about, "counts", "paper's table", "verdict", "as in its table", "over the study"]
    return pd.DataFrame(rows, columns=columns)


def came_out(verdicts: Iterable[Verdict]) -> str:
    """Return a list of the claims of each outcome, in HTML."""
    verdicts, parts = list(verdicts), []
    for outcome, words in IN_WORDS.items():
        lines = [f"<li>{_with_section(v.claim)}</li>" for v in verdicts if v.verdict == outcome]
        if lines:
            parts.append(f"<p><b>{words}</b></p><ul>{''.join(lines)}</ul>")
    return "".join(parts)


def verdict_table(
    verdicts: Sequence[Verdict],
    roles: Roles,
    live: Mapping[str, Verdict] | None = None,
    claims: "DataFrame | None" = None,
) -> "Styler":
    """Show each claim with its rule, the paper's numbers, and the verdict with what it rests on.

    Parameters
    ----------
    verdicts : sequence of Verdict
    roles : corpus -> view -> part in the paper
        Of the corpora of ``verdicts`` and of ``live``.
    live : claim's id -> verdict of this build's runs, optional
        A column shows their means, and whether these point the same way.
    claims : DataFrame, optional
        Of all claims, by `claims_frame`: two columns say whether what was measured is as the
        paper's table has it, and whether the verdict stands over the whole study.
    """
    import pandas as pd

    own_words = {"yes": "", "no": "<br><b>its own numbers say otherwise</b>", "no number": ""}
    frame = None if claims is None else claims.set_index("id")
    rows = []
    for verdict in verdicts:
        claim = verdict.claim
        about = f"<br><small>Rule: {escape(claim.rule)}<br><code>{claim.id}</code></small>"
        printed = paper_lines(verdict) + own_words[verdict.paper_agrees]
        row = {"claim": _with_section(claim) + about, "paper": printed or "in words only"}
        row["verdict"] = _outcome(verdict, roles)
        if frame is not None:
            row |= frame.loc[claim.id, ["as in its table", "over the study"]]
        if live:
            row["this build"] = _this_build(verdict, live.get(claim.id), roles)
        rows.append(row)
    return styled(pd.DataFrame(rows), markup=True).set_table_attributes('class="verdict-table"')


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


def _outcome(verdict: Verdict, roles: Roles) -> str:
    """Return a verdict above what it rests on and what a reader must know of it, in HTML."""
    lines = [chip(verdict)]
    thin = [c for c in verdict.cases if c.corpus in verdict.by_corpus and 0 < c.seeds < SEEDS]
    if verdict.verdict == "undecided" and thin:
        lines.append(f"<small>fewer than {SEEDS} seeds decide nothing</small>")
    lines.append(_claim_lines(verdict, roles) if verdict.cases else "its runs are not there")
    claim, remarks = verdict.claim, []
    if claim.restates:
        remarks.append(f"Not counted again: it says of other runs what {claim.restates} says.")
    remarks += [claim.note] if claim.note else []
    if caveats := claim.caveats_on(verdict.by_corpus):
        remarks.append(f"Caveats: {', '.join(caveats)}.")
    said = escape(" ".join(remarks))
    return "<br>".join([*lines, *([f"<small><i>{said}</i></small>"] if said else [])])


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
