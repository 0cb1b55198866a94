"""The rule that decides a claim.

A *case* is one comparison on one corpus in one direction. Its quantity is a weighted sum of models'
means, positive if the claim is right: A − B for "A above B", A − t·B for "A at least t of B". It is
estimated over test articles and training seeds (`m3l.metrics.uncertainty`), and the cases of a
claim on a corpus are corrected for how many they are (Holm 1979). A claim *replicates* on a corpus
if every case is decided for it, *differs* if any is decided against it, and is *undecided*
otherwise. Nothing is decided by a model that was trained fewer than three times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from m3l.metrics.uncertainty import Estimate, holm

from ..measured import Contender, Key, Measured, combine, contender, fewest_seeds
from .reading import CONSTANT, Claim, Lookup, agreement, paper_lookup, read_claims, read_numbers

LEVEL = 0.05  # of all the cases of a claim on a corpus together
SEEDS = 3  # the fewest by which a trained model can decide a case
OUTCOMES = ("replicates", "differs", "undecided")


@dataclass(frozen=True)
class Case:
    """One comparison: ``value`` is the sum of contenders' means by ``weights``, ``right`` is "yes",
    "no" or "undecided", ``seeds`` are of the least trained one (0 if none is trained).

    ``p_value`` is corrected for the other cases of the claim on the corpus, and the interval from
    ``low`` to ``high`` leaves out zero if and only if it is below `LEVEL`.
    """

    corpus: str
    pair: str
    weights: dict[Contender, float]
    value: float
    seeds: int
    p_value: float
    low: float
    high: float
    right: str

    @property
    def margin(self) -> float:
        """The sum in half widths of its interval: above 1 decided for the claim, below −1 against.

        Infinite where the interval has no width.
        """
        half = (self.high - self.low) / 2
        return self.value / half if half > 0 else float("inf") * (1 if self.value > 0 else -1)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: one of `OUTCOMES`, or "mixed" if corpora differ, "not measured", "not
    testable", or "not counted" of what is no test.

    ``by_corpus`` has the outcome on each corpus that counts, ``cases`` are of all corpora, and
    ``means`` are by corpus, pair and contender. ``paper_agrees`` and ``paper_means`` are those of
    `m3l_book.claims.reading.agreement`.
    """

    claim: Claim
    verdict: str
    by_corpus: dict[str, str]
    cases: list[Case]
    means: dict[tuple[str, str, Contender], float]
    paper_agrees: str
    paper_means: dict[tuple[str, Contender], float]

    @property
    def words(self) -> str:
        """The verdict in words; of corpora that differ, what each says."""
        if self.verdict == "mixed":
            return ", ".join(f"{outcome} on {corpus}" for corpus, outcome in self.by_corpus.items())
        return self.verdict


def judge(
    claim: Claim, measured: Mapping[Key, Measured], find: Lookup, generated: Sequence[str] = ()
) -> Verdict:
    """Decide one claim; ``find`` is of `m3l_book.claims.reading.paper_lookup`.

    A corpus counts if all the claim's models were measured there on the pair. On a corpus that was
    ``generated`` they are compared, which does not count: what holds there is a fact about how it
    was made.
    """
    cases: list[Case] = []
    means: dict[tuple[str, str, Contender], float] = {}
    by_corpus: dict[str, str] = {}
    for corpus in dict.fromkeys(key[0] for key in measured):
        own, found = _cases(claim, corpus, measured)
        cases += own
        means |= found
        if own and corpus not in generated:
            right = {case.right for case in own}
            told = "differs" if "no" in right else "replicates" if right == {"yes"} else "undecided"
            by_corpus[corpus] = told
    outcomes = set(by_corpus.values())
    verdict = "mixed" if len(outcomes) > 1 else "".join(outcomes) or "not measured"
    if claim.standing != "tested":
        verdict = "not testable" if claim.standing == "not testable" else "not counted"
    return Verdict(claim, verdict, by_corpus, cases, means, *agreement(claim, find))


def _cases(
    claim: Claim, corpus: str, measured: Mapping[Key, Measured]
) -> tuple[list[Case], dict[tuple[str, str, Contender], float]]:
    """Compare a claim's models on one corpus: the corrected cases, and the means behind them."""
    raw, means, combinations = [], {}, claim.combinations()
    named = {who: None for weights in combinations for who in weights if who != CONSTANT}
    for pair in claim.pairs:
        where = corpus, claim.setting, claim.measure, pair
        there = {who: measured[*where, who] for who in named if (*where, who) in measured}
        # of one article nothing can be told
        if len(there) < len(named) or min(m.drawn for m in there.values()) < 2:
            continue
        means |= {(corpus, pair, who): float(m.values.mean()) for who, m in there.items()}
        for weights in combinations:
            terms = {who: weight for who, weight in weights.items() if who != CONSTANT}
            sums = combine(there, terms, weights.get(CONSTANT, 0.0))
            raw.append((pair, dict(weights), sums, fewest_seeds([there[who] for who in terms])))
    corrected = holm([sums.p_value for _, _, sums, _ in raw])
    return [_decided(corpus, *one, p) for one, p in zip(raw, corrected, strict=True)], means


def _decided(
    corpus: str, pair: str, weights: dict, sums: Estimate, seeds: int, corrected: float
) -> Case:
    """Decide one comparison: it is right or wrong where its interval leaves out zero."""
    level = LEVEL * (sums.p_value / corrected if corrected > 0 else 1.0)
    low, high = sums.interval(1 - max(level, 1e-12))
    decided = corrected <= LEVEL and not 0 < seeds < SEEDS
    right = "undecided" if not decided else "yes" if sums.value > 0 else "no"
    return Case(corpus, pair, weights, sums.value, seeds, corrected, low, high, right)


def verdicts(
    folder: str | Path,
    measured: Mapping[Key, Measured],
    generated: Sequence[str] = (),
    chapter: str | None = None,
) -> list[Verdict]:
    """Decide the claims in a folder of the paper's numbers and claims, or those of one chapter.

    ``measured`` and ``generated`` are as in `judge`.
    """
    find = paper_lookup(read_numbers(f"{folder}/numbers.csv"))
    claims = read_claims(f"{folder}/claims.csv")
    chosen = [claim for claim in claims if chapter in (None, claim.chapter)]
    return [judge(claim, measured, find, generated) for claim in chosen]


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
