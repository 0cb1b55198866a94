"""The paper's own numbers put to a claim's rule, and held against those measured on its data."""

from collections.abc import Callable, Mapping, Sequence

from m3l.metrics.uncertainty import interval_of_mean

from ..measured import Key, Measured
from ..variants import Contender, contender
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
    """A function that finds the number the paper prints for a claim, a pair and a contender.

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


def agreement(claim: Claim, find: Lookup) -> tuple[str, dict[tuple[str, Contender], float]]:
    """Whether the paper's printed numbers, taken as exact, satisfy the claim's rule: "yes", "no" or
    "no number"; and the numbers by pair and contender.
    """
    values, sums = {}, []
    for pair in claim.pairs:
        for weights in claim.combinations():
            terms = {m: 1.0 if m == CONSTANT else find(claim, pair, m) for m in weights}
            values |= {(pair, m): v for m, v in terms.items() if m != CONSTANT and v is not None}
            known = [weight * terms[m] for m, weight in weights.items() if terms[m] is not None]
            if len(known) == len(terms):
                sums.append(sum(known))
    if not sums:
        return "no number", values
    return ("yes" if all(s > 1e-9 for s in sums) else "no"), values


def numbers_within(
    numbers: Sequence[Mapping], measured: Mapping[Key, Measured], corpus: str
) -> list[dict]:
    """On the paper's own data: each printed number of Tables 1 and 2, the mean measured on
    ``corpus`` and its 95 % interval, and whether the number lies inside.
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
