"""How aligned encoders are before any training."""

from collections.abc import Mapping

import numpy as np

from m3l.corpus import Corpus
from m3l.metrics.assessment import aligned_pairs, evaluate
from m3l.metrics.spaces import modality_gap, neighbour_overlap

from .records.collection import Collection
from .records.selection import encoders_of, has_pictures, spaces_of


def alignment(test: Corpus, spaces: Mapping[str, str], neighbours: int = 10) -> list[dict]:
    """How aligned a test corpus's encoders are before any training, a row a pair of views.

    Raw retrieval in both directions with chance, the modality gap and the overlap of
    neighbourhoods. Retrieval and gap need one width; in two spaces of one width they are what
    unaligned vectors give. Overlap needs neither.
    """
    vectors = {view: items.embeddings for view, items in test.views.items()}
    raw = {(s["query"], s["item"]): s for s in evaluate(vectors, test, raw=True)}
    rows, views = [], list(vectors)
    for i, a in enumerate(views):
        for b in views[i + 1 :]:
            x, y = aligned_pairs(test, a, b)
            row = {"views": f"{a} – {b}", "one space": "yes" if spaces[a] == spaces[b] else "no"}
            row |= {"metric": "–"} | dict.fromkeys(("there", "back", "chance", "gap"), np.nan)
            if (a, b) in raw:
                there, back = raw[a, b], raw[b, a]
                row |= {"metric": there["metric"], "there": there["score"]}
                row |= {"back": back["score"], "chance": there["chance"]}
                row["gap"] = modality_gap(vectors[a], vectors[b])
            common = neighbour_overlap(vectors[a][x], vectors[b][y], neighbours)
            rows.append(row | {f"{neighbours} neighbours in common": common})
    return rows


def alignment_rows(collection: Collection) -> list[dict]:
    """Return `alignment` of the encoders of every joint model that was trained with pictures, a row
    per combination and pair of views, with corpus and encoders.
    """
    rows, seen = [], set()
    for run in collection.runs:
        corpus, names = run.params["corpus"], encoders_of(run)
        if run.params["model"] == "M3L-Contrast" and has_pictures(run) and names not in seen:
            seen.add(names)
            spaces = spaces_of(run, collection.data)
            for row in alignment(collection.test_of(run), spaces):
                rows.append({"corpus": corpus, "encoders": names, **row})
    return rows
