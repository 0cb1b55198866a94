"""Claims and verdicts as tables."""

from collections.abc import Mapping, Sequence

from .cells import short, spoken

MARKS = {"yes": "✔", "no": "✘", "undecided": "?"}


def claim_lines(verdict, names: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What was measured for a claim, a line per corpus and pair: each model's mean, and after it
    whether the comparison is right.

    ``names`` maps each corpus to its views' `roles`.
    """
    lines = []
    for corpus, pair in dict.fromkeys((case.corpus, case.pair) for case in verdict.cases):
        cases = [case for case in verdict.cases if (case.corpus, case.pair) == (corpus, pair)]
        marks = {[m for m in case.weights if m != "1"][-1]: MARKS[case.right] for case in cases}
        models = [
            m
            for m in dict.fromkeys([*verdict.claim.subject, *verdict.claim.others])
            if (corpus, pair, m) in verdict.means
        ]
        values = [
            f"{short(m)} {verdict.means[corpus, pair, m]:.3f}"
            + (f"\u00a0{marks[m]}" if m in marks else "")
            for m in models
        ]
        lines.append(f"<b>{corpus} {spoken(pair, names[corpus])}</b> {' · '.join(values)}")
    return lines


def paper_lines(verdict) -> list[str]:
    """The paper's printed numbers for a claim, a line a pair."""
    pairs = dict.fromkeys(pair for pair, _ in verdict.paper_means)
    return [
        f"<b>{pair.replace('-', ' → ')}</b> "
        + " · ".join(
            f"{short(m)} {v:.3f}" for (p, m), v in verdict.paper_means.items() if p == pair
        )
        for pair in pairs
    ]


def summary(verdicts: Sequence, names: Mapping[str, Mapping[str, str]]) -> str:
    """The verdicts in a few sentences of HTML: how many of each, overall and on each corpus, and
    which do not hold.
    """
    decided = [v for v in verdicts if v.verdict != "not measured"]

    def count(outcomes):
        said = (("holds", "hold"), ("does not hold", "do not hold"), ("undecided", "undecided"))
        return ", ".join(
            f"<b>{outcomes.count(word)}</b> {plural}" for word, plural in said if word in outcomes
        )

    text = (
        f"Of {len(decided)} claims that were put to the test here:"
        f" {count([v.verdict for v in decided])}. "
    )
    for corpus in names:
        outcomes = []
        for v in decided:
            right = [case.right for case in v.cases if case.corpus == corpus]
            if right:
                outcomes.append(
                    "does not hold"
                    if "no" in right
                    else "undecided"
                    if "undecided" in right
                    else "holds"
                )
        text += (
            f"On <code>{corpus}</code> alone, of {len(outcomes)}: {count(outcomes)}. "
            if outcomes
            else ""
        )
    return (
        text
        + f"Another {len(verdicts) - len(decided)} wait for runs that this build does not have."
        if len(decided) < len(verdicts)
        else text
    )


def short_table(verdicts: Sequence):
    """Claim and verdict, for the front page."""
    import pandas as pd

    rows = [{"claim": v.claim.claim, "verdict": _chip(v.verdict)} for v in verdicts]
    return pd.DataFrame(rows).style.hide(axis="index").set_table_attributes('class="verdict-table"')


def _chip(verdict: str) -> str:
    return f'<span class="verdict {verdict.replace(" ", "-")}">{verdict}</span>'


def verdict_table(verdicts: Sequence, names: Mapping[str, Mapping[str, str]]):
    """Claim · paper · measured · rule · verdict, as a styled frame of HTML cells."""
    import pandas as pd

    rows = []
    for v in verdicts:
        own = {"yes": "", "no": "<br><b>its own numbers say otherwise</b>", "no number": ""}[
            v.paper_agrees
        ]
        rows.append(
            {
                "claim": f"{v.claim.claim} <small>(§ {v.claim.section})</small>",
                "paper": "<br>".join(paper_lines(v)) + own or "in words only",
                "measured": (
                    "<br>".join(claim_lines(v, names)) or f"not in this book: {v.claim.chapter}"
                ),
                "rule": v.claim.rule,
                "verdict": _chip(v.verdict),
            }
        )
    return pd.DataFrame(rows).style.hide(axis="index").set_table_attributes('class="verdict-table"')


def case_table(verdicts: Sequence, names: Mapping[str, Mapping[str, str]]):
    """Every comparison behind the verdicts: the combination, its value with 95 % interval, and how
    it was decided.
    """
    import pandas as pd

    rows = []
    for v in verdicts:
        for case in v.cases:
            parts = [
                (
                    f"{w:+g}"
                    if m == "1"
                    else f"{'+' if w > 0 else '−'} {'' if abs(w) == 1 else f'{abs(w):g} · '}{m}"
                )
                for m, w in case.weights.items()
            ]
            where = f"{case.corpus}, {v.claim.measure} {spoken(case.pair, names[case.corpus])}"
            rows.append(
                {
                    "claim": v.claim.id,
                    "where": where,
                    "above zero if right": " ".join(parts).removeprefix("+ "),
                    "value": f"{case.value:+.3f}",
                    "95 % interval": f"{case.low:+.3f} to {case.high:+.3f}",
                    "right": case.right,
                }
            )
    return pd.DataFrame(rows).style.hide(axis="index")
