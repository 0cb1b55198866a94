"""Tables of corpora: what was prepared, what a tuple looks like, how the encoders compare."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from m3l.metrics import modality_gap

from ..data.prepared import read_tuples, views_of
from ..data.splits import SPLITS
from ..shown import as_html, as_markdown
from .cells import names_of, shorten, styled

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler

LEFT = {"text-align": "start", "vertical-align": "top"}
NUMBERS = ["tuples", "articles", "with a picture", "pictures"]


def counts_table(cards: Mapping[str, Mapping], data: str) -> "Styler":
    """What each part of each corpus holds: a row a part."""
    import pandas as pd

    rows = []
    for name, card in cards.items():
        for split in SPLITS:
            counts = card["counts"][split]
            if counts["tuples"]:
                row = {"corpus": name, "views": ", ".join(views_of(f"{data}/prepared/{name}"))}
                row |= {"part": split, "tuples": counts["tuples"], "articles": counts["articles"]}
                row |= {"with a picture": counts["illustrated"], "pictures": counts["pictures"]}
                rows.append(row)
    return styled(pd.DataFrame(rows)).format("{:,}", subset=NUMBERS)


def left_out_line(name: str, card: Mapping) -> str:
    """What was left out of a corpus, in a sentence of Markdown."""
    counts = card["counts"]
    by_language = counts["documents_dropped_as_too_short"].items()
    short = ", ".join(f"{sum(by_split.values())} in {lang}" for lang, by_split in by_language)
    sizes = ", ".join(f"{n:,} words in {lang}" for lang, n in card["vocabularies"].items())
    most = card["vocabulary_size"]
    if any(n < most for n in card["vocabularies"].values()):
        sizes += f" (there are no more; {most:,} are the most)"
    return (
        f"**{name}**: {short} documents too short, {counts['tuples_dropped_as_incomplete']} tuples "
        f"left out with them, {counts['leaking_tuples']} because an item of theirs stands in a "
        f"later part too. Vocabulary: {sizes}."
    )


def illustration_lines(cards: Mapping[str, Mapping], readings: str) -> list[str]:
    """Where the pictures of a corpus come from, and how far they can be believed.

    ``readings`` is a list of pictures that somebody looked at, with columns ``picture`` and
    ``right``, which is ``yes`` or ``no``.
    """
    import pandas as pd
    from scipy.stats import binomtest

    lines = []
    for name, card in cards.items():
        if "illustration" in card:
            counts, read = card["illustration"], pd.read_csv(readings)
            right, n = int((read["right"] == "yes").sum()), len(read)
            low, high = binomtest(right, n).proportion_ci(method="wilson")
            lines.append(
                f"In **{name}**, {counts['pictures']:,} pictures were found for "
                f"{counts['titles']:,} titles. {counts['denied']} others of the right name were "
                f"denied, and {counts['of_two_titles']} that would illustrate two articles were "
                f"left out. Of {n} drawn at random from the full corpus, {right} show what the "
                f"article is about: a precision of **{right / n:.1%}** ({low:.1%} to {high:.1%})."
            )
    return lines


def near_duplicates_line(name: str, card: Mapping) -> str:
    """How much nearly stands in two parts of a corpus, in a sentence of Markdown."""
    pairs = card["near_duplicates"]
    if not pairs:
        return f"**{name}**: no item of training is nearly one of another part."
    counts = Counter((pair["view"], pair["split"]) for pair in pairs)
    total = ", ".join(f"{n} {view} ({split})" for (view, split), n in counts.items())
    return (
        f"**{name}**: {len(pairs)} pairs of items of different articles are nearly the same in "
        f"training and in another part: {total}."
    )


def near_duplicates_table(card: Mapping, folder: str, n: int = 5) -> "Styler":
    """Pairs of articles whose items are nearly the same, ``n`` of them at even distances from the
    most to the least alike.
    """
    import pandas as pd

    pairs = card["near_duplicates"]
    rows = read_tuples(folder).drop_duplicates("article_id")
    title = dict(zip(rows["article_id"], names_of(rows, card["languages"][0]), strict=True))
    chosen = np.unique(np.linspace(0, len(pairs) - 1, n).astype(int))
    rows = [
        {
            "view": pairs[i]["view"],
            "in training": title[pairs[i]["train"]],
            f"in {pairs[i]['split']}": title[pairs[i]["other"]],
        }
        for i in chosen
    ]
    return styled(pd.DataFrame(rows)).format(na_rep="").set_properties(**LEFT)


def options_line(name: str, card: Mapping) -> str:
    """A corpus's options in a sentence of Markdown."""
    parts = [f"least words a document: {card['min_words']}"]
    for key, value in card["options"].items():
        if value not in ("", 0, False, []):
            parts.append(f"{key.replace('_', ' ')}: {as_markdown(value)}")
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
            place = f", which are read from `{mined['list']}`" if mined["list"] else ""
            lines.append(
                f"In **{name}**, {pair}: {a:,} and {b:,} articles gave **{mined['mined']:,} "
                f"pairs**{place}. Of {mined['checked']:,} that could be checked by title, "
                f"{mined['agreeing']:,} agree: an estimated precision of "
                f"**{mined['precision']:.1%}**. {mined['recall']:.1%} of the "
                f"{mined['matches']:,} exact title matches were found; {mined['kept']:,} pairs "
                f"were kept, and {mined['by_emoji']} added whose titles are the names of one emoji "
                "in both languages."
            )
    return lines


