"""Claims and verdicts as tables."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from ..claims.judging import OUTCOMES, SEEDS, Case, Verdict
from ..claims.reading import CONSTANT, STANDINGS, Claim
from ..claims.sensitivity import Change
from ..record_check import points
from .cells import own_direction, styled

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

MARKS = {"yes": "✔", "no": "✘", "undecided": "?"}
PLURALS = {"replicates": "replicate", "differs": "differ", "undecided": "undecided"}
PLURALS |= {"mixed": "come out one way on one corpus and another on another"}
IN_WORDS = {
    "replicates": "As the paper says:",
    "differs": "Otherwise than the paper says:",
    "mixed": "One way on one corpus and another on another:",
    "undecided": "Cannot be told:",
}
# corpus -> view -> the part it plays in the paper
Roles = Mapping[str, Mapping[str, str]]


def claim_lines(verdict: Verdict, roles: Roles, marks: bool = True) -> list[str]:
    """Write what was measured for a claim, a line of HTML per corpus and pair.

    Each contender's mean, and with ``marks`` after it whether the comparison with it is right.
    """
    lines = []
    for corpus, pair in dict.fromkeys((case.corpus, case.pair) for case in verdict.cases):
        right = {}
        for case in verdict.cases:
            if (case.corpus, case.pair) == (corpus, pair):
                against = [who for who in case.weights if who != CONSTANT][-1]
                right[against] = MARKS[case.right]
        values = []
        for who in dict.fromkeys([*verdict.claim.subject, *verdict.claim.others]):
            if (corpus, pair, who) in verdict.means:
                mark = f"\u00a0{right[who]}" if marks and who in right else ""
                values.append(f"{who.short} {verdict.means[corpus, pair, who]:.3f}{mark}")
        where = f"{corpus} {own_direction(pair, roles[corpus])}"
        lines.append(f"<b>{where}</b> {' · '.join(values)}")
    return lines


def paper_lines(verdict: Verdict) -> list[str]:
    """The paper's printed numbers for a claim, a line of HTML a pair."""
    lines = []
    for pair in dict.fromkeys(pair for pair, _ in verdict.paper_means):
        means = {who: mean for (p, who), mean in verdict.paper_means.items() if p == pair}
        values = " · ".join(f"{who.short} {mean:.3f}" for who, mean in means.items())
        lines.append(f"<b>{pair.replace('-', ' → ')}</b> {values}")
    return lines


def summary(verdicts: Iterable[Verdict], roles: Roles, where: str = "here") -> str:
    """The verdicts in a few sentences of HTML: how many of each, and what does not count.

    ``where`` says where they were put to the test.
    """
    verdicts = list(verdicts)
    tested = [v for v in verdicts if v.verdict in PLURALS]
    text = f"Of {len(tested)} claims that were put to the test {where}: "
    text += f"{_counts([v.verdict for v in tested])}. "
    if len({corpus for v in tested for corpus in v.by_corpus}) > 1:
        for corpus in roles:
            own = [v.by_corpus[corpus] for v in tested if corpus in v.by_corpus]
            if own:
                text += f"On <code>{corpus}</code> alone, of {len(own)}: {_counts(own)}. "
    aside = [v for v in verdicts if v.verdict in ("not testable", "not counted")]
    if aside:
        text += f"{len(aside)} are shown and not counted, each with its reason. "
    waiting = sum(v.verdict == "not measured" for v in verdicts)
    if waiting:
        text += f"Another {waiting} wait for runs that were not made."
    return text.strip()


def _counts(outcomes: Sequence[str]) -> str:
    known = [(word, plural) for word, plural in PLURALS.items() if word in outcomes]
    return ", ".join(f"<b>{outcomes.count(word)}</b> {plural}" for word, plural in known)


def came_out(verdicts: Iterable[Verdict]) -> str:
    """Write what became of claims, a list in HTML per outcome."""
    verdicts, parts = list(verdicts), []
    for outcome, words in IN_WORDS.items():
        lines = [f"<li>{_with_section(v.claim)}</li>" for v in verdicts if v.verdict == outcome]
        if lines:
            parts.append(f"<p><b>{words}</b></p><ul>{''.join(lines)}</ul>")
    return "".join(parts)


