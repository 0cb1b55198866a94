"""The answer in words: a sentence for each main claim, filled in with its verdict and numbers."""

from collections.abc import Mapping

from ..measured import Contender
from .judging import Verdict

ZEROSHOT, M3L = Contender("ZeroshotTM"), Contender("M3L-Contrast")
UNALIGNED = {
    "replicates": "On encoders that were never aligned it does almost as well",
    "differs": "On encoders that were never aligned it does clearly worse",
    "undecided": "Whether it does almost as well on encoders that were never aligned cannot be"
    " told",
}
# by claim: the sentence, and what stands in it for each outcome
SENTENCES = {
    "zeroshot-wins-text": (
        "Between languages {first} retrieves best ({measure}: {means}), {outcome}.",
        {
            "replicates": "as the paper says",
            "differs": "where the paper has ZeroshotTM first",
            "in part": "as the paper says, though not every other model is behind by as much as"
            " matters",
            "no difference": "and no model is behind or ahead of ZeroshotTM, the paper's first, by"
            " as much as matters",
            "undecided": "and whether ZeroshotTM is first, as the paper says, cannot be told",
        },
    ),
    "m3l-competitive": (
        "M3L-Contrast reaches {share} of ZeroshotTM's score there{in_the_paper}: {outcome}.",
        {
            "replicates": "as much as the paper calls competitive",
            "differs": "less than the paper calls competitive",
            "undecided": "whether it is as much as the paper calls competitive cannot be told",
        },
    ),
    "m3l-beats-zeroshot-image": (
        "{outcome} (UAP from the {language} language: {means}).",
        {
            "replicates": "M3L-Contrast retrieves pictures better than ZeroshotTM, as the paper"
            " says",
            "differs": "M3L-Contrast does not retrieve pictures better than ZeroshotTM, where the"
            " paper says so",
            "in part": "From one language M3L-Contrast retrieves pictures better than ZeroshotTM,"
            " as the paper says, and from the other the two do not differ as much as matters",
            "no difference": "In retrieving pictures M3L-Contrast and ZeroshotTM do not differ as"
            " much as matters, where the paper has M3L-Contrast ahead",
            "undecided": "Whether M3L-Contrast retrieves pictures better than ZeroshotTM, as the"
            " paper says, cannot be told",
        },
    ),
    "m3l-beats-kd-image": (
        "{outcome} (UAP from the {language} language: {means}).",
        {
            "replicates": "Joint training retrieves them better than training in sequence, as the"
            " paper says",
            "differs": "Joint training does not retrieve them better than training in sequence,"
            " where the paper says so",
            "in part": "From one language joint training retrieves them better than training in"
            " sequence, as the paper says, and from the other the two do not differ as much as"
            " matters",
            "no difference": "Joint training and training in sequence do not differ there as much"
            " as matters, where the paper has joint training ahead",
            "undecided": "Whether joint training retrieves them better than training in sequence"
            " cannot be told",
        },
    ),
    "unaligned-text": (
        "{outcome} between languages, with {share} of the score on aligned ones.",
        UNALIGNED,
    ),
    "unaligned-image": (
        "{outcome} from texts to pictures, with {share} of the score on aligned ones.",
        UNALIGNED,
    ),
    "topics-more-text": (
        "{outcome}: {by_topics}.",
        {
            "replicates": "More topics retrieve better between languages, as the paper says",
            "differs": "More topics do not always retrieve better between languages, where the"
            " paper says that in general they do",
            "in part": "More topics retrieve better between languages, as the paper says, though"
            " not every step is one that matters",
            "no difference": "More topics do not change retrieval between languages as much as"
            " matters, where the paper says that in general they improve it",
            "undecided": "Whether more topics retrieve better between languages cannot be told",
        },
    ),
}


def answer(judged: Mapping[str, Verdict], corpus: str) -> list[str]:
    """Say what became of the paper's main claims on a corpus: the sentences of those that were put
    to the test there, in the order of the paper; ``judged`` are verdicts by the claim's id.
    """
    tested = [name for name in SENTENCES if name in judged and corpus in judged[name].by_corpus]
    said = []
    for name in tested:
        sentence, outcomes = SENTENCES[name]
        outcome = outcomes[judged[name].by_corpus[corpus]]
        said.append(sentence.format(outcome=outcome, **_facts(judged[name], corpus)))
    return said


def _facts(verdict: Verdict, corpus: str) -> dict[str, str]:
    """Return the numbers that sentences name; ``means`` are of the direction in which the claim is
    farthest from right, best first, and ``share`` is what subjects keep of the others' scores.
    """
    claim, printed = verdict.claim, verdict.paper_means
    own = {(pair, who): mean for (c, pair, who), mean in verdict.means.items() if c == corpus}
    pair = min(
        (c for c in verdict.cases if c.corpus == corpus), key=lambda c: c.in_half_widths
    ).pair
    means = sorted(((mean, who) for (p, who), mean in own.items() if p == pair), reverse=True)
    shares = [
        own[p, who] / own[p, other]
        for p, who in own
        if who in claim.subject
        for other in claim.others
    ]
    ends = [f"{share(shares):.2f}" for share in (min, max) if shares]
    both = [printed.get((pair, who)) for who in (M3L, ZEROSHOT)]
    by_topics = {int(who.value("topics") or 0): mean for mean, who in means}
    return {
        "measure": claim.measure,
        "first": means[0][1].model,
        "means": ", ".join(f"{who.model} {mean:.3f}" for mean, who in means),
        "language": "first" if pair.startswith("en") else "second",
        "share": " to ".join(dict.fromkeys(ends)),
        "in_the_paper": f", in the paper {both[0] / both[1]:.2f}" if all(both) else "",
        "by_topics": ", ".join(f"{by_topics[k]:.3f} with {k}" for k in sorted(by_topics)),
    }


def proposed(judged: Mapping[str, Verdict], corpus: str) -> str:
    """Say what became of the hybrid, which the paper proposes and does not claim; "" if unknown."""
    verdict = judged.get("hybrid")
    if verdict is None or corpus not in verdict.by_corpus:
        return ""
    pair = verdict.claim.pairs[0]
    shared, separate = (
        mean
        for who in (*verdict.claim.subject, *verdict.claim.others)
        if (mean := verdict.means.get((corpus, pair, who))) is not None
    )
    return (
        "The hybrid that the paper proposes and does not claim, M3L-Contrast with one network for"
        f" all texts, reaches {shared:.3f} between languages, with a network per language"
        f" {separate:.3f}."
    )
