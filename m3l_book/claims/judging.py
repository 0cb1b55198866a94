"""The rule that decides a claim.

A *case* is one comparison on one corpus in one direction. Its quantity is a weighted sum of models'
means, positive if the claim is right: A − B for "A above B", A − t·B for "A at least t of B". It is
estimated over test articles and training seeds (`m3l.metrics.uncertainty`) and comes out

- *equal* if two one-sided tests place it within the margin of its measure, within which a
  difference does not matter (of orders alone: a threshold is a margin itself);
- for the claim if it is above zero, by a test at `LEVEL`;
- against it if it is below zero, by the same test corrected for the number of the claim's cases
  (Holm 1979), since one case is enough to refute a claim, and of several one is against it by
  chance more often.

A claim *replicates* on a corpus if every case is for it: all must be, so that nothing has to be
corrected (Berger 1982, the intersection–union test). It replicates *in part* if some are for it and
the others equal. It *differs* if any is against it, there is *no difference* if all are equal, and
otherwise it is *undecided*. Nothing is decided by a model that was trained fewer than three times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scipy.special import stdtrit

from m3l.metrics.uncertainty import Estimate, holm

from ..measured import Contender, Key, Measured, combine, contender, fewest_seeds
from .reading import CONSTANT, Claim, Lookup, agreement

LEVEL = 0.05  # of a test
SEEDS = 3  # the fewest by which a trained model can decide a case
OUTCOMES = ("replicates", "in part", "no difference", "differs", "undecided")
WITH_MARGIN = ("above", "below", "ranked above")


@dataclass(frozen=True)
class Case:
    """One comparison: ``sums`` estimates the sum of contenders' means by ``weights``, ``right`` is
    "yes", "no", "equal" or "undecided", and ``p_value`` that of the test that says so.

    ``seeds`` are of the least trained contender (0 if none is trained), ``margin`` is that within
    which its measure is equal (0 where nothing is). ``of_articles`` is whether its values are of
    articles, as those of coherence are not.
    """

    corpus: str
    pair: str
    weights: dict[Contender, float]
    sums: Estimate
    seeds: int
    margin: float
    p_value: float
    right: str
    of_articles: bool = True

    @property
    def value(self) -> float:
        """The sum."""
        return self.sums.value

    @property
    def low(self) -> float:
        """The lower bound of its 95 % interval."""
        return self.sums.interval()[0]

    @property
    def high(self) -> float:
        """The upper bound of its 95 % interval."""
        return self.sums.interval()[1]

    @property
    def in_half_widths(self) -> float:
        """The sum in half widths of its interval; infinite where the interval has no width."""
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
            each = self.by_corpus.items()
            return ", ".join(f"{IN_WORDS[outcome]} on {corpus}" for corpus, outcome in each)
        return IN_WORDS.get(self.verdict, self.verdict)

    @property
    def decided(self) -> bool:
        """Whether it was put to a test that told something."""
        return self.verdict in OUTCOMES and self.verdict != "undecided"

    @property
    def as_in_the_table(self) -> str:
        """Whether what was measured is as in the paper's tables, whatever its words say: "yes",
        "no", or which of the two says nothing.
        """
        if self.paper_agrees == "no number":
            return "no number printed"
        if self.verdict not in ("replicates", "differs"):
            return "not decided"
        same = (self.verdict == "replicates") == (self.paper_agrees == "yes")
        return "yes" if same else "no"


IN_WORDS = {name: name for name in OUTCOMES}
IN_WORDS |= {"in part": "replicates in part", "no difference": "no difference that matters"}


def judge(
    claim: Claim,
    measured: Mapping[Key, Measured],
    find: Lookup,
    generated: Sequence[str] = (),
    margins: Mapping[str, float] | None = None,
) -> Verdict:
    """Decide one claim; ``find`` is of `m3l_book.claims.reading.paper_lookup`, ``margins`` of
    `m3l_book.claims.reading.read_margins`.

    A corpus counts if all the claim's models were measured there on each of its pairs. On a corpus
    that was ``generated`` they are compared, which does not count: what holds there is a fact about
    how it was made.
    """
    cases: list[Case] = []
    means: dict[tuple[str, str, Contender], float] = {}
    by_corpus: dict[str, str] = {}
    margin = (margins or {}).get(claim.measure, 0.0) if claim.relation in WITH_MARGIN else 0.0
    for corpus in dict.fromkeys(key[0] for key in measured):
        own, found = _cases(claim, corpus, measured, margin)
        cases += own
        means |= found
        whole = {case.pair for case in own} == set(claim.pairs)
        if whole and corpus not in generated:
            by_corpus[corpus] = _outcome({case.right for case in own})
    outcomes = set(by_corpus.values())
    verdict = "mixed" if len(outcomes) > 1 else "".join(outcomes) or "not measured"
    if claim.standing != "tested":
        verdict = "not testable" if claim.standing == "not testable" else "not counted"
    return Verdict(claim, verdict, by_corpus, cases, means, *agreement(claim, find))


def _outcome(right: set[str]) -> str:
    if "no" in right:
        return "differs"
    if "undecided" in right:
        return "undecided"
    if "equal" in right:
        return "in part" if "yes" in right else "no difference"
    return "replicates"


def _cases(
    claim: Claim, corpus: str, measured: Mapping[Key, Measured], margin: float
) -> tuple[list[Case], dict[tuple[str, str, Contender], float]]:
    """Compare a claim's models on one corpus: the cases, and the means behind them."""
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
            seeds = fewest_seeds([there[who] for who in terms])
            of_articles = all(there[who].units is not None for who in terms)
            raw.append(Case(corpus, pair, dict(weights), sums, seeds, margin, 1.0, "", of_articles))
    corrected = holm([case.sums.p_value for case in raw])
    return [_decided(case, p) for case, p in zip(raw, corrected, strict=True)], means


