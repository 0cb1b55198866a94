"""The topic space (Section 5.4): items of all views by their topics, in the plane and in numbers.

The book's chapter on the topic space defines `distances`, `neighbours_of_another_kind` and `mixing`
as they stand here, and lays the items out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from m3l.corpus import Corpus
from m3l.errors import DataError, check_integer, require
from m3l.metrics import jensen_shannon_matrix

from .measured import Contender, Key, Measured, Measurements, article_keys
from .records.run import Run
from .records.selection import PAPER_MODELS, comparable, home_of, roles, widest

RANDOM_LABELS = Contender("random labels")


@dataclass(frozen=True)
class Space:
    """N items of all views, pooled: ``view`` (N,) of str, ``item`` (N,) its row in θ of that view,
    ``article`` (N,) of str, ``theta`` (N, K).
    """

    view: np.ndarray
    item: np.ndarray
    article: np.ndarray
    theta: np.ndarray

    def __len__(self) -> int:
        return len(self.view)


@dataclass(frozen=True)
class TopicMap:
    """The space of a run laid out: ``divergence`` (N, N) in nats and ``place`` (N, 2)."""

    run: Run
    space: Space
    divergence: np.ndarray
    place: np.ndarray


def pool(
    theta: Mapping[str, np.ndarray],
    test: Corpus,
    articles: int = 0,
    seed: int = 0,
    every: bool = False,
) -> Space:
    """Take the items of every view of ``theta`` that belong to ``articles`` articles drawn at
    random or, with 0, to any.

    Articles that have every view are taken, as all of the paper's have; where there are none, any,
    and with ``every`` those that lack a view, too.
    A picture of several articles belongs to the first of them that was drawn.
    """
    check_integer("articles", articles, 0)
    whole = np.all([test.views[view].present for view in theta], axis=0)
    some = whole.any() and not every
    names = np.unique(test.article_ids[whole] if some else test.article_ids)
    if articles and articles < len(names):
        names = np.sort(np.random.default_rng(seed).choice(names, articles, replace=False))
    chosen = set(names.tolist())
    rows = []
    for view, values in theta.items():
        n, items = len(values), test.article_of_items(view)
        require(n == len(items), f"view {view!r}: {n} rows of θ for {len(items)} items", DataError)
        rows += [
            (view, i, min(own & chosen), values[i]) for i, own in enumerate(items) if own & chosen
        ]
    require(len(rows) >= 3, f"{len(rows)} items cannot be laid out; expected 3 or more", DataError)
    return Space(*map(np.array, zip(*rows, strict=True)))


def distances(theta: np.ndarray) -> np.ndarray:
    """Compute the Jensen–Shannon divergences of all pairs of items (N, K): (N, N) in nats."""
    blocks = [block for _, block in jensen_shannon_matrix(theta, theta)]
    divergence = np.concatenate(blocks)
    np.fill_diagonal(divergence, 0.0)
    return (divergence + divergence.T) / 2


def plane(theta: np.ndarray, perplexity: float = 30.0, seed: int = 0) -> np.ndarray:
    """Lay out items (N, K) in the plane by t-SNE: (N, 2), of any number of items.

    Distances are Euclidean between √θ, which is √2 times Hellinger's distance and near the root of
    the Jensen–Shannon divergence where items are near; so no matrix of all pairs is needed.
    """
    from sklearn.manifold import TSNE

    few = min(perplexity, len(theta) / 3)
    how = {"init": "pca", "learning_rate": "auto", "max_iter": 500, "random_state": seed}
    return TSNE(perplexity=few, **how).fit_transform(np.sqrt(theta).astype(np.float32))


def trust(divergence: np.ndarray, place: np.ndarray) -> float:
    """Measure how far a map's ten nearest neighbours can be believed: trustworthiness (Venna &
    Kaski 2001), 1 if all are near in divergence too.
    """
    from sklearn.manifold import trustworthiness

    k = min(10, (len(place) - 1) // 2)
    return trustworthiness(divergence, place, n_neighbors=k, metric="precomputed")


def neighbours_of_another_kind(divergence: np.ndarray, view: np.ndarray, k: int = 10) -> np.ndarray:
    """Compute each item's share of other views among its ``k`` nearest items: (N,).

    1 where views are mixed whatever they are, 0 where each stands alone. Of items equally far the
    expected share counts, not what their order gives.

    Raises
    ------
    ParameterError
        ``k`` is below 1, or not below the number of items.
    """
    require(1 <= k < len(view), f"k={k}: expected at least 1 and below {len(view)}")
    apart = divergence.copy()
    np.fill_diagonal(apart, np.inf)
    farthest = np.partition(apart, k - 1, axis=1)[:, k - 1 : k]  # of the k nearest
    nearer, tied = apart < farthest, apart == farthest
    other = view != view[:, None]
    drawn = k - nearer.sum(axis=1)  # of those that are equally far
    expected = drawn * (tied & other).sum(axis=1) / tied.sum(axis=1)
    return ((nearer & other).sum(axis=1) + expected) / k


def mixing(space: Space, divergence: np.ndarray, k: int = 10) -> pd.DataFrame:
    """Tabulate by view the mean share of other views among the ``k`` nearest items, ``mixing``, and
    what labels drawn at random would give, ``at random``.
    """
    share = neighbours_of_another_kind(divergence, space.view, min(k, len(space) - 1))
    by_view = pd.Series(share).groupby(space.view, sort=False)
    at_random = (len(space) - by_view.size()) / (len(space) - 1)
    return pd.DataFrame({"mixing": by_view.mean(), "at random": at_random})


def of_contenders(
    runs: Sequence[Run], test: Corpus, corpus: str, contenders: Sequence[Contender], seed: int
) -> dict[Contender, tuple[dict[str, np.ndarray], Run]]:
    """Find θ of all views of ``test``, with the record that names the topics, by contender.

    Of those that read every view. A joint model has all in one record, a ZeroshotTM of the first
    language too. Of ZeroshotTM-KD they are the teacher's and its students': each record of a
    student holds its teacher's θ and its own, over the same topics.
    """
    first, spaces = test.text_views[0], {}
    for contender in contenders:
        theta: dict[str, np.ndarray] = {}
        records = comparable(runs, corpus, [contender], seed)
        own = [run for run in records if home_of(run) in ("", first)]
        for run in own:
            theta = run.theta | theta
        if set(theta) == set(test.views):
            spaces[contender] = {view: theta[view] for view in test.views}, own[0]
    return spaces


def mixing_measurements(
    runs: Sequence[Run], tests: Mapping[tuple, Corpus], articles: int = 400
) -> Measurements:
    """Measure what the claims of Section 5.4 are about: the mixing of each view's items, (seeds,
    items).

    As `m3l_book.records.results.measurements` has it, of the models of the paper that read pictures
    too. The same ``articles`` are drawn for all.
    """
    values: dict[Key, list[np.ndarray]] = {}
    articles_of: dict[tuple[str, str], np.ndarray] = {}
    contenders = [Contender(model) for model in PAPER_MODELS]
    for corpus, test in widest(tests).items():
        if not test.picture_views:
            continue
        for trained in sorted({run.params["seed"] for run in runs}):
            spaces = of_contenders(runs, test, corpus, contenders, trained)
            for contender, (theta, _) in spaces.items():
                space = pool(theta, test, articles)
                n = len(space)
                apart = distances(space.theta)
                other = neighbours_of_another_kind(apart, space.view, min(10, n - 1))
                for view, role in roles(test).items():
                    where = corpus, "multimodal", "neighbours of another kind", role
                    own = space.view == view
                    require(own.any(), f"view {view!r} has no item in the space", DataError)
                    values.setdefault((*where, contender), []).append(other[own])
                    at_random = (n - own.sum()) / (n - 1)
                    values[(*where, RANDOM_LABELS)] = [np.full(own.sum(), at_random)]
                    articles_of[corpus, role] = article_keys(space.article[own])
    return {
        key: Measured(np.stack(arrays), articles_of[key[0], key[3]], key[4] != RANDOM_LABELS)
        for key, arrays in values.items()
    }
