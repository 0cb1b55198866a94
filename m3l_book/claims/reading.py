"""The paper's claims and numbers as ``data/paper/`` has them."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from m3l.errors import DataError, ParameterError, choose, require

from ..variants import Contender, read_contender

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
# what a claim is to this book, and how a reader is told
STANDINGS = {
    "tested": "",
    "not testable": "not testable on these corpora",
    "future work": "future work",
    "follows": "follows from how things are made",
}
CONSTANT = Contender("1")  # stands for the number one in a combination


@dataclass(frozen=True)
class Claim:
    """A row of ``claims.csv``: ``subject`` models stand in ``relation`` to ``others``, in
    ``measure`` on each of ``pairs`` (paper's languages).

    ``standing`` is one of `STANDINGS`, ``note`` what a reader of its verdict must know, ``written``
    when and by which commit the rule was written, ``changed`` what changed since, ``caveat`` what
    must be known where the encoder of pictures is not CLIP.
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
    standing: str
    note: str
    written: str
    changed: str
    caveat: str = ""

    def remark(self, corpora: Iterable[str]) -> str:
        """``note``, and ``caveat`` unless a corpus is the paper's own, whose encoders are too."""
        papers = any(name.startswith("wikipedia") for name in corpora)
        return " ".join(part for part in (self.note, "" if papers else self.caveat) if part)

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


def read_claims(path: str | Path) -> list[Claim]:
    """The claims in a CSV file; `DataError` naming the row that lacks something or contradicts
    itself.
    """
    claims: list[Claim] = []
    for number, row in enumerate(_rows(path, [f.name for f in fields(Claim)]), start=2):
        where = f"{path}, line {number}"
        claims.append(_claim(row, where))
        once = [claim.id for claim in claims].count(row["id"]) == 1
        require(once, f"{where}: id {row['id']!r} stands twice", DataError)
    return claims


def _claim(row: dict, where: str) -> Claim:
    """One row; ``where`` it stands is for errors."""
    may_be_empty = ("threshold", "others", "note", "changed", "caveat")
    for name in [f.name for f in fields(Claim) if f.name not in may_be_empty]:
        require(bool(row[name].strip()), f"{where}: {name} is empty", DataError)
    try:
        choose("relation", row["relation"], RELATIONS)
        choose("standing", row["standing"], STANDINGS)
    except ParameterError as error:
        raise DataError(f"{where}: {error}") from None
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
    _check_relation(claim, row, where)
    told = claim.standing == "tested" or bool(claim.note or claim.caveat)
    require(told, f"{where}: standing {claim.standing!r} needs a note that says why", DataError)
    return claim


def _check_relation(claim: Claim, row: dict, where: str) -> None:
    """Whether a claim has what its relation needs, and no more."""
    needs_others, needs_threshold = RELATIONS[claim.relation]
    require(
        bool(claim.others) == needs_others,
        f"{where}: relation {claim.relation!r} with others {row['others']!r}",
        DataError,
    )
    require(
        (claim.threshold is not None) == needs_threshold,
        f"{where}: relation {claim.relation!r} with threshold {row['threshold']!r}",
        DataError,
    )
    require(
        claim.relation != "share at most" or (len(claim.subject), len(claim.others)) == (1, 2),
        f"{where}: 'share at most' needs one subject, two others",
        DataError,
    )


def read_numbers(path: str | Path) -> list[dict]:
    """The paper's printed numbers: rows with table, section, model, encoders, setting, measure,
    pair and ``value`` as a float.
    """
    about = ["table", "section", "model", "text_encoder", "image_encoder", "setting"]
    rows = _rows(path, [*about, "measure", "pair", "value"])
    for number, row in enumerate(rows, start=2):
        try:
            row["value"] = float(row["value"])
        except ValueError:
            raise DataError(
                f"{path}, line {number}: value {row['value']!r} is not a number"
            ) from None
    return rows


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


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
