"""The paper's claims and numbers as ``data/paper/`` has them, and its numbers put to the rules."""

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

from m3l.errors import DataError, require
from m3l.metrics.uncertainty import interval_of_mean

from ..measured import Contender, Key, Measured, read_contender

# relation: how many others it needs at least, and whether it needs a threshold
RELATIONS = {
    "above": (1, False),
    "below": (1, False),
    "ranked above": (1, False),
    "ratio at least": (1, True),
    "ratio at most": (1, True),
    "share at most": (2, True),
    "value above": (0, True),
    "value below": (0, True),
}
# what a claim is to this book, and how a reader is told
STANDINGS = {
    "tested": "",
    "not testable": "not testable on these corpora",
    "future work": "future work",
    "follows": "follows from how things are made",
}
# a sentence of the paper: it states a result that is tested, one that cannot be, or none
OF_SENTENCES = ("tested", "not testable", "no result")
SENTENCES = ("place", "says", "standing", "claims", "why")
CONSTANT = Contender("1")  # stands for the number one in a combination
MAY_BE_EMPTY = ("threshold", "others", "note", "changed", "caveats", "restates")
NUMBERS = ("table", "section", "model", "text_encoder", "image_encoder", "setting", "measure")
NUMBERS += ("pair", "value")
GRID = ("section", "what", "model", "trained_views", "runs")


@dataclass(frozen=True)
class Claim:
    """A row of ``claims.csv``: ``subject`` models stand in ``relation`` to ``others``, in
    ``measure`` on each of ``pairs`` (paper's languages).

    ``standing`` is one of `STANDINGS`, ``note`` what a reader of its verdict must know, ``written``
    when and by which commit the rule was written, ``changed`` what changed since. ``caveats`` name
    rows of ``caveats.csv``, what must be known where the corpus is not the paper's. A claim that
    ``restates`` another, by id, is judged and not counted again.
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
    caveats: tuple[str, ...] = ()
    restates: str = ""

    @property
    def counts(self) -> bool:
        """Whether its verdict is counted: it is put to a test, and no other claim says the same."""
        return self.standing == "tested" and not self.restates

    def caveats_on(self, corpora: Iterable[str]) -> tuple[str, ...]:
        """Return ``caveats``, none if a corpus is the paper's own, with its encoders."""
        return () if any(name.startswith("wikipedia") for name in corpora) else self.caveats

    def combinations(self) -> list[dict[Contender, float]]:
        """Return the cases of one corpus and pair: model -> weight, their weighted sum positive
        where the claim is right.
        """
        t, others = self.threshold, self.others
        sign = -1.0 if self.relation in ("below", "ratio at most", "value below") else 1.0
        if self.relation.startswith("value"):
            return [{model: sign, CONSTANT: -sign * t} for model in self.subject]
        if self.relation == "share at most":  # (x − low) ≤ t (high − low)
            low, high = others
            return [{low: 1 - t, high: t, self.subject[0]: -1.0}]
        if self.relation == "ranked above":
            last = [(self.subject[-1], other) for other in others]
            return [{a: 1.0, b: -1.0} for a, b in [*pairwise(self.subject), *last]]
        return [
            {model: sign, other: -sign * (1.0 if t is None else t)}
            for model in self.subject
            for other in others
        ]


def read_claims(path: str | Path) -> list[Claim]:
    """Read the claims in a CSV file, whose folder has ``caveats.csv`` too; `DataError` naming the
    line that lacks something or contradicts itself.
    """
    claims: dict[str, Claim] = {}
    caveats = read_texts(Path(path).with_name("caveats.csv"), ("caveat", "text"))
    for where, row in _rows(path, [f.name for f in fields(Claim)]):
        require(row["id"] not in claims, f"{where}: id {row['id']!r} stands twice", DataError)
        claim = claims[row["id"]] = _claim(row, where)
        for name in claim.caveats:
            require(name in caveats, f"{where}: no caveat is called {name!r}", DataError)
        known = not claim.restates or claim.restates in claims
        above = f"{where}: restates {claim.restates!r}, which is no claim above it"
        require(known, above, DataError)
    return list(claims.values())


