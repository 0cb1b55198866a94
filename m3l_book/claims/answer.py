"""The answer in words: a paragraph that follows the verdicts and their numbers."""

from collections.abc import Mapping

from ..variants import Contender
from .judging import Verdict

ZEROSHOT, M3L, KD, PLTM = map(Contender, ("ZeroshotTM", "M3L-Contrast", "ZeroshotTM-KD", "PLTM"))


def answer(judged: Mapping[str, Verdict], corpus: str) -> list[str]:
    """What became of the paper's main claims on one corpus, a sentence or two each.

    Parameters
    ----------
    judged : claim's id -> Verdict
    corpus : str
        One that counts.

    Returns
    -------
    The sentences of those claims that were put to the test there, in the order of the paper.
    """
    makers = {
        "zeroshot-wins-text": _between_languages,
        "m3l-competitive": _competitive,
        "m3l-wins-image": _pictures,
        "unaligned-text": _unaligned_texts,
        "unaligned-image": _unaligned_pictures,
        "topics-more-text": _more_topics,
    }
    tested = {name: v for name, v in judged.items() if corpus in v.by_corpus}
    return [make(tested[name], corpus) for name, make in makers.items() if name in tested]


def _means(verdict: Verdict, corpus: str, pair: str) -> dict[Contender, float]:
    """Models by their mean in one direction, best first."""
    own = {who: m for (c, p, who), m in verdict.means.items() if (c, p) == (corpus, pair)}
    return dict(sorted(own.items(), key=lambda entry: -entry[1]))


def _listed(means: Mapping[Contender, float]) -> str:
    return ", ".join(f"{who.model} {mean:.3f}" for who, mean in means.items())


def _between_languages(verdict: Verdict, corpus: str) -> str:
    means = _means(verdict, corpus, verdict.claim.pairs[0])
    first, numbers = next(iter(means)), _listed(means)
    ends = {
        "replicates": "as the paper says",
        "differs": "where the paper has ZeroshotTM first",
        "undecided": "and whether ZeroshotTM is first, as the paper says, cannot be told",
    }
    return (
        f"Between languages {first.model} retrieves best ({verdict.claim.measure}: {numbers}), "
        f"{ends[verdict.by_corpus[corpus]]}."
    )


def _competitive(verdict: Verdict, corpus: str) -> str:
    means = _means(verdict, corpus, verdict.claim.pairs[0])
    share = means[M3L] / means[ZEROSHOT]
    starts = {
        "replicates": "M3L-Contrast is competitive with ZeroshotTM there",
        "differs": "M3L-Contrast is not competitive with ZeroshotTM there",
        "undecided": "Whether M3L-Contrast is competitive with ZeroshotTM there cannot be told",
    }
    said = f"it reaches {share:.2f} of its score"
    printed = {who: mean for (_, who), mean in verdict.paper_means.items()}
    if M3L in printed and ZEROSHOT in printed:
        said += f", in the paper {printed[M3L] / printed[ZEROSHOT]:.2f}"
    return f"{starts[verdict.by_corpus[corpus]]}: {said}."


def _pictures(verdict: Verdict, corpus: str) -> str:
    ends = {
        "replicates": "Joint training retrieves pictures best of all models, as the paper says",
        "differs": "Joint training does not retrieve pictures best, where the paper says so",
        "undecided": "Whether joint training retrieves pictures best, as the paper says, cannot "
        "be told",
    }
    # the direction in which the claim is farthest from right
    nearest = min((c for c in verdict.cases if c.corpus == corpus), key=lambda c: c.margin)
    numbers = _listed(_means(verdict, corpus, nearest.pair))
    outcome = ends[verdict.by_corpus[corpus]]
    where = _language(nearest.pair)
    return f"{outcome} (UAP from the {where} language: {numbers})."


def _language(pair: str) -> str:
    return "first" if pair.startswith("en") else "second"


def _unaligned(verdict: Verdict, corpus: str, where: str) -> str:
    """What unaligned encoders keep of the score on aligned ones."""
    shares = []
    for pair in verdict.claim.pairs:
        means = _means(verdict, corpus, pair)
        for subject in verdict.claim.subject:
            shares += [means[subject] / means[other] for other in verdict.claim.others]
    low, high = f"{min(shares):.2f}", f"{max(shares):.2f}"
    kept = low if low == high else f"{low} to {high}"
    starts = {
        "replicates": "On encoders that were never aligned it does almost as well",
        "differs": "On encoders that were never aligned it does clearly worse",
        "undecided": "Whether it does almost as well on encoders that were never aligned cannot be "
        "told",
    }
    start = f"{starts[verdict.by_corpus[corpus]]} {where}"
    return f"{start}, with {kept} of the score on aligned ones."


def _unaligned_texts(verdict: Verdict, corpus: str) -> str:
    return _unaligned(verdict, corpus, "between languages")


def _unaligned_pictures(verdict: Verdict, corpus: str) -> str:
    return _unaligned(verdict, corpus, "from texts to pictures")


def _more_topics(verdict: Verdict, corpus: str) -> str:
    means = _means(verdict, corpus, verdict.claim.pairs[0])
    by_number = {int(who.value("topics")): mean for who, mean in means.items()}
    numbers = ", ".join(f"{by_number[k]:.3f} with {k}" for k in sorted(by_number))
    ends = {
        "replicates": "More topics retrieve better between languages, as the paper says",
        "differs": "More topics do not always retrieve better between languages, where the paper "
        "says that in general they do",
        "undecided": "Whether more topics retrieve better between languages cannot be told",
    }
    return f"{ends[verdict.by_corpus[corpus]]}: {numbers}."


def proposed(judged: Mapping[str, Verdict], corpus: str) -> str:
    """What became of the hybrid, which the paper proposes and does not claim; "" if unknown."""
    verdict = judged.get("hybrid")
    if verdict is None or corpus not in verdict.by_corpus:
        return ""
    means = _means(verdict, corpus, verdict.claim.pairs[0])
    (shared,) = (mean for who, mean in means.items() if who.changes)
    (separate,) = (mean for who, mean in means.items() if not who.changes)
    return (
        "The hybrid that the paper proposes and does not claim, M3L-Contrast with one network for"
        f" all texts, reaches {shared:.3f} between languages, with a network a language"
        f" {separate:.3f}."
    )
