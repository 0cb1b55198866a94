"""Tables of corpora: what was prepared, what a tuple looks like, how the encoders compare."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..data.prepared import read_tuples, views_of
from .cells import shorten

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

LEFT = {"text-align": "left", "vertical-align": "top"}


def counts_table(cards: Mapping[str, Mapping], data: str) -> "Styler":
    """What each corpus holds, and what was left out of it."""
    import pandas as pd

    rows = []
    for name, card in cards.items():
        counts = card["counts"]
        by_language = counts["documents_dropped_as_too_short"].values()
        rows.append(
            {
                "corpus": name,
                "views": ", ".join(views_of(f"{data}/prepared/{name}")),
                "training tuples": counts["train"]["tuples"],
                "test articles": counts["test"]["articles"],
                "test pictures": counts["test"]["pictures"],
                "documents too short": sum(sum(by_split.values()) for by_split in by_language),
                "tuples left out": counts["tuples_dropped_as_incomplete"],
                "words a language": card["vocabulary_size"],
            }
        )
    return pd.DataFrame(rows).style.hide(axis="index")


def options_line(name: str, card: Mapping) -> str:
    """A corpus's options in a sentence of Markdown."""
    parts = [f"least words a document: {card['min_words']}"]
    for key, value in card["options"].items():
        if value not in ("", 0, False):
            parts.append(f"{key.replace('_', ' ')}: {value}")
    if "true_topics" in card:
        topics = len(card["true_topics"])
        how = "by k-means over their names, category and Unicode order"
        parts.append(f"{card['emoji']:,} emoji in {topics} topics, {how}")
    return f"**{name}**: {'; '.join(parts)}."


def mining_lines(cards: Mapping[str, Mapping]) -> list[str]:
    """How pairs were mined, and how far they can be believed; a paragraph of Markdown a pair."""
    lines = []
    for name, card in cards.items():
        for pair, mined in card.get("mining", {}).items():
            a, b = mined["articles"]
            lines.append(
                f"In **{name}**, {pair}: {a:,} and {b:,} articles gave **{mined['mined']:,} "
                f"pairs**. Of {mined['checked']:,} that could be checked by title, "
                f"{mined['agreeing']:,} agree: an estimated precision of "
                f"**{mined['precision']:.1%}**. {mined['recall']:.1%} of the "
                f"{mined['matches']:,} exact title matches were found; {mined['kept']:,} pairs "
                "were kept."
            )
    return lines


def sample_of(folder: str, n: int) -> "DataFrame":
    """Test tuples of ``n`` articles drawn at random."""
    frame = read_tuples(folder)
    articles = frame[frame["split"] == "test"].drop_duplicates("article_id")
    return articles.sample(n, random_state=0)


def sample_table(folder: str, languages: Sequence[str], n: int) -> "Styler":
    """The texts of ``n`` tuples drawn at random, shortened, a column a language."""
    import pandas as pd

    sample, columns = sample_of(folder, n), {}
    for language in languages:
        titles, texts = sample[f"{language}_title"], sample[f"{language}_text"]
        pairs = zip(titles, texts, strict=True)
        columns[language] = [f"{title or ''}: {shorten(text, 220)}" for title, text in pairs]
    return pd.DataFrame(columns).style.hide(axis="index").set_properties(**LEFT)


def words_marked(words: Iterable[str], kept: Iterable[str], stop: Iterable[str]) -> str:
    """Words as Markdown: those of the vocabulary bold, stopwords struck."""
    kept, stop = set(kept), set(stop)
    marked = []
    for word in words:
        marked.append(f"**{word}**" if word in kept else f"<s>{word}</s>" if word in stop else word)
    return " ".join(marked)


def encoding_row(corpus: str, view: str, encoder: str, vectors: np.ndarray, seconds: float) -> dict:
    """What an encoder gave for a view, in numbers."""
    return {
        "corpus": corpus,
        "view": view,
        "encoder": encoder,
        "items": len(vectors),
        "dimensions": vectors.shape[1],
        "mean norm": np.linalg.norm(vectors, axis=1).mean(),
        "spread": vectors.std(axis=0).mean(),
        "seconds": seconds,
    }


def raw_table(rows: Sequence[Mapping]) -> "Styler":
    """Retrieval by raw embeddings, a row a corpus and direction."""
    import pandas as pd

    lines = [
        {
            "corpus": row["corpus"],
            "from → to": f"{row['query']} → {row['item']}",
            "metric": row["metric"],
            "score": row["score"],
            "95 % interval": f"{row['low']:.3f} – {row['high']:.3f}",
            "chance": row["chance"],
        }
        for row in rows
    ]
    return pd.DataFrame(lines).style.hide(axis="index").format(precision=3)