def read_texts(path: str | Path, columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read a table of ``columns`` by its first one, which no two rows share; every field is
    filled.
    """
    read: dict[str, dict[str, str]] = {}
    for where, row in _rows(path, columns):
        for name, value in row.items():
            require(bool(value.strip()), f"{where}: {name} is empty", DataError)
        key = row[columns[0]]
        require(key not in read, f"{where}: {columns[0]} {key!r} stands twice", DataError)
        read[key] = row
    return read


def read_margins(path: str | Path) -> dict[str, float]:
    """Read by measure how large a difference must be to matter, above zero."""
    rows = read_texts(path, ("measure", "margin", "reason", "fixed"))
    margins = {what: _number(row["margin"], f"{path}: margin") for what, row in rows.items()}
    for what, margin in margins.items():
        require(
            margin > 0, f"{path}: the margin of {what} is {margin}, expected above 0", DataError
        )
    return margins


def read_sentences(path: str | Path, claims: Collection[str]) -> list[dict[str, str]]:
    """Read which claims each sentence of the paper makes, or why it makes none that can be tested.

    ``claims`` are the ids that there are. `DataError` naming a line whose claim is unknown, or that
    has neither claim nor reason.
    """
    rows = []
    for where, row in _rows(path, SENTENCES):
        for name in ("place", "says"):
            require(bool(row[name].strip()), f"{where}: {name} is empty", DataError)
        valid = f"{where}: standing={row['standing']!r}; valid: {', '.join(OF_SENTENCES)}"
        require(row["standing"] in OF_SENTENCES, valid, DataError)
        for name in split_names(row["claims"]):
            require(name in claims, f"{where}: no claim is called {name!r}", DataError)
        needed = "claims" if row["standing"] == "tested" else "why"
        lacks = f"{where}: {row['standing']}, and {needed} is empty"
        require(bool(row[needed].strip()), lacks, DataError)
        rows.append(row)
    return rows


def _claim(row: dict, where: str) -> Claim:
    """Read one row; ``where`` it stands is for errors."""
    for name in [name for name in row if name not in MAY_BE_EMPTY]:
        require(bool(row[name].strip()), f"{where}: {name} is empty", DataError)
    for name, known in (("relation", RELATIONS), ("standing", STANDINGS)):
        valid = f"{name}={row[name]!r} is unknown; valid: {', '.join(sorted(known))}"
        require(row[name] in known, f"{where}: {valid}", DataError)
    others, subject = (
        tuple(map(read_contender, split_names(row[name]))) for name in ("others", "subject")
    )
    threshold = _number(row["threshold"], f"{where}: threshold") if row["threshold"] else None
    relation, (needed, limited) = row["relation"], RELATIONS[row["relation"]]
    fits = bool(others) == bool(needed)
    with_others = f"{where}: relation {relation!r} with others {row['others']!r}"
    require(fits, with_others, DataError)
    with_threshold = f"{where}: relation {relation!r} with threshold {row['threshold']!r}"
    require((threshold is not None) == limited, with_threshold, DataError)
    one = needed < 2 or (len(subject), len(others)) == (1, needed)
    require(one, f"{where}: {relation!r} needs one subject, two others", DataError)
    explained = row["standing"] == "tested" or bool(row["note"])
    why = f"{where}: standing {row['standing']!r} needs a note that says why"
    require(explained, why, DataError)
    read = {"subject": subject, "others": others, "threshold": threshold}
    lists = {name: split_names(row[name]) for name in ("pairs", "caveats")}
    return Claim(**{**row, **read, **lists})


def read_numbers(path: str | Path) -> list[dict]:
    """Read the paper's printed numbers: rows with table, section, model, encoders, setting,
    measure, pair and ``value`` as a float.
    """
    rows = _rows(path, NUMBERS)
    return [row | {"value": _number(row["value"], f"{where}: value")} for where, row in rows]


def read_grid(path: str | Path) -> list[dict]:
    """Read the runs that the paper's text implies: rows with section, what, model, and
    ``trained_views`` and ``runs`` as integers; `DataError` naming the line that has none.
    """
    rows = []
    for where, row in _rows(path, GRID):
        counts = {name: row[name] for name in ("trained_views", "runs")}
        said = ", ".join(f"{name} {text!r}" for name, text in counts.items())
        whole = all(text.isdecimal() for text in counts.values())
        require(whole, f"{where}: {said}: expected integers", DataError)
        rows.append(row | {name: int(text) for name, text in counts.items()})
    return rows


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where} {text!r} is not a number") from None


def split_names(text: str) -> tuple[str, ...]:
    """Return the names that a cell lists, which semicolons part."""
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _rows(path: str | Path, columns: Sequence[str]) -> Iterator[tuple[str, dict]]:
    """Iterate over where a row stands, for errors, and the row."""
    require(Path(path).is_file(), f"{path}: no such file", DataError)
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        others = f"{path}: columns {reader.fieldnames}, expected {list(columns)}"
        require(reader.fieldnames == list(columns), others, DataError)
        for number, row in enumerate(reader, start=2):
            where = f"{path}, line {number}"
            whole = None not in row and None not in row.values()
            require(whole, f"{where}: not {len(columns)} columns", DataError)
            yield where, row


# what the paper's tables were made with: these variants are the model itself there
AS_PRINTED = (("topics", "100"), ("batch_size", "32"))
# rows of Table 4 by what claims call them
TEXT_ENCODERS = {
    "aligned": "clip",
    "multilingual": "paraphrase-multilingual-mpnet-base-v2",
    "monolingual": "all-mpnet-base-v2",
}
IMAGE_ENCODERS = {"aligned": "clip", "unaligned": "ResNet"}

# a function of claim, pair and contender that gives the number the paper prints, or None
Lookup = Callable[[Claim, str, Contender], float | None]


def paper_lookup(numbers: Sequence[Mapping]) -> Lookup:
    """Return a function that finds the number the paper prints for a claim, a pair and a contender.

    The words of Sections 6.1 to 6.3 compare variants of M3L-Contrast: those that Table 4 holds are
    found by their encoders. It alone has the multimodal model between languages.
    """

    def stands_for(row: Mapping, claim: Claim, pair: str, who: Contender) -> bool:
        if (row["model"], row["measure"], row["pair"]) != (who.model, claim.measure, pair):
            return False
        in_table4 = row["table"] == "4"
        if who.changes and who.changes not in [(change,) for change in AS_PRINTED]:
            text = TEXT_ENCODERS.get(who.value("texts"))
            image = IMAGE_ENCODERS.get(who.value("pictures"))
            printed = text is not None and image is not None and in_table4
            starts = row["text_encoder"], row["image_encoder"]
            return printed and starts[0].startswith(text) and starts[1].startswith(image)
        if who.model != "M3L-Contrast":
            return True
        if claim.setting == "multimodal" and pair == "en-de":
            return in_table4
        return not in_table4 and row["setting"] == claim.setting

    def find(claim: Claim, pair: str, who: Contender) -> float | None:
        return next((r["value"] for r in numbers if stands_for(r, claim, pair, who)), None)

    return find


def agreement(claim: Claim, find: Lookup) -> tuple[str, dict[tuple[str, Contender], float]]:
    """Say whether the paper's printed numbers, taken as exact, satisfy the claim's rule: "yes",
    "no" or "no number"; and return the numbers by pair and contender.
    """
    values, sums = {}, []
    for pair in claim.pairs:
        for weights in claim.combinations():
            terms = {m: 1.0 if m == CONSTANT else find(claim, pair, m) for m in weights}
            values |= {(pair, m): v for m, v in terms.items() if m != CONSTANT and v is not None}
            if None not in terms.values():
                sums.append(sum(weight * terms[m] for m, weight in weights.items()))
    if not sums:
        return "no number", values
    return ("yes" if all(s > 1e-9 for s in sums) else "no"), values


def numbers_within(
    numbers: Sequence[Mapping], measured: Mapping[Key, Measured], corpus: str
) -> list[dict]:
    """Hold each printed number of Tables 1 and 2 against the mean measured on ``corpus``, the
    paper's own data, and its 95 % interval, and say whether it lies inside.
    """
    rows = []
    for row in numbers:
        key = (corpus, row["setting"], row["measure"], row["pair"], Contender(row["model"]))
        if row["table"] not in ("1", "2") or key not in measured:
            continue
        found = measured[key]
        low, high = interval_of_mean(found.values, found.units) or (float("nan"),) * 2
        inside = low <= row["value"] <= high
        about = {"mean": float(found.values.mean()), "low": low, "high": high, "inside": inside}
        rows.append({**row, **about})
    return rows
