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
CHOICES = ("objective", "similarity", "inputs", "floor", "epochs", "texts", "priors", "reading")
CHOICES += ("tuples",)


@dataclass(frozen=True)
class Change:
    """What another choice makes of a claim: ``choice`` in words, and each corpus's outcome."""

    choice: str
    by_corpus: dict[str, str]


def changes(
    verdict: Verdict,
    measured: Mapping[Key, Measured],
    find: Lookup,
    generated: Sequence[str] = (),
) -> list[Change]:
    """Find the choices under which a corpus says something else of a claim than it does.

    The choices are those of which there are runs that vary nothing else. Only corpora count where
    every model was trained often enough to decide.
    """
    varied = [key[4].changes[0] for key in measured if len(key[4].changes) == 1]
    found = []
    for what, value in dict.fromkeys(change for change in varied if change[0] in CHOICES):
        claim = _under(verdict.claim, measured, what, value)
        if claim == verdict.claim:
            continue
        other = judge(claim, measured, find, generated)
        thin = {case.corpus for case in other.cases if 0 < case.seeds < SEEDS}
        different = {
            corpus: outcome
            for corpus, outcome in other.by_corpus.items()
            if corpus not in thin and verdict.by_corpus.get(corpus, outcome) != outcome
        }
        if different:
            found.append(Change(f"{what} {value}", different))
    return found


def _under(claim: Claim, measured: Mapping[Key, Measured], what: str, value: str) -> Claim:
    """Return the claim about models that were made with another choice, where they were."""
    about = (claim.setting, claim.measure)
    there = {key[4] for key in measured if key[1:3] == about and key[3] in claim.pairs}

    def changed(who: Contender) -> Contender:
        other = contender(who.model, {**dict(who.changes), what: value})
        return other if other in there and what not in dict(who.changes) else who

    subject, others = tuple(map(changed, claim.subject)), tuple(map(changed, claim.others))
    return replace(claim, subject=subject, others=others)