def _decided(case: Case, corrected: float) -> Case:
    """Decide one comparison; ``corrected`` is its p value among those of its claim."""
    sums, margin = case.sums, case.margin
    p_value, right = sums.p_value, "undecided"
    if 0 < case.seeds < SEEDS:
        pass
    elif margin and sums.p_equal(margin) <= LEVEL:
        p_value, right = sums.p_equal(margin), "equal"
    elif sums.value > 0 and p_value <= LEVEL:
        right = "yes"
    elif sums.value < 0 and corrected <= LEVEL:
        p_value, right = corrected, "no"
    return replace(case, p_value=p_value, right=right)


def over_the_study(judged: Sequence[Verdict]) -> dict[str, bool]:
    """Say of each decided claim that counts, by id, whether it is decided too when all such claims
    are corrected together (Holm 1979).

    A claim has one p value: the largest of its cases where all must be so, and the smallest of
    those against it, which is corrected among its cases, where one is enough; 1 if it hangs on
    models that were trained fewer than three times.
    """
    p_values: dict[str, float] = {}
    for verdict in (v for v in judged if v.claim.counts and v.by_corpus):
        own = [case for case in verdict.cases if case.corpus in verdict.by_corpus]
        against = [case.p_value for case in own if case.right == "no"]
        largest = max(1.0 if 0 < case.seeds < SEEDS else case.p_value for case in own)
        p_values[verdict.claim.id] = min(against) if against else largest
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return {
        v.claim.id: corrected[v.claim.id] <= LEVEL
        for v in judged
        if v.claim.id in corrected and v.decided
    }


@dataclass(frozen=True)
class Needed:
    """How many times as many seeds, or as many test articles, a comparison would need to come out
    if its value stayed what it is: infinite if no number would do, or where articles are not its
    units.
    """

    seeds: float
    articles: float


def needed(case: Case) -> Needed:
    """Compute what would decide a comparison: for or against the claim, or as equal, whichever
    needs less. The degrees of freedom are taken to stay what they are.
    """
    sums, inside = case.sums, max(case.margin - abs(case.sums.value), 0.0)
    # the squared standard errors at which the 95 % interval would leave out zero, and the 90 %
    # interval would lie within the margin
    aims = [
        (far / stdtrit(sums.freedom, share)) ** 2
        for far, share in ((sums.value, 0.975), (inside, 0.95))
    ]

    def times(smaller: float, fixed: float) -> float:
        return min(smaller / (aim - fixed) if aim > fixed else float("inf") for aim in aims)

    seeds = times(sums.of_seeds + sums.of_both, sums.of_units)
    articles = times(sums.of_units + sums.of_both, sums.of_seeds)
    return Needed(seeds, articles if case.of_articles else float("inf"))


NEURAL, JOINT = ("ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast"), ("M3L-Contrast",)
# what a variant may change without being another question, and of which models; others, such as
# the number of topics, are what claims are about
CHOICES = dict.fromkeys(("inputs", "texts", "epochs", "hidden layers"), NEURAL)
CHOICES |= dict.fromkeys(("objective", "similarity", "tuples"), JOINT)
CHOICES |= {"floor": ("ZeroshotTM-KD",), "priors": ("PLTM",), "reading": ("PLTM",)}


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
    margins: Mapping[str, float] | None = None,
) -> list[Change]:
    """Find the choices under which a corpus says something else of a claim than it does.

    The choices are those of which there are runs that vary nothing else. A choice is made of every
    model of the claim that can make it, or not at all. Only corpora count where every model was
    trained often enough to decide.
    """
    varied = [key[4].changes[0] for key in measured if len(key[4].changes) == 1]
    found = []
    for what, value in dict.fromkeys(change for change in varied if change[0] in CHOICES):
        claim = _under(verdict.claim, measured, what, value)
        if claim == verdict.claim:
            continue
        other = judge(claim, measured, find, generated, margins)
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
    named = {*claim.subject, *claim.others}
    concerned = [who for who in named if who.model in CHOICES[what] and not who.value(what)]
    other = {who: contender(who.model, {**dict(who.changes), what: value}) for who in concerned}
    if not set(other.values()) <= there:
        return claim
    subject, others = (
        tuple(other.get(who, who) for who in side) for side in (claim.subject, claim.others)
    )
    return replace(claim, subject=subject, others=others)
