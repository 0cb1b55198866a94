"""A dictionary of two languages from what articles are called in both."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from . import prepared

LEAST = 0.6  # of Dice's coefficient
TOGETHER = 2  # the fewest articles whose titles have both words


def title_dictionary(folder: str | Path, languages: Sequence[str]) -> list[tuple[int, int]]:
    """Pair words of two vocabularies that stand in the titles of the same training articles: pairs
    of columns, of words that one title each has whole, or whose Dice coefficient (Dice 1945), twice
    the articles with both over those with either, is `LEAST` or more in `TOGETHER` or more.

    A corpus without titles has no pair.
    """
    known = [prepared.vocabulary(folder, language) for language in languages]
    column = [{word: place for place, word in enumerate(words)} for words in known]
    titles = [f"{language}_title" for language in languages]
    frame = prepared.read_tuples(folder)
    if not set(titles) <= set(frame):
        return []
    train = frame[frame["split"] == "train"].drop_duplicates("article_id").dropna(subset=titles)
    cut = [
        prepared.tokens_of(train[title], language, **prepared.cutting(folder))
        for title, language in zip(titles, languages, strict=True)
    ]
    whole, both, alone = set(), Counter(), (Counter(), Counter())
    for words in zip(*cut, strict=True):
        own = [{column[side][w] for w in words[side] if w in column[side]} for side in (0, 1)]
        pairs = list(product(*own))
        both.update(pairs)
        for counts, columns in zip(alone, own, strict=True):
            counts.update(columns)
        if [len(part) for part in words] == [1, 1]:
            whole.update(pairs)
    often = {
        (a, b)
        for (a, b), n in both.items()
        if n >= TOGETHER and 2 * n >= LEAST * (alone[0][a] + alone[1][b])
    }
    return sorted(whole | often)
