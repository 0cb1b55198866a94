"""A topic browser: one page that opens without a server or a network, from any run record.

``python -m m3l_book.pages.browser RUN OUT`` writes ``OUT/index.html``, ``OUT/data.js`` and
``OUT/pictures/``.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from m3l.corpus import Corpus
from m3l.errors import DataError, M3LError, require
from m3l.files import atomic, read_json
from m3l.metrics.divergence import jensen_shannon_matrix
from m3l.metrics.ranking import nearest_both_ways

from ..data.prepared import read_tuples
from ..data.schema import PICTURES
from ..records.run import Run, load_run
from ..records.selection import test_corpora
from ..tables.shared import shorten, titles, topic_faults
from .explorer import thumbnails

PAGE = Path(__file__).with_name("static") / "browser.html"


def topic_entries(run: Run, typical: int = 8, words: int = 15) -> list[dict]:
    """What is shown of each topic: words by language, mean share, of how many items it is the main
    one, coherence, faults, most typical items by view.
    """
    coherence = run.metrics["npmi_of_topics"]
    main = sum(
        np.bincount(theta.argmax(axis=1), minlength=theta.shape[1]) for theta in run.theta.values()
    )
    entries = []
    for row in topic_faults(run):
        k = row["topic"]
        best = {
            view: np.argsort(-theta[:, k], kind="stable")[:typical]
            for view, theta in run.theta.items()
        }
        entries.append(
            {
                "words": {language: w[k][:words] for language, w in run.topics.items()},
                "share": round(row["share"], 5),
                "main": int(main[k]),
                "npmi": {
                    language: round(float(values[k]), 3) for language, values in coherence.items()
                },
                "junk": row["junk"],
                "items": {
                    view: [[int(i), round(float(run.theta[view][i, k]), 3)] for i in items]
                    for view, items in best.items()
                },
            }
        )
    return entries


def item_entries(
    run: Run, test: Corpus, titles: dict, texts: dict, topics: int = 5, near: int = 5
) -> dict[str, list[dict]]:
    """What is shown of each test item, by view: title, articles, text, its largest topics, its
    nearest items of every other view, and its tuples'.
    """
    entries, articles = {}, {view: test.article_of_items(view) for view in run.theta}
    language = test.text_views[0]
    nearest = _nearest(run, near)
    place = {view: {} for view in run.theta}
    for view, of_items in articles.items():
        for i, own in enumerate(of_items):
            for article in own:
                place[view].setdefault(article, []).append(i)
    for view, theta in run.theta.items():
        entries[view] = []
        for i, own in enumerate(articles[view]):
            article = min(own)
            order = np.argsort(-theta[i], kind="stable")[:topics]
            entries[view].append(
                {
                    "title": titles.get(view, titles[language])[article] or article,
                    "articles": sorted(own),
                    "text": texts.get(view, {}).get(article, ""),
                    "topics": [[int(k), round(float(theta[i, k]), 3)] for k in order],
                    "near": {
                        other: nearest[view, other][i] for other in run.theta if other != view
                    },
                    "tuple": {
                        v: mates
                        for v in run.theta
                        if v != view
                        and (mates := sorted({j for a in own for j in place[v].get(a, ())}))
                    },
                }
            )
    return entries


def _check(run: Run, test: Corpus) -> None:
    """`DataError` unless the record is whole and of this test part."""
    shapes = {theta.shape[1:] for theta in run.theta.values()}
    require(
        len(shapes) == 1 and bool(test.text_views),
        f"{run.folder}: θ of at least one view and one number of topics are needed, and a language",
        DataError,
    )
    for view, theta in run.theta.items():
        whose = view in test.views and len(theta) == len(test.views[view])
        require(
            whose,
            f"{run.folder}: its items of view {view!r} are not those of the test part",
            DataError,
        )
        require(
            bool(np.isfinite(theta).all()),
            f"{run.folder}: θ of view {view!r} has values that are not finite",
            DataError,
        )
    npmi = run.metrics.get("npmi_of_topics")
    known = isinstance(npmi, dict) and all(
        np.isfinite(np.array(values, dtype=float)).all() for values in npmi.values()
    )
    require(
        known,
        f"{run.folder}: metrics.json has no NPMI of every topic, as assess writes it",
        DataError,
    )


def _nearest(run: Run, n: int) -> dict[tuple[str, str], list[list[int]]]:
    """(view, other view) -> for each item of the first its ``n`` nearest of the second."""
    nearest = {}
    for a, b in combinations(run.theta, 2):
        blocks = jensen_shannon_matrix(run.theta[a], run.theta[b], chunk_bytes=16 << 20)
        there, back = nearest_both_ways(blocks, n)
        nearest[a, b], nearest[b, a] = there.tolist(), back.tolist()
    return nearest


def browse(
    run: Run,
    test: Corpus,
    prepared: str | Path,
    out: str | Path,
    snippet: int = 240,
    home: str = "",
) -> Path:
    """Write the browser of a run into the folder ``out``, atomically; the page's path.

    Parameters
    ----------
    run : Run
    test : Corpus
        The test part of the corpus that the run was made on.
    prepared : path
        The prepared corpus: its titles, texts and pictures.
    snippet : int
        Characters of a text that are shown.
    home : str
        Address, from the page, of the one that it belongs to.
    """
    _check(run, test)
    frame = read_tuples(prepared)
    frame = frame[frame["split"] == "test"]
    ids = frame["article_id"].astype(str)
    texts = {
        v: {a: shorten(t, snippet) for a, t in zip(ids, frame[f"{v}_text"], strict=True)}
        for v in test.text_views
    }
    data = {
        "about": (
            {
                key: run.params[key]
                for key in ("corpus", "model", "topics", "seed")
                if key in run.params
            }
            | {"run": Path(str(run.folder)).name, "home": home}
        ),
        "views": list(run.theta),
        "languages": list(run.topics),
        "topics": topic_entries(run),
        "items": item_entries(run, test, titles(prepared, test), texts),
    }
    with atomic(out, directory=True) as temporary:
        if PICTURES in run.theta:
            files, names = read_json(Path(prepared) / "images.json"), test.views[PICTURES].item_ids
            lost = [str(n) for n in names if str(n) not in files]
            require(
                not lost,
                f"{prepared}/images.json: names no file for {len(lost)} pictures of the test part,"
                f" such as {lost[:1]}",
                DataError,
            )
            small = thumbnails(
                {str(n): Path(prepared) / "images" / files[str(n)] for n in names},
                temporary / "pictures",
                side=112,
            )
            for entry, name in zip(data["items"][PICTURES], names, strict=True):
                entry["picture"] = f"pictures/{small[str(name)]}"
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        (temporary / "data.js").write_text(f"const DATA = {text};\n", encoding="utf-8")
        shutil.copyfile(PAGE, temporary / "index.html")
    return Path(out) / "index.html"


def _replaceable(out: Path) -> bool:
    """Whether nothing is lost if this folder is replaced: it is not there, or empty, or a topic
    browser and nothing else.
    """
    if not out.is_dir() or out.is_symlink():
        return not out.exists() and not out.is_symlink()
    names = {path.name for path in out.iterdir()}
    if not names:
        return True
    if "data.js" not in names or names - {"index.html", "data.js", "pictures"}:
        return False
    with open(out / "data.js", encoding="utf-8") as data:
        return data.read(len("const DATA = ")) == "const DATA = "


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: 0, or 1 and a plain message."""
    parser = argparse.ArgumentParser(
        prog="python -m m3l_book.pages.browser",
        description="Write a topic browser, a page that opens anywhere, from a run record.",
    )
    parser.add_argument(
        "run", type=Path, help="folder of the run record, as runs/laptop/vital-m3l-s0"
    )
    parser.add_argument("out", type=Path, help="folder to write; one that is there is replaced")
    parser.add_argument(
        "--data",
        type=Path,
        help=(
            "folder of the prepared corpora and embeddings; by default the one that the run was"
            " made from"
        ),
    )
    parser.add_argument(
        "--home",
        default="",
        help="address, from the page, of the one that it belongs to and links back to",
    )
    options = parser.parse_args(arguments)
    try:
        run = load_run(options.run)
        require(
            options.data is not None or "data" in run.params,
            f"{options.run}: the record does not say where its data are; give --data",
        )
        data = str(options.data or run.params["data"])
        require(
            _replaceable(options.out),
            f"{options.out}: is there and is no topic browser, or holds other files too; give"
            " another folder",
        )
        page = browse(
            run,
            next(iter(test_corpora([run], data).values())),
            f"{data}/prepared/{run.params['corpus']}",
            options.out,
            home=options.home,
        )
    except (M3LError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"the topic browser: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
