"""Which choice would change a verdict: the same rule, put to runs that were made otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..measured import Key, Measured
from ..variants import Contender, contender
from .judging import SEEDS, Verdict, judge
from .paper import Lookup
from .reading import Claim

# what a variant may change without being another question; others, such as the number of topics,
# are what claims are about
CHOICES = (
    "objective",
    "similarity",
    "inputs",
    "floor",
    "epochs",
    "texts",
    "priors",
    "reading",
    "tuples",
)


@dataclass(frozen=True)
class Change:
    """What another choice makes of a claim: ``choice`` in words, and each corpus's outcome."""

    choice: str
    by_corpus: dict[str, str]


def alternatives(measured: Mapping[Key, Measured]) -> list[tuple[str, str]]:
    """The choices, (what, value), of which there are runs: variants in one respect alone."""
    single = [key[4].changes[0] for key in measured if len(key[4].changes) == 1]
    return [change for change in dict.fromkeys(single) if change[0] in CHOICES]


def under(claim: Claim, measured: Mapping[Key, Measured], choice: tuple[str, str]) -> Claim | None:
    """The claim about models that were made with another choice; None if no run was.

    A model takes it if it was measured so wherever it was measured at all.
    """
    what, value = choice
    about = (claim.setting, claim.measure)
    there = {key[4] for key in measured if key[1:3] == about and key[3] in claim.pairs}

    def changed(who: Contender) -> Contender:
        other = contender(who.model, {**dict(who.changes), what: value})
        return other if other in there and what not in dict(who.changes) else who

    subject, others = map(changed, claim.subject), map(changed, claim.others)
    other = replace(claim, subject=tuple(subject), others=tuple(others))
    return None if (other.subject, other.others) == (claim.subject, claim.others) else other


def changes(
    verdict: Verdict,
    measured: Mapping[Key, Measured],
    find: Lookup,
    generated: Sequence[str] = (),
) -> list[Change]:
    """The choices under which a corpus says something else of a claim than it does.

    Only where every model was trained often enough to decide.
    """
    found = []
    for what, value in alternatives(measured):
        claim = under(verdict.claim, measured, (what, value))
        if claim is None:
            continue
        other = judge(claim, measured, find, generated)
        # a contrast that nothing can decide for want of seeds says nothing
        thin = {case.corpus for case in other.cases if 0 < case.seeds < SEEDS}
        different = {
            corpus: outcome
            for corpus, outcome in other.by_corpus.items()
            if corpus not in thin and verdict.by_corpus.get(corpus, outcome) != outcome
        }
        if different:
            found.append(Change(f"{what} {value}", different))
    return found