def short_table(verdicts: Sequence[Verdict], live: Mapping[str, Verdict] | None = None) -> "Styler":
    """Write claims with their verdicts, and with ``live`` where this build's means point, for the
    front page.
    """
    rows = []
    for verdict in verdicts:
        row = {"claim": escape(verdict.claim.claim), "verdict": _chip(verdict)}
        if live:
            way = points(verdict, live.get(verdict.claim.id))
            row["this build's means"] = f"point the {way} way" if way else "–"
        rows.append(row)
    return _styled(rows)


def verdict_table(
    verdicts: Sequence[Verdict],
    roles: Roles,
    changes: Mapping[str, Sequence[Change]] | None = None,
    live: Mapping[str, Verdict] | None = None,
) -> "Styler":
    """Write claim with its rule · paper · verdict · this build · what would change it, as HTML.

    Each verdict stands above what it rests on. ``live`` are verdicts of this build's runs by the
    claim's id: of them the means are shown, and whether they point the same way. ``roles`` are of
    the corpora of both. The last column is left out where no choice would change any verdict:
    ``changes`` are those of `m3l_book.claims.sensitivity.changes`, by the claim's id.
    """
    own_words = {"yes": "", "no": "<br><b>its own numbers say otherwise</b>", "no number": ""}
    rows = []
    for verdict in verdicts:
        claim = verdict.claim
        printed = "<br>".join(paper_lines(verdict)) + own_words[verdict.paper_agrees]
        about = f"<br><small>Rule: {escape(claim.rule)}<br><code>{claim.id}</code></small>"
        # a caveat stands where the verdict stands, once
        remark = claim.remark(verdict.by_corpus)
        note = f"<br><small><i>{escape(remark)}</i></small>" if remark else ""
        row = {"claim": _with_section(claim) + about, "paper": printed or "in words only"}
        row["verdict"] = _outcome(verdict, roles) + note
        if live:
            row["this build"] = _this_build(verdict, live.get(claim.id), roles)
        rows.append(row | _changes(changes or {}, verdict))
    return _styled(rows)


def _this_build(verdict: Verdict, own: Verdict | None, roles: Roles) -> str:
    """Where a build's means point, above the means."""
    if own is None or not own.cases:
        return "not trained here"
    way = points(verdict, own)
    lines = "<br>".join(claim_lines(own, roles, marks=False))
    return f"<b>points the {way} way</b><br>{lines}" if way else lines


def _outcome(verdict: Verdict, roles: Roles) -> str:
    """A verdict above what it rests on, in HTML."""
    if not verdict.cases:
        return f"{_chip(verdict)}<br>its runs are not there"
    lines = "<br>".join(claim_lines(verdict, roles))
    return f"{_chip(verdict)}{_why_undecided(verdict)}<br>{lines}"


def _changes(changes: Mapping[str, Sequence[Change]], verdict: Verdict) -> dict[str, str]:
    """The last cell of a row; none where no choice would change any verdict."""
    if not any(changes.values()):
        return {}
    lines = [
        f"{escape(change.choice)}: {', '.join(f'{o} on {c}' for c, o in change.by_corpus.items())}"
        for change in changes.get(verdict.claim.id, ())
    ]
    return {"would change it": "<br>".join(lines) or "–"}


def _why_undecided(verdict: Verdict) -> str:
    """Whether too few seeds are why nothing was decided."""
    counting = [case for case in verdict.cases if case.corpus in verdict.by_corpus]
    thin = any(0 < case.seeds < SEEDS for case in counting)
    if verdict.verdict == "undecided" and thin:
        return f"<br><small>fewer than {SEEDS} seeds decide nothing</small>"
    return ""


