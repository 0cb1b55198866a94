"""What became of each claim, for machines to read: claims, rules, numbers and verdicts."""

from collections.abc import Mapping
from dataclasses import asdict

from . import judging
from .reading import Claim, read_margins, read_sentences, split_names


def claims_log(judged: Mapping[str, judging.Verdict], about: Mapping, paper: str) -> dict:
    """Return verdicts by id as JSON has them.

    ``about`` says where the results are from, and ``paper`` is the folder of the paper's numbers
    and claims. Entries are ``about``; ``rule``, in words, its ``level``, ``seeds`` and ``margins``;
    and ``claims``, a list with everything that is known of each claim: its place in the paper and
    the sentences that make it, its rule and when that was written, the paper's numbers, every
    comparison with its value, 95 % interval, p value and seeds, and the verdict, on each corpus and
    over the study.
    """
    study = judging.over_the_study([*judged.values()])
    sentences = read_sentences(f"{paper}/sentences.csv", judged)
    return {
        "about": {key: about[key] for key in ("profile", "commit", "recorded", "machine")},
        "rule": judging.__doc__,
        "level": judging.LEVEL,
        "seeds": judging.SEEDS,
        "margins": read_margins(f"{paper}/margins.csv"),
        "claims": [
            _of_claim(verdict.claim)
            | {"sentences": [s["place"] for s in sentences if name in split_names(s["claims"])]}
            | _of_verdict(verdict)
            | {"decided_over_study": study.get(name)}
            for name, verdict in judged.items()
        ],
    }


def _of_claim(claim: Claim) -> dict:
    sides = {side: [str(who) for who in getattr(claim, side)] for side in ("subject", "others")}
    return asdict(claim) | sides | {"counts": claim.counts}


def _of_verdict(verdict: judging.Verdict) -> dict:
    return {
        "in_paper": [
            {"pair": pair, "model": str(who), "value": value}
            for (pair, who), value in verdict.paper_means.items()
        ],
        "paper_table_agrees": verdict.paper_agrees,
        "means": [
            {"corpus": corpus, "pair": pair, "model": str(who), "value": value}
            for (corpus, pair, who), value in verdict.means.items()
        ],
        "comparisons": [_of_case(case) for case in verdict.cases],
        "by_corpus": verdict.by_corpus,
        "verdict": verdict.words,
    }


def _of_case(case: judging.Case) -> dict:
    return {
        "corpus": case.corpus,
        "pair": case.pair,
        "weights": {str(who): weight for who, weight in case.weights.items()},
        "value": case.value,
        "interval_95": [case.low, case.high],
        "p": case.p_value,
        "margin": case.margin,
        "seeds": case.seeds,
        "right": case.right,
    }
