"""A topic browser: one page that opens without a server or a network, from any run record.

``python -m m3l_book.pages.browser RUN OUT`` writes ``OUT/index.html``, ``OUT/data.js`` and
``OUT/pictures/``.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from m3l.corpus import Corpus
from m3l.errors import DataError, M3LError, require
from m3l.files import atomic
from m3l.metrics import jensen_shannon_matrix
from m3l.metrics.ranking import nearest_both_ways

from ..data.prepared import read_tuples
from ..data.schema import PICTURES
from ..records.run import Run, load_run
from ..records.selection import test_corpora
from ..tables.shared import shorten, titles, topic_faults
from .explorer import STATIC, thumbnails

PAGE = STATIC / "browser.html"
BEGINNING = "const DATA = "  # of data.js


def topic_entries(run: Run, names: Sequence[str]) -> list[dict]:
    """List what is shown of each topic: its name if it has one, words by language, mean share, of
    how many items it is the main one, coherence, faults, most typical items by view.
    """
    coherence, entries = run.metrics["npmi_of_topics"], []
    main = [theta.argmax(axis=1) for theta in run.theta.values()]
    for row in topic_faults(run, names):
        k, items = row["topic"], {}
        for view, theta in run.theta.items():
            best = np.argsort(-theta[:, k], kind="stable")[:8]
            items[view] = [[int(i), round(float(theta[i, k]), 3)] for i in best]
        entries.append(
            {
                "name": names[k] if names else f"topic {k}",
                "words": {language: own[k][:15] for language, own in run.topics.items()},
                "share": round(row["share"], 5),
                "main": sum(int((topics == k).sum()) for topics in main),
                "npmi": {language: round(float(x[k]), 3) for language, x in coherence.items()},
                "junk": row["junk"],
                "items": items,
            }
        )
    return entries


def item_entries(run: Run, test: Corpus, prepared: Path) -> dict[str, list[dict]]:
    """List what is shown of each item of ``test``, by view: title, articles, the beginning of its
    text, its largest topics, its nearest items of every other view, and its tuples'.
    """
    frame = read_tuples(prepared)
    frame = frame[frame["split"].isin(np.unique(test.split))]
    ids = frame["article_id"].astype(str)
    texts = {v: dict(zip(ids, frame[f"{v}_text"], strict=True)) for v in test.text_views}
    called, first = titles(prepared, test), test.text_views[0]
    nearest, place = _nearest(run), {view: {} for view in run.theta}
    articles = {view: test.article_of_items(view) for view in run.theta}
    for view, of_items in articles.items():
        for i, own in enumerate(of_items):
            for article in own:
                place[view].setdefault(article, []).append(i)

    def entry(view: str, i: int) -> dict:
        own, theta = sorted(articles[view][i]), run.theta[view][i]
        others = [other for other in run.theta if other != view]
        mates = {v: sorted({j for a in own for j in place[v].get(a, ())}) for v in others}
        return {
            "title": called.get(view, called[first])[own[0]],
            "articles": own,
            "text": shorten(texts.get(view, {}).get(own[0], ""), 240),
            "topics": [
                [int(k), round(float(theta[k]), 3)] for k in np.argsort(-theta, kind="stable")[:5]
            ],
            "near": {other: nearest[view, other][i] for other in others},
            "tuple": {v: items for v, items in mates.items() if items},
        }

    return {view: [entry(view, i) for i in range(len(theta))] for view, theta in run.theta.items()}


def _nearest(run: Run) -> dict[tuple[str, str], list[list[int]]]:
    """Find, by view and other view, the five nearest items of the second for each of the first."""
    nearest = {}
    for a, b in combinations(run.theta, 2):
        blocks = jensen_shannon_matrix(run.theta[a], run.theta[b], chunk_bytes=16 << 20)
        there, back = nearest_both_ways(blocks, 5)
        nearest[a, b], nearest[b, a] = there.tolist(), back.tolist()
    return nearest


def _check(run: Run, test: Corpus) -> None:
    """Refuse a record that is not whole or not of this test part."""
    shapes = {theta.shape[1:] for theta in run.theta.values()}
    message = "θ of at least one view and one number of topics are needed, and a language"
    require(len(shapes) == 1 and bool(test.text_views), f"{run.folder}: {message}", DataError)
    for view, theta in run.theta.items():
        where = f"{run.folder}: θ of view {view!r}"
        same = view in test.views and len(theta) == len(test.views[view])
        require(same, f"{where}: its items are not those of the test part", DataError)
        require(
            bool(np.isfinite(theta).all()), f"{where} has values that are not finite", DataError
        )
    npmi = run.metrics.get("npmi_of_topics")
    known = isinstance(npmi, dict) and all(
        np.isfinite(np.array(values, dtype=float)).all() for values in npmi.values()
    )
    message = "metrics.json has no NPMI of every topic, as assess writes it"
    require(known, f"{run.folder}: {message}", DataError)


def browse(
    run: Run,
    test: Corpus,
    prepared: str | Path,
    out: str | Path,
    home: str = "",
    names: Sequence[str] = (),
) -> Path:
    """Write the browser of a run into the folder ``out``, whole or not at all; the page's path.

    Parameters
    ----------
    run : Run
    test : Corpus
        The corpus that the run was made on, or the part whose items ``run`` has topics of.
    prepared : path
        The prepared corpus: its titles, texts and pictures.
    out : path
    home : str
        Address, from the page, of the one that it belongs to.
    names : sequence of str
        What each topic is called; by default its number.
    """
    _check(run, test)
    # a small test part may have no picture
    run = replace(run, theta={view: theta for view, theta in run.theta.items() if len(theta)})
    test_alone = set(test.split) == {"test"}
    which = "the test items" if test_alone else "all documents and pictures"
    keys = [key for key in ("corpus", "model", "topics", "seed") if key in run.params]
    about = {key: run.params[key] for key in keys}
    data = {
        "about": about | {"run": run.folder.name, "home": home, "items": which},
        "views": list(run.theta),
        "languages": list(run.topics),
        "topics": topic_entries(run, names),
        "items": item_entries(run, test, Path(prepared)),
    }
    with atomic(out, directory=True) as temporary:
        if PICTURES in run.theta:
            names = [str(name) for name in test.views[PICTURES].item_ids]
            small = thumbnails(prepared, names, temporary / "pictures", side=112)
            for entry, name in zip(data["items"][PICTURES], names, strict=True):
                entry["picture"] = f"pictures/{small[name]}"
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        (temporary / "data.js").write_text(f"{BEGINNING}{text};\n", encoding="utf-8")
        shutil.copyfile(PAGE, temporary / "index.html")
    return Path(out) / "index.html"


def _replaceable(out: Path) -> bool:
    """Whether nothing is lost if this folder is replaced: it is not there, or empty, or a topic
    browser and nothing else.
    """
    if out.is_symlink() or not out.is_dir():
        return not out.exists() and not out.is_symlink()
    names = {path.name for path in out.iterdir()}
    if "data.js" not in names or not names <= {"index.html", "data.js", "pictures"}:
        return not names
    with open(out / "data.js", encoding="utf-8") as data:
        return data.read(len(BEGINNING)) == BEGINNING


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0, or 1 and a plain message."""
    parser = argparse.ArgumentParser(
        prog="python -m m3l_book.pages.browser",
        description="Write a topic browser, a page that opens anywhere, from a run record.",
    )
    about = "folder of the run record, as runs/laptop/vital-m3l-s0"
    parser.add_argument("run", type=Path, help=about)
    about = "folder to write; a topic browser that is there is replaced"
    parser.add_argument("out", type=Path, help=about)
    about = "folder of the prepared corpora and embeddings; by default the one that the run was"
    parser.add_argument("--data", help=f"{about} made from")
    about = "address, from the page, of the one that it belongs to and links back to"
    parser.add_argument("--home", default="", help=about)
    options = parser.parse_args(arguments)
    try:
        run = load_run(options.run)
        data = options.data or run.params.get("data")
        require(
            bool(data), f"{options.run}: the record does not say where its data are; give --data"
        )
        message = "is there and is no topic browser, or holds other files too; give another folder"
        require(_replaceable(options.out), f"{options.out}: {message}")
        (test,) = test_corpora([run], str(data)).values()
        prepared = f"{data}/prepared/{run.params['corpus']}"
        page = browse(run, test, prepared, options.out, home=options.home)
    except (M3LError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"the topic browser: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
