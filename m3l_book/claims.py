"""The paper's claims held against measurements: ``data/paper/claims.csv`` and the rule that decides
each.

A *case* is one comparison on one corpus in one direction. Its quantity is a weighted sum of models'
means, positive if the claim is right: A − B for "A above B", A − t·B for "A at least t of B". A
case is decided when the quantity's 95 % bootstrap interval, over test units and training seeds,
leaves out zero. A claim *holds* if every case is decided for it, *does not hold* if any is decided
against it, and is *undecided* otherwise. The paper's own tables are put to the same rule, without
intervals.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from m3l.errors import DataError, require
from m3l.metrics.uncertainty import bootstrap_combination

from .variants import Contender, contender, read_contender

VERDICTS = ("holds", "does not hold", "undecided", "not measured")


# relation: does it need others, does it need a threshold
RELATIONS = {
    "above": (True, False),
    "below": (True, False),
    "ranked above": (True, False),
    "ratio at least": (True, True),
    "ratio at most": (True, True),
    "share at most": (True, True),
    "value above": (False, True),
    "value below": (False, True),
}


CONSTANT = Contender("1")  # stands for the number one in a combination


@dataclass(frozen=True)
class Claim:
    """A row of ``claims.csv``: ``subject`` models stand in ``relation`` to ``others``, in
    ``measure`` on each of ``pairs`` (paper's languages).
    """

    id: str
    section: str
    claim: str
    measure: str
    setting: str
    pairs: tuple[str, ...]
    subject: tuple[Contender, ...]
    relation: str
    others: tuple[Contender, ...]
    threshold: float | None
    chapter: str
    rule: str

    def combinations(self) -> list[dict[Contender, float]]:
        """The cases of one corpus and pair: model -> weight, their weighted sum positive where the
        claim is right.
        """
        t, others = self.threshold, self.others
        if self.relation in ("value above", "value below"):
            sign = 1.0 if self.relation == "value above" else -1.0
            return [{model: sign, CONSTANT: -sign * t} for model in self.subject]
        if self.relation == "share at most":  # (x − low) ≤ t (high − low)
            low, high = others
            return [{low: 1 - t, high: t, self.subject[0]: -1.0}]
        if self.relation == "ranked above":
            chain = list(zip(self.subject, self.subject[1:], strict=False)) + [
                (self.subject[-1], other) for other in others
            ]
            return [{better: 1.0, worse: -1.0} for better, worse in chain]
        sign = -1.0 if self.relation in ("below", "ratio at most") else 1.0
        return [
            {model: sign, other: -sign * (1.0 if t is None else t)}
            for model in self.subject
            for other in others
        ]


@dataclass(frozen=True)
class Case:
    """One comparison: where, the combination, its value with interval (NaN without), and whether it
    is right: "yes", "no" or "undecided".
    """

    corpus: str
    pair: str
    weights: dict[Contender, float]
    value: float
    low: float
    high: float
    right: str


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: the cases, each model's mean by (corpus, pair, model), and the same
    of the paper's own numbers.
    """

    claim: Claim
    verdict: str
    cases: list[Case]
    means: dict[tuple[str, str, Contender], float]
    paper_agrees: str
    paper_means: dict[tuple[str, Contender], float]


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def read_claims(path: str | Path) -> list[Claim]:
    """The claims in a CSV file; `DataError` naming the row that lacks something or contradicts
    itself.
    """
    rows = _rows(path, [f.name for f in fields(Claim)])
    claims, seen = [], set()
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        for name in (
            "id",
            "section",
            "claim",
            "measure",
            "setting",
            "pairs",
            "subject",
            "relation",
            "chapter",
            "rule",
        ):
            require(bool((row[name] or "").strip()), f"{where}: {name} is empty", DataError)
        require(row["id"] not in seen, f"{where}: id {row['id']!r} stands twice", DataError)
        require(
            row["relation"] in RELATIONS,
            f"{where}: relation {row['relation']!r}, expected one of {', '.join(RELATIONS)}",
            DataError,
        )
        seen.add(row["id"])
        try:
            threshold = float(row["threshold"]) if row["threshold"] else None
        except ValueError:
            raise DataError(f"{where}: threshold {row['threshold']!r} is not a number") from None
        claim = Claim(
            **{
                **row,
                "pairs": _split(row["pairs"]),
                "subject": tuple(map(read_contender, _split(row["subject"]))),
                "others": tuple(map(read_contender, _split(row["others"]))),
                "threshold": threshold,
            }
        )
        needs_others, needs_threshold = RELATIONS[claim.relation]
        require(
            bool(claim.others) == needs_others,
            f"{where}: relation {claim.relation!r} with others {row['others']!r}",
            DataError,
        )
        require(
            (threshold is not None) == needs_threshold,
            f"{where}: relation {claim.relation!r} with threshold {row['threshold']!r}",
            DataError,
        )
        require(
            claim.relation != "share at most" or (len(claim.subject), len(claim.others)) == (1, 2),
            f"{where}: 'share at most' needs one subject, two others",
            DataError,
        )
        claims.append(claim)
    return claims


def read_numbers(path: str | Path) -> list[dict]:
    """The paper's printed numbers: rows with table, section, model, encoders, setting, measure,
    pair and ``value`` as a float.
    """
    rows = _rows(
        path,
        [
            "table",
            "section",
            "model",
            "text_encoder",
            "image_encoder",
            "setting",
            "measure",
            "pair",
            "value",
        ],
    )
    for number, row in enumerate(rows, start=2):
        try:
            row["value"] = float(row["value"])
        except ValueError:
            raise DataError(
                f"{path}, line {number}: value {row['value']!r} is not a number"
            ) from None
    return rows


def _rows(path, columns: Sequence[str]) -> list[dict]:
    require(Path(path).is_file(), f"{path}: no such file", DataError)
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        require(
            reader.fieldnames == list(columns),
            f"{path}: columns {reader.fieldnames}, expected {list(columns)}",
            DataError,
        )
        rows = list(reader)
    for number, row in enumerate(rows, start=2):
        require(
            None not in row and None not in row.values(),
            f"{path}, line {number}: not {len(columns)} columns",
            DataError,
        )
    return rows


# what the paper's tables were made with: these variants are the model itself there
AS_PRINTED = (("topics", "100"), ("batch_size", "32"))
# rows of Table 4 by what claims call them
TEXT_ENCODERS = {"multilingual": "paraphrase-multilingual-mpnet-base-v2"}
TEXT_ENCODERS |= {"monolingual": "all-mpnet-base-v2"}
IMAGE_ENCODERS = {"aligned": "clip", "unaligned": "ResNet"}


def paper_lookup(
    numbers: Sequence[Mapping],
) -> Callable[[Claim, str, Contender], float | None]:
    """A function of claim, pair and contender that gives the number the paper prints, or None.

    The words of Sections 6.1 to 6.3 compare variants of M3L-Contrast: those that Table 4 holds are
    found by their encoders.
    """

    def find(claim: Claim, pair: str, who: Contender) -> float | None:
        if who.changes in [(change,) for change in AS_PRINTED]:
            who = contender(who.model)
        text, image = who.value("texts"), who.value("pictures")
        if who.changes and not (text in TEXT_ENCODERS and image in IMAGE_ENCODERS):
            return None
        for row in numbers:
            if (row["model"], row["measure"], row["pair"]) != (who.model, claim.measure, pair):
                continue
            in_table4 = row["table"] == "4"
            if who.changes:
                encoders = row["text_encoder"], row["image_encoder"]
                wanted = TEXT_ENCODERS[text], IMAGE_ENCODERS[image]
                starts = [a.startswith(b) for a, b in zip(encoders, wanted, strict=True)]
                if in_table4 and all(starts):
                    return row["value"]
            elif who.model != "M3L-Contrast":
                return row["value"]
            else:
                # Table 4 alone has the multimodal model between languages
                wants_table4 = claim.setting == "multimodal" and pair == "en-de"
                if in_table4 == wants_table4 and (in_table4 or row["setting"] == claim.setting):
                    return row["value"]
        return None

    return find


def judge(
    claim: Claim,
    measured: Mapping[tuple[str, str, str, str, Contender], np.ndarray],
    find: Callable,
    draws: int = 2000,
) -> Verdict:
    """Decide one claim.

    Parameters
    ----------
    claim : Claim
    measured : (corpus, setting, measure, pair, model) -> (S, N)
        Each seed's value of each unit. A corpus counts if all the claim's models were measured
        there on the pair.
    find : function
        Of `paper_lookup`.
    """
    cases, means = [], {}
    for corpus in dict.fromkeys(key[0] for key in measured):
        for pair in claim.pairs:
            where = corpus, claim.setting, claim.measure, pair
            combinations = claim.combinations()
            named = {who for weights in combinations for who in weights} - {CONSTANT}
            if all((*where, who) in measured for who in named):
                values = {who: np.asarray(measured[*where, who]) for who in named}
                means |= {(corpus, pair, who): float(v.mean()) for who, v in values.items()}
                for weights in combinations:
                    cases.append(_decide(claim, corpus, pair, weights, values, draws))
    if not cases:
        verdict = "not measured"
    elif any(case.right == "no" for case in cases):
        verdict = "does not hold"
    else:
        verdict = "holds" if all(case.right == "yes" for case in cases) else "undecided"
    return Verdict(claim, verdict, cases, means, *_paper(claim, find))


def _decide(
    claim: Claim,
    corpus: str,
    pair: str,
    weights: Mapping[Contender, float],
    values: Mapping[Contender, np.ndarray],
    draws: int,
) -> Case:
    """One comparison: right or wrong where its interval leaves out zero."""
    terms = {who: weight for who, weight in weights.items() if who != CONSTANT}
    constant = weights.get(CONSTANT, 0.0)
    paired = claim.measure != "NPMI"  # two models' topics are not the same units
    arrays = [values[who] for who in terms]
    low, high = bootstrap_combination(arrays, list(terms.values()), paired, draws=draws)
    value = sum(weight * values[who].mean() for who, weight in terms.items()) + constant
    low, high = low + constant, high + constant
    right = "yes" if low > 0 else "no" if high < 0 else "undecided"
    return Case(corpus, pair, dict(weights), float(value), low, high, right)


def _paper(claim: Claim, find: Callable) -> tuple[str, dict]:
    """Whether the paper's printed numbers, taken as exact, satisfy the claim's rule: "yes", "no" or
    "no number"; and the numbers.
    """
    values, sums = {}, []
    for pair in claim.pairs:
        for weights in claim.combinations():
            terms = {m: 1.0 if m == CONSTANT else find(claim, pair, m) for m in weights}
            values |= {(pair, m): v for m, v in terms.items() if m != CONSTANT and v is not None}
            if None not in terms.values():
                sums.append(sum(w * terms[m] for m, w in weights.items()))
    if not sums:
        return "no number", values
    return ("yes" if all(s > 1e-9 for s in sums) else "no"), values


def verdicts(
    folder: str | Path, measured: Mapping, draws: int = 2000, chapter: str | None = None
) -> list[Verdict]:
    """What becomes of the claims in a folder of the paper's numbers and claims; of one chapter's.

    ``measured`` is as in `judge`.
    """
    find = paper_lookup(read_numbers(f"{folder}/numbers.csv"))
    claims = read_claims(f"{folder}/claims.csv")
    chosen = [claim for claim in claims if chapter in (None, claim.chapter)]
    return [judge(claim, measured, find, draws) for claim in chosen]


def numbers_within(
    numbers: Sequence[Mapping],
    measured: Mapping[tuple[str, str, str, str, Contender], np.ndarray],
    corpus: str,
    draws: int = 2000,
) -> list[dict]:
    """On the paper's own data: each printed number of Tables 1 and 2, the mean measured on
    ``corpus`` and its 95 % interval, and whether the number lies inside.

    ``measured`` is as in `judge`.
    """
    rows = []
    for row in numbers:
        key = (corpus, row["setting"], row["measure"], row["pair"], Contender(row["model"]))
        if row["table"] not in ("1", "2") or key not in measured:
            continue
        values = np.asarray(measured[key])
        low, high = bootstrap_combination([values], [1.0], draws=draws)
        rows.append(
            {
                **row,
                "mean": float(values.mean()),
                "low": low,
                "high": high,
                "inside": low <= row["value"] <= high,
            }
        )
    return rows
