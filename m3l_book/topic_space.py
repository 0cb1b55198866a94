"""The topic space (Section 5.4): items of all views laid out in two dimensions, and what the eye
should see there, measured.

Distances are those of retrieval: the Jensen–Shannon divergence of document–topic distributions,
whose root is a metric.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from m3l.corpus import Corpus
from m3l.errors import DataError, choose, require
from m3l.metrics.divergence import jensen_shannon_matrix
from m3l.metrics.spaces import modality_gap

from .measured import Key, Measured, Measurements
from .records.run import Run
from .records.selection import PAPER_MODELS, comparable, home_of, roles, widest
from .variants import Contender

if TYPE_CHECKING:
    from pandas import DataFrame

RANDOM_LABELS = Contender("random labels")

METHODS = ("tsne", "umap", "pca")


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


def pool(theta: Mapping[str, np.ndarray], test: Corpus, articles: int = 0, seed: int = 0) -> Space:
    """The items of every view of ``theta``, of ``articles`` articles drawn at random or, with 0, of
    all.

    Articles that have every view are drawn, as all of the paper's have; where there are none, any.
    A picture of several articles belongs to the first of them that was drawn.
    """
    require(len(theta) > 0, "no view to lay out")
    require(
        isinstance(articles, int) and articles >= 0,
        f"articles={articles!r}: expected an integer, 0 or more",
    )
    whole = np.all([test.views[view].present for view in theta], axis=0)
    names = np.unique(test.article_ids[whole] if whole.any() else test.article_ids)
    if articles and articles < len(names):
        names = np.sort(np.random.default_rng(seed).choice(names, articles, replace=False))
    chosen = set(names.tolist())
    views, items, owners, rows = [], [], [], []
    for view, values in theta.items():
        require(
            len(values) == len(test.views[view]),
            f"view {view!r}: {len(values)} distributions for {len(test.views[view])} items",
            DataError,
        )
        for item, own in enumerate(test.article_of_items(view)):
            if own & chosen:
                views.append(view)
                items.append(item)
                owners.append(min(own & chosen))
                rows.append(values[item])
    return Space(np.array(views), np.array(items), np.array(owners), np.array(rows))


def distances(space: Space) -> np.ndarray:
    """Jensen–Shannon divergences of all pairs of items: (N, N), nats, symmetric, zero on the
    diagonal.
    """
    divergence = np.concatenate(
        [block for _, block in jensen_shannon_matrix(space.theta, space.theta)]
    )
    np.fill_diagonal(divergence, 0.0)
    return 0.5 * (divergence + divergence.T)


def layout(
    divergence: np.ndarray, method: str = "tsne", perplexity: float = 30.0, seed: int = 0
) -> np.ndarray:
    """Items in two dimensions, from their divergences (N, N): (N, 2).

    ``tsne`` (van der Maaten & Hinton 2008) and ``umap`` (McInnes et al. 2018) take the
    Jensen–Shannon distance, the root of the divergence, and start from ``pca``, which is classical
    scaling of it; ``perplexity`` is t-SNE's, UMAP's number of neighbours.

    Raises
    ------
    ParameterError
        The method is unknown, or the perplexity not between 1 and the number of items.
    """
    choose("method", method, METHODS)
    n = len(divergence)
    require(n >= 3, f"{n} items cannot be laid out; expected 3 or more", DataError)
    require(
        1 <= perplexity < n,
        f"perplexity={perplexity}: expected at least 1 and below the number of items, {n}",
    )
    start = _classical_scaling(divergence)
    if method == "pca":
        return start
    distance = np.sqrt(np.maximum(divergence, 0.0))
    if method == "umap":
        from umap import UMAP

        model = UMAP(
            n_neighbors=max(2, int(perplexity)),
            metric="precomputed",
            random_state=seed,
            init=start.astype(np.float32),
            n_jobs=1,
        )
        return np.asarray(model.fit_transform(distance), dtype=np.float64)
    from sklearn.manifold import TSNE

    small = 1e-4 * start / max(float(start[:, 0].std()), 1e-12)
    return (
        TSNE(perplexity=perplexity, metric="precomputed", init=small, random_state=seed)
        .fit_transform(distance)
        .astype(np.float64)
    )


def _classical_scaling(divergence: np.ndarray) -> np.ndarray:
    """The two main coordinates of squared distances (N, N), by double centring (Torgerson 1952):
    (N, 2), signs fixed.
    """
    from scipy.linalg import eigh

    n = len(divergence)
    inner = -0.5 * (
        divergence - divergence.mean(axis=0) - divergence.mean(axis=1)[:, None] + divergence.mean()
    )
    values, vectors = eigh(inner, subset_by_index=[n - 2, n - 1])
    axes = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0.0))
    return axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)


def trust(divergence: np.ndarray, place: np.ndarray, k: int = 10) -> float:
    """How far a map's ``k`` nearest neighbours can be believed: trustworthiness (Venna & Kaski
    2001), 1 if all are near in divergence too.
    """
    from sklearn.manifold import trustworthiness

    return float(
        trustworthiness(
            divergence, place, n_neighbors=min(k, (len(place) - 1) // 2), metric="precomputed"
        )
    )


def neighbours_of_another_kind(space: Space, divergence: np.ndarray, k: int = 10) -> np.ndarray:
    """For each item the share, among its ``k`` nearest of all, of items of another view, which for
    a picture are texts: (N,).

    1 where views are mixed whatever they are, 0 where each stands alone; `mixing_at_random` says
    what labels drawn at random would give. Of items equally far the expected share counts, not what
    their order gives.
    """
    require(
        1 <= k < len(space),
        f"k={k}: expected at least 1 and below the number of items, {len(space)}",
    )
    apart = divergence.copy()
    np.fill_diagonal(apart, np.inf)
    farthest = np.partition(apart, k - 1, axis=1)[:, k - 1 : k]
    nearer, tied, other = apart < farthest, apart == farthest, space.view != space.view[:, None]
    return (
        (nearer & other).sum(axis=1)
        + (k - nearer.sum(axis=1)) * (tied & other).sum(axis=1) / tied.sum(axis=1)
    ) / k


def mixing_at_random(space: Space, view: str) -> float:
    """The expected share of other views among the neighbours of an item of ``view`` if labels were
    drawn at random.
    """
    own = int((space.view == view).sum())
    require(own > 0, f"view {view!r} has no item in the space", DataError)
    return (len(space) - own) / (len(space) - 1)


def partner_rank(space: Space, divergence: np.ndarray, a: str, b: str) -> np.ndarray:
    """For each item of view ``a`` with a partner in ``b``, the share of ``b``'s items that are
    nearer than its nearest partner, half of those as near: (M,), 0 is best.
    """
    rows, columns = np.flatnonzero(space.view == a), np.flatnonzero(space.view == b)
    shares = []
    for row in rows:
        own = space.article[columns] == space.article[row]
        if own.any():
            d = divergence[row, columns]
            nearest = d[own].min()
            shares.append(
                float(((d < nearest).sum() + 0.5 * ((d == nearest) & ~own).sum()) / len(d))
            )
    require(len(shares) > 0, f"no item of {a!r} has a partner in {b!r}", DataError)
    return np.array(shares)


def gap(space: Space, a: str, b: str) -> float:
    """The modality gap among topics: `metrics.modality_gap` of √θ, 0 to √2 (√θ has length 1, and
    its distances are Hellinger's).
    """
    return modality_gap(*(np.sqrt(space.theta[space.view == view]) for view in (a, b)))


def themes(
    space: Space, place: np.ndarray, words: Sequence[Sequence[str]], n: int = 10, per_theme: int = 2
) -> list[tuple[float, float, str]]:
    """Where to write what: the ``n`` topics that are most items' main one, each at the item nearest
    to the middle of its items: x, y, words.
    """
    top = space.theta.argmax(axis=1)
    topics, counts = np.unique(top, return_counts=True)
    places = []
    for topic in topics[np.argsort(-counts, kind="stable")][:n]:
        own = place[top == topic]
        middle = np.median(own, axis=0)
        x, y = own[np.linalg.norm(own - middle, axis=1).argmin()]
        places.append((float(x), float(y), ", ".join(words[topic][:per_theme])))
    return places


def summary(space: Space, divergence: np.ndarray, k: int = 10) -> dict[str, dict[str, float]]:
    """What the eye should see: ``mixing`` of each view's neighbourhoods, what it is ``at random``,
    and of each pair of views ``gap`` and ``partners``.

    ``partners`` is the share of the second view's items that are nearer than an item's own partner,
    `partner_rank`'s mean.
    """
    other, views = (
        neighbours_of_another_kind(space, divergence, k),
        list(dict.fromkeys(space.view.tolist())),
    )
    pairs = list(combinations(views, 2))
    return {
        "mixing": {view: float(other[space.view == view].mean()) for view in views},
        "at random": {view: mixing_at_random(space, view) for view in views},
        "gap": {f"{a} – {b}": gap(space, a, b) for a, b in pairs},
        "partners": {
            f"{a} – {b}": float(partner_rank(space, divergence, a, b).mean()) for a, b in pairs
        },
    }


def in_words(summary: Mapping[str, Mapping[str, float]]) -> str:
    """A `summary` in words, for those who do not see the map: how mixed each view's items are."""
    shares = (
        f"{share:.0%} by {view} ({summary['at random'][view]:.0%} at random)"
        for view, share in summary["mixing"].items()
    )
    return f"share of other views among the nearest neighbours, {', '.join(shares)}"


@dataclass(frozen=True)
class Layout:
    """How a space is laid out: how many ``articles``, by which ``method``, perplexity and seed."""

    articles: int = 0
    method: str = "tsne"
    perplexity: float = 30.0
    seed: int = 0


@dataclass(frozen=True)
class TopicMap:
    """A space laid out: its ``run``, items, their ``divergence`` (N, N) and ``place`` (N, 2)."""

    run: Run
    space: Space
    divergence: np.ndarray
    place: np.ndarray

    @property
    def trust(self) -> float:
        """How far the map's neighbourhoods can be believed: `trust`."""
        return trust(self.divergence, self.place)

    @property
    def summary(self) -> dict[str, dict[str, float]]:
        """What the eye should see there, measured: `summary`, over ten neighbours or fewer."""
        return summary(self.space, self.divergence, min(10, len(self.space) - 1))

    def again(self, method: str, perplexity: float, seed: int) -> "TopicMap":
        """The same items laid out in another way."""
        place = layout(self.divergence, method, perplexity, seed)
        return replace(self, place=place)

    def panel(self, title: str, n: int) -> dict:
        """A panel of `m3l_book.figures.topic_map.topic_space`, with ``n`` themes at most."""
        words = self.run.topics[self.space.view[0]]
        description = f"{in_words(self.summary)}, trustworthiness {self.trust:.3f}"
        return {
            "title": title,
            "place": self.place,
            "view": self.space.view,
            "themes": themes(self.space, self.place, words, n),
            "description": description,
        }


def fitting_perplexity(asked: float, items: int) -> float:
    """The perplexity asked for, at most a third of the items: so many neighbours must be there."""
    return min(asked, max(1.0, float((items - 1) // 3)))


def make_map(run: Run, theta: Mapping[str, np.ndarray], test: Corpus, how: Layout) -> TopicMap:
    """Pool the items of every view of ``theta`` and lay them out."""
    space = pool(theta, test, how.articles, how.seed)
    divergence = distances(space)
    perplexity = fitting_perplexity(how.perplexity, len(space))
    place = layout(divergence, how.method, perplexity, how.seed)
    return TopicMap(run, space, divergence, place)


def summary_frames(
    summaries: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> "tuple[DataFrame, DataFrame]":
    """The mixing of neighbourhoods by model, beside labels at random; and gaps and partners."""
    import pandas as pd

    mixing = {name: summary["mixing"] for name, summary in summaries.items()}
    mixing["labels at random"] = next(iter(summaries.values()))["at random"]
    pairs = [
        pd.DataFrame({name: own[what] for name, own in summaries.items()}).T.add_prefix(f"{what}, ")
        for what in ("gap", "partners")
    ]
    return pd.DataFrame(mixing).T, pd.concat(pairs, axis=1)


def of_contenders(
    runs: Sequence[Run], test: Corpus, corpus: str, contenders: Sequence[Contender], seed: int
) -> dict[Contender, tuple[dict[str, np.ndarray], Run]]:
    """θ of all views of ``test``, with the record that names the topics, by contender.

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
    runs: Sequence[Run],
    tests: Mapping[tuple, Corpus],
    articles: int = 400,
    k: int = 10,
    seed: int = 0,
) -> Measurements:
    """What the claims of Section 5.4 are about: the mixing of each view's items, (seeds, items).

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
                space = pool(theta, test, articles, seed)
                other = neighbours_of_another_kind(space, distances(space), min(k, len(space) - 1))
                for view, role in roles(test).items():
                    where = corpus, "multimodal", "neighbours of another kind", role
                    own = space.view == view
                    values.setdefault((*where, contender), []).append(other[own])
                    at_random = np.full(int(own.sum()), mixing_at_random(space, view))
                    values[(*where, RANDOM_LABELS)] = [at_random]
                    articles_of[corpus, role] = space.article[own]
    return {
        key: Measured(np.stack(arrays), articles_of[key[0], key[3]], key[4] != RANDOM_LABELS)
        for key, arrays in values.items()
    }