def history_table(verdicts: Sequence[Verdict]) -> "Styler":
    """When each rule was written and what changed since."""
    rows = [
        {
            "claim": _with_section(verdict.claim),
            "rule written": escape(verdict.claim.written),
            "changed since": escape(verdict.claim.changed) or "nothing",
        }
        for verdict in verdicts
    ]
    return _styled(rows)


def contradictions_table(verdicts: Sequence[Verdict]) -> "Styler":
    """The claims that the paper's own printed numbers do not satisfy."""
    rows = [
        {
            "claim": _with_section(verdict.claim),
            "printed": "<br>".join(paper_lines(verdict)),
            "rule": verdict.claim.rule,
        }
        for verdict in verdicts
        if verdict.paper_agrees == "no"
    ]
    return _styled(rows)


def reasons_table(verdicts: Iterable[Verdict]) -> "Styler":
    """Claims that are not counted, each with what it is to this book and why."""
    rows = [
        {
            "claim": _with_section(verdict.claim),
            "standing": STANDINGS[verdict.claim.standing],
            "why": escape(verdict.claim.remark(verdict.by_corpus)),
        }
        for verdict in verdicts
    ]
    return _styled(rows)


def waiting_table(verdicts: Sequence[Verdict]) -> "Styler":
    """The claims that this build has no runs for."""
    rows = [
        {"claim": _with_section(verdict.claim), "rule": verdict.claim.rule}
        for verdict in verdicts
        if verdict.verdict == "not measured"
    ]
    return _styled(rows)


def case_table(verdicts: Iterable[Verdict], roles: Roles) -> "Styler":
    """Every comparison behind the verdicts: the combination, its value, and how it was decided."""
    import pandas as pd

    rows = []
    for verdict in verdicts:
        for case in verdict.cases:
            where = own_direction(case.pair, roles[case.corpus])
            rows.append(
                {
                    "claim": verdict.claim.id,
                    "where": f"{case.corpus}, {verdict.claim.measure} {where}",
                    "above zero if right": _combination(case),
                    "value": f"{case.value:+.3f}",
                    "interval": f"{case.low:+.3f} to {case.high:+.3f}",
                    "p, corrected": f"{case.p_value:.3f}",
                    "seeds": case.seeds or "–",
                    "right": case.right,
                }
            )
    return styled(pd.DataFrame(rows))


def numbers_table(rows: Sequence[Mapping]) -> "Styler":
    """The paper's printed numbers beside those of its own data, as `numbers_within` has them."""
    import pandas as pd

    lines = [
        {
            "table": row["table"],
            "model": row["model"],
            "measure": f"{row['measure']} {row['pair']}",
            "paper": row["value"],
            "measured": row["mean"],
            "95 % interval": f"{row['low']:.3f} – {row['high']:.3f}",
            "inside": "yes" if row["inside"] else "no",
        }
        for row in rows
    ]
    return styled(pd.DataFrame(lines)).format(precision=3)


def _combination(case: Case) -> str:
    """A case's weighted sum, written out."""
    terms = []
    for who, weight in case.weights.items():
        if who == CONSTANT:
            terms.append(f"{weight:+g}")
        else:
            factor = "" if abs(weight) == 1 else f"{abs(weight):g} · "
            terms.append(f"{'+' if weight > 0 else '−'} {factor}{who}")
    return " ".join(terms).removeprefix("+ ")


def _with_section(claim: Claim) -> str:
    return f"{escape(claim.claim)} <small>(§ {escape(claim.section)})</small>"


def _chip(verdict: Verdict) -> str:
    """The verdict as a coloured word; of a claim that does not count, why."""
    words = verdict.words
    if verdict.verdict in ("not testable", "not counted"):
        words = STANDINGS[verdict.claim.standing]
    kind = verdict.verdict if verdict.verdict in OUTCOMES else "aside"
    return f'<span class="verdict {kind}">{escape(words)}</span>'


def _styled(rows: Sequence[Mapping]) -> "Styler":
    import pandas as pd

    frame = styled(pd.DataFrame(list(rows)), markup=True)
    return frame.set_table_attributes('class="verdict-table"')
