"""The answer in three sentences: between languages, from texts to pictures, and what moves most."""

from collections.abc import Mapping

from ..measured import Contender, Key, Measured, contender
from .judging import Verdict

M3L = Contender("M3L-Contrast")
PLACES = ("first", "second", "third", "last")
FIRST = {
    "replicates": "as the paper says",
    "differs": "where the paper has ZeroshotTM first",
    "in part": "and ZeroshotTM, the paper's first, is ahead of others, though not every other model"
    " is behind it by as much as matters",
    "no difference": "and no model is ahead of ZeroshotTM, the paper's first, or behind it by as"
    " much as matters",
    "undecided": "and whether ZeroshotTM is first, as the paper says, cannot be told",
}
"""Whether ZeroshotTM is first between languages, by the outcome of that claim."""

BETTER = {
    "replicates": "better than {other}, as the paper says",
    "differs": "not better than {other}, where the paper says so",
    "in part": "better than {other} from the {ahead} language, as the paper says, and not by as"
    " much as matters from the other",
    "no difference": "neither better nor worse than {other} by as much as matters, where the paper"
    " has it ahead",
    "undecided": "whether better than {other}, as the paper says, cannot be told",
}
"""Whether M3L-Contrast retrieves pictures better than another model, by the claim's outcome."""


def answer(
    judged: Mapping[str, Verdict], measured: Mapping[Key, Measured], corpus: str
) -> list[str]:
    """Say what was found on a corpus, in three sentences at most; ``judged`` are verdicts by the
    claim's id.
    """
    said = [
        _between_languages(judged, corpus),
        _to_pictures(judged, corpus),
        _what_moves_most(judged, measured, corpus),
    ]
    return [sentence for sentence in said if sentence]


def _means(verdict: Verdict | None, corpus: str, pair: str) -> dict[Contender, float]:
    """Return the models' means in one direction, best first."""
    own = verdict.means.items() if verdict else ()
    found = {who: mean for (c, p, who), mean in own if (c, p) == (corpus, pair)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _listed(means: Mapping[Contender, float]) -> str:
    return ", ".join(f"{who.model} {mean:.3f}" for who, mean in means.items())


def _between_languages(judged: Mapping[str, Verdict], corpus: str) -> str:
    verdict = judged.get("zeroshot-wins-text")
    means = _means(verdict, corpus, "en-de")
    if not means or corpus not in verdict.by_corpus:
        return ""
    first = next(iter(means))
    outcome = FIRST[verdict.by_corpus[corpus]]
    said = f"Between languages {first.model} has the highest MRR ({_listed(means)}), {outcome}"
    if first != M3L:
        place = list(means).index(M3L)
        behind = means.get(Contender("PLTM"), 0.0) > means[M3L]
        said += f"; M3L-Contrast comes {PLACES[place]} of four"
        said += ", behind PLTM, which only counts words" if behind else ""
    for other in (name for name in verdict.by_corpus if name != corpus):
        ahead = next(iter(_means(verdict, other, "en-de")))
        if ahead != first:
            unsure = verdict.by_corpus[other] == "undecided"
            said += f"; on {other} {ahead.model} has it"
            said += ", and which model is first cannot be told" if unsure else ""
    return f"{said}."


def _to_pictures(judged: Mapping[str, Verdict], corpus: str) -> str:
    clauses, means = [], [{}, {}]  # from the first language, and from the second
    for name in ("m3l-beats-zeroshot-image", "m3l-beats-kd-image"):
        verdict = judged.get(name)
        if verdict and corpus in verdict.by_corpus:
            (other,) = verdict.claim.others
            cases = [case for case in verdict.cases if case.corpus == corpus]
            ahead = (
                "first" if ("en-image", "yes") in {(c.pair, c.right) for c in cases} else "second"
            )
            words = BETTER[verdict.by_corpus[corpus]]
            clauses.append(words.format(other=other.model, ahead=ahead))
            for own, pair in zip(means, ("en-image", "de-image"), strict=True):
                own |= _means(verdict, corpus, pair)
    if not clauses:
        return ""
    from_first, from_second = means
    best_first = sorted(from_second | from_first, key=lambda who: -from_first.get(who, 0.0))
    listed = [
        f"{who.model} {' and '.join(f'{own[who]:.3f}' for own in means if who in own)}"
        for who in best_first
    ]
    return (
        f"From texts to pictures M3L-Contrast retrieves {'; '.join(clauses)}"
        f" (UAP from the first language and from the second: {', '.join(listed)})."
    )


def _what_moves_most(
    judged: Mapping[str, Verdict], measured: Mapping[Key, Measured], corpus: str
) -> str:
    """Say what the loss as it is printed gives, one hidden layer, as the appendix can be read, and
    the hybrid, which the paper proposes.
    """
    said = []
    as_printed = contender("M3L-Contrast", {"objective": "paper"})
    printed = measured.get((corpus, "multilingual", "MRR", "en-de", as_printed))
    book = measured.get((corpus, "multilingual", "MRR", "en-de", M3L))
    if printed is not None and book is not None:
        said.append(
            f"Trained with the loss of Eq. 1, its signs put right, M3L-Contrast reaches"
            f" {printed.values.mean():.3f} between languages instead of {book.values.mean():.3f}"
        )
    shallow = contender("M3L-Contrast", {"hidden layers": 1})
    one = measured.get((corpus, "multilingual", "MRR", "en-de", shallow))
    if one is not None:
        said.append(
            "with one hidden layer, as the paper's appendix can be read, where its code has two, it"
            f" reaches {one.values.mean():.3f}"
        )
    verdict = judged.get("hybrid")
    if verdict and corpus in verdict.by_corpus:
        means = _means(verdict, corpus, verdict.claim.pairs[0])
        (hybrid,) = verdict.claim.subject
        said.append(
            "with one network for all texts, which the paper leaves for future work, it reaches"
            f" {means[hybrid]:.3f}"
        )
    sentence = "; ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""
