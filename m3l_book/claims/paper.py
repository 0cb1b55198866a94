"""The paper's own numbers put to a claim's rule, and held against those measured on its data."""

from collections.abc import Callable, Mapping, Sequence

from m3l.metrics.uncertainty import interval_of_mean

from ..measured import Key, Measured
from ..variants import Contender
from .reading import CONSTANT, Claim

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