def join_table(card: Mapping) -> "Styler":
    """How many tuples of the lists that a corpus was made from were found, and why others were not:
    a row a reason.
    """
    import pandas as pd

    join = card["join"]
    reasons = dict.fromkeys(what for counted in join.values() for what in counted)
    names = {"rows": "asked for", "found": "found"}
    rows = [
        {"": names.get(what, what)} | {part: counted.get(what, 0) for part, counted in join.items()}
        for what in reasons
    ]
    return styled(pd.DataFrame(rows)).format("{:,}", subset=list(join))


def sample_of(folder: str, n: int, illustrated: bool = False) -> "DataFrame":
    """Test tuples of ``n`` articles drawn at random, or of those among all that have a picture."""
    frame = read_tuples(folder)
    frame = frame[frame["split"] == "test"]
    if illustrated:
        frame = frame[frame["image_id"].notna()]
    articles = frame.drop_duplicates("article_id")
    return articles.sample(min(n, len(articles)), random_state=0)


def sample_table(folder: str, languages: Sequence[str], n: int) -> "Styler":
    """The texts of ``n`` tuples drawn at random, shortened, a column a language."""
    import pandas as pd

    sample, columns = sample_of(folder, n), {}
    for language in languages:
        names, texts = names_of(sample, language), sample[f"{language}_text"]
        pairs = zip(names, texts, strict=True)
        columns[language] = [f"{n}: {shorten(t, 220)}" if t else "–" for n, t in pairs]
    return styled(pd.DataFrame(columns)).set_properties(**LEFT)


def card_lines(name: str, card: Mapping) -> str:
    """A data card as Markdown: what it is, and what became of it on the way."""
    shown = ("source", "licence", "stopwords", "biases")
    lines = [f"**{key}**: {as_markdown(card[key])}" for key in shown]
    lines += [f"**as read**: {as_markdown(note)}" for note in card.get("notes", [])]
    lines += [f"**to look at**: {as_markdown(warning)}" for warning in card.get("warnings", [])]
    listed = "\n".join(f"- {line}" for line in lines)
    return f"**{name}**\n\n{listed}"


def words_marked(words: Iterable[str], kept: Iterable[str], stop: Iterable[str]) -> str:
    """Words as HTML: those of the vocabulary bold, stopwords struck."""
    kept, stop = set(kept), set(stop)
    marked = []
    for word in words:
        shown = as_html(word)
        kind = "b" if word in kept else "s" if word in stop else ""
        marked.append(f"<{kind}>{shown}</{kind}>" if kind else shown)
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


def cosines_line(
    name: str, aligned: Mapping, random: Mapping, vectors: Mapping[str, np.ndarray]
) -> str:
    """Mean cosines of pairs of views, how many pairs they have, and their gaps, in a sentence."""
    lines, gaps = [], []
    for a, b in aligned:
        means = f"{aligned[a, b].mean():.2f} on average, random ones {random[a, b].mean():.2f}"
        lines.append(f"{a} – {b}: {len(aligned[a, b]):,} aligned pairs {means}")
        gaps.append(f"{a} to {b} {modality_gap(vectors[a], vectors[b]):.2f}")
    return (
        f"Cosines in **{name}**. {'; '.join(lines)}. Distance between the views' centres: "
        f"{', '.join(gaps)}; the vectors themselves have length 1."
    )


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
    return styled(pd.DataFrame(lines)).format(precision=3)
