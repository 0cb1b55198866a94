"""Run records turned into the tables that chapters show; every figure in them comes from a record."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np

from . import metrics, prepare
from .corpus import Corpus
from .errors import DataError, require
from .evaluation import aligned_pairs, evaluate
from .runs import Run, load_run

MAIN = ("ZeroshotTM", "M3L-Contrast")
PAPER_MODELS = ("PLTM", "ZeroshotTM", "ZeroshotTM-KD", "M3L-Contrast")


def shorten(text: str | None, n: int = 60) -> str:
    """The text cut at a word to about ``n`` characters, with an ellipsis if anything went."""
    text = text or ""
    return text if len(text) <= n else text[:n].rsplit(" ", 1)[0] + " …"


def load_runs(folder, names: Sequence[str] = ()) -> list[Run]:
    """The named run records in ``folder``, or all; `DataError` if there is none."""
    names = list(names) or sorted(path.parent.name for path in Path(folder).glob("*/metrics.json"))
    require(len(names) > 0, f"runs={str(folder)!r}: no run record there; train one with chapter 4", DataError)
    return [load_run(f"{folder}/{name}") for name in names]


def with_labels(runs: Sequence[Run], labels: Mapping[str, Sequence[str]]) -> list[Run]:
    """The runs, and each again under the other names that ``labels`` gives it: "M3L-Contrast, 100 topics" is M3L-Contrast as the tables have it."""
    for name in labels:
        require(any(run.folder.name == name for run in runs), f"labels: no run is called {name!r}")
    return [named for run in runs for named in (run, *(replace(run, params={**run.params, "model": label}) for label in labels.get(run.folder.name, [])))]


def corpus_of(run: Run) -> tuple:
    """What runs must share to be compared: corpus and encoders."""
    return run.params["corpus"], tuple(sorted(run.params["encoders"].items()))


def test_corpora(runs: Sequence[Run], data: str) -> dict[tuple, Corpus]:
    """The test corpus of each group of comparable runs, loaded once, by `corpus_of`.

    A run made from other data than the folder holds now is a `DataError`: its topics are of other items.
    """
    found, now = {}, {}
    for run in runs:
        if corpus_of(run) not in found:
            name = run.params["corpus"]
            found[corpus_of(run)] = prepare.assemble(f"{data}/prepared/{name}", f"{data}/embeddings/{name}", run.params["encoders"])
            now[corpus_of(run)] = found[corpus_of(run)].fingerprint()
        require(
            run.metrics["data"] == now[corpus_of(run)],
            f"{run.folder}: made from other data than {data} holds now; train it again, or leave it out with run_names",
            DataError,
        )
    return {key: corpus.part("test") for key, corpus in found.items()}


def home_of(run: Run) -> str:
    """The view whose network reads the others: a ZeroshotTM's own, of a student its teacher's; "" for a joint model."""
    views, trained = list(run.params["encoders"]), run.params["train_views"]
    if run.params.get("teacher"):
        return next(v for v in views if v not in trained)
    return trained[0] if len(trained) == 1 else ""


def scores(runs: Sequence[Run]):
    """A row per run and direction: `evaluate`'s fields with corpus, model, seed, run, direction, `home_of` and setting; a data frame.

    ``setting`` is that of Section 4.2: a joint model is ``multilingual`` or, trained with pictures, ``multimodal``; others are both, "".
    """
    import pandas as pd

    rows = []
    for run in runs:
        joint = "multimodal" if "image" in run.params["train_views"] else "multilingual"
        about = {
            **{"corpus": run.params["corpus"], "model": run.params["model"], "seed": run.params["seed"], "run": run.folder.name},
            **{"home": home_of(run), "setting": "" if home_of(run) else joint},
        }
        rows += [{**about, "direction": f"{s['query']} → {s['item']}", **s} for s in run.metrics["scores"]]
    return pd.DataFrame(rows)


def as_in_the_paper(table, setting: str = ""):
    """The rows of `scores` that stand for a model in the paper's tables, where several runs of it answer the same question.

    In each direction a ZeroshotTM, or a student's teacher, is the one of the text's own language (the query's, if both are texts);
    a joint model is the one trained without pictures between texts, and with them otherwise, or as ``setting`` says. Where there
    is no such run the others stand in.
    """
    text = table["query"].where(table["query"] != "image", table["item"])
    with_image = (table["query"] == "image") | (table["item"] == "image")
    wanted = setting if setting else np.where(with_image, "multimodal", "multilingual")
    fits = table["home"].isin([""]) | (table["home"] == text)
    fits &= (table["setting"] == "") | (table["setting"] == wanted)
    chosen = fits | ~fits.groupby([table["corpus"], table["model"], table["direction"]]).transform("any")
    return table[chosen]


def raw_scores(tests: Mapping[tuple, Corpus]):
    """What the raw embeddings score (footnote 4): `evaluate`'s rows with corpus and direction, one of each; a data frame."""
    import pandas as pd

    found = {}
    for (corpus, _), test in tests.items():
        if all((corpus, f"{a} → {b}") in found for a, b in permutations(test.views, 2)):
            continue  # of several encoders the first count: those of the main runs
        for s in evaluate({v: view.embeddings for v, view in test.views.items()}, test, raw=True):
            found.setdefault((corpus, f"{s['query']} → {s['item']}"), {"corpus": corpus, "direction": f"{s['query']} → {s['item']}", **s})
    return pd.DataFrame(list(found.values()))


def score_table(rows: Sequence[Mapping]):
    """One run's scores, ready to be shown."""
    import pandas as pd

    lines = [
        {
            "from → to": f"{s['query']} → {s['item']}",
            "metric": s["metric"],
            "score": s["score"],
            "95 % interval": f"{s['low']:.3f} – {s['high']:.3f}",
            "chance": s["chance"],
            "JSD (nats)": s["jsd"],
        }
        for s in rows
    ]
    return pd.DataFrame(lines).style.hide(axis="index").format(precision=3)


def quality_line(measured: Mapping) -> str:
    """Coherence, diversity and recovery of one run in a sentence."""
    parts = [("NPMI", "npmi", 3), ("diversity", "diversity", 2), ("mean correlation of the known topics with topics matched one to one", "recovery", 2)]
    said = [f"{what} {', '.join(f'{v} {x:.{digits}f}' for v, x in measured[key].items())}" for what, key, digits in parts if measured[key]]
    return "; ".join(said) + "." if said else "A student without words has no topics of its own: it uses its teacher's."


def other_homes(table):
    """Directions answered by the ZeroshotTM, or teacher, of another language than `as_in_the_paper` takes: its score beside the chosen one's."""
    import pandas as pd

    table = table[table["model"].isin(PAPER_MODELS)]
    main, lines = as_in_the_paper(table), []
    left_out = table[(table["home"] != "") & ~table.index.isin(main.index)]
    for (corpus, model, direction, home), rows in left_out.groupby(["corpus", "model", "direction", "home"], sort=False):
        used = main[(main["corpus"] == corpus) & (main["model"] == model) & (main["direction"] == direction)]
        about = {"corpus": corpus, "from → to": direction, "model": f"{model}, {home}", "metric": rows["metric"].iloc[0]}
        lines.append({**about, "score": rows["score"].mean(), "in the tables": used["score"].mean()})
    return pd.DataFrame(lines)


def variants(table):
    """Scores of runs with another choice in one place, after those of the model they vary; a data frame."""
    import pandas as pd

    base = table["model"].str.partition(",")[0]
    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        varied = rows[~rows["model"].isin(PAPER_MODELS)]
        for name in dict.fromkeys(base[varied.index]):
            main = as_in_the_paper(rows[rows["model"] == name])
            for model, part in [(name, main), *varied[base[varied.index] == name].groupby("model", sort=False)]:
                if len(part):
                    about = {"corpus": corpus, "from → to": direction, "model": model, "metric": part["metric"].iloc[0]}
                    lines.append({**about, "seeds": part["seed"].nunique(), "score": part["score"].mean(), "±": part["score"].std(), "JSD": part["jsd"].mean()})
    return pd.DataFrame(lines)


def comparisons(table, models: tuple[str, str] = MAIN, draws: int = 2000):
    """For each corpus and direction that both models ran: their scores, the difference with its 95 % interval, who is ahead.

    The interval is `metrics.bootstrap_combination`'s, over queries and seeds; a model is ahead when it leaves out zero.
    """
    import pandas as pd

    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        by_model = {m: np.stack(r["values"].tolist()) for m, r in rows.groupby("model") if m in models}  # (seeds, queries)
        if len(by_model) < 2:
            continue
        a, b = by_model[models[0]], by_model[models[1]]
        low, high = metrics.bootstrap_combination([a, b], [1.0, -1.0], draws=draws)
        ahead = models[0] if low > 0 else models[1] if high < 0 else "undecided"
        lines.append(
            {
                "corpus": corpus,
                "from → to": direction,
                "metric": rows["metric"].iloc[0],
                models[0]: a.mean(),
                models[1]: b.mean(),
                "difference": f"{a.mean() - b.mean():+.3f} ({low:+.3f} to {high:+.3f})",
                "ahead": ahead,
            }
        )
    return pd.DataFrame(lines)


def titles(folder, test: Corpus) -> dict[str, dict[str, str]]:
    """The title of each article, by language."""
    frame = prepare.read_tuples(folder)
    return {v: dict(zip(frame["article_id"].astype(str), frame[f"{v}_title"], strict=True)) for v in test.text_views}


def example_queries(run: Run, test: Corpus, folder, n: int, source: str, target: str, seed: int = 0):
    """For ``n`` queries drawn at random: title, words of the top topic, partner, what came first, reciprocal rank."""
    import pandas as pd

    from .model import top_topics

    hit = metrics.retrieval(run.theta[source], run.theta[target], metrics.relevance(test.article_of_items(source), test.article_of_items(target)))
    names, rows = titles(folder, test), []
    for i in np.random.default_rng(seed).choice(len(hit["query"]), size=min(n, len(hit["query"])), replace=False):
        item = hit["query"][i]
        topic = top_topics(run.theta[source][item][None], 1)[0, 0]
        article = test.views[source].item_ids[item]
        rows.append(
            {
                "query": names[source][article],
                **{f"its top topic ({v})": ", ".join(words[topic][:5]) for v, words in run.topics.items()},
                "partner": names[target][article],
                "came first": names[target][test.views[target].item_ids[hit["first"][i]]],
                "reciprocal rank": hit["reciprocal_rank"][i],
            }
        )
    return pd.DataFrame(rows)


def example_pictures(run: Run, test: Corpus, n: int, source: str, seed: int = 0, found: int = 3) -> list[dict]:
    """For ``n`` articles drawn at random: ``article``, one of its ``own`` pictures, the ``first`` retrieved by topics, ``topic`` of the first."""
    from .model import top_topics

    pictures, owners = test.views["image"].item_ids, test.article_of_items("image")
    examples = []
    for item in np.random.default_rng(seed).choice(len(test.views[source]), size=min(n, len(test.views[source])), replace=False):
        article = test.views[source].item_ids[item]
        distance = next(metrics.jensen_shannon_matrix(run.theta[source][item][None], run.theta["image"]))[1][0]
        nearest = np.argsort(distance, kind="stable")[:found]
        own = next((pictures[i] for i, articles in enumerate(owners) if article in articles), None)
        examples.append(
            {"article": article, "own": own, "first": [pictures[i] for i in nearest], "topic": int(top_topics(run.theta["image"][nearest[0]][None], 1)[0, 0])}
        )
    return examples


def roles(test: Corpus) -> dict[str, str]:
    """The part each view plays in the paper's terms: the first language is its ``en``, the second its ``de``."""
    return dict(zip(test.text_views, ("en", "de"), strict=False)) | {v: v for v in test.views if v == "image"}


def widest(tests: Mapping[tuple, Corpus]) -> dict[str, Corpus]:
    """The test corpus with most views, by name; ``tests`` is `test_corpora`'s."""
    return {corpus: test for (corpus, _), test in sorted(tests.items(), key=lambda entry: len(entry[1].views))}


def roles_by_corpus(tests: Mapping[tuple, Corpus]) -> dict[str, dict[str, str]]:
    """`roles` of each corpus, from the test corpus with most views."""
    return {corpus: roles(test) for corpus, test in widest(tests).items()}


def same_top_topic(run: Run, test: Corpus, a: str, b: str) -> np.ndarray:
    """For each aligned pair of items of two views whether their most probable topics are the same: bool (P,)."""
    first, second = aligned_pairs(test, a, b)
    return run.theta[a].argmax(axis=1)[first] == run.theta[b].argmax(axis=1)[second]


def measurements(runs: Sequence[Run], tests: Mapping[tuple, Corpus], table, raw) -> dict[tuple[str, str, str, str, str], np.ndarray]:
    """Everything that claims are about: (corpus, setting, measure, pair in the paper's terms, model) -> (seeds, units).

    ``table`` is `scores`' and ``raw`` `raw_scores`'; raw embeddings and chance are models of one seed.
    """
    by_name, part, found = {run.folder.name: run for run in runs}, roles_by_corpus(tests), {}
    for setting in ("multilingual", "multimodal"):
        chosen = as_in_the_paper(table, setting)
        for (corpus, query, item), rows in chosen.groupby(["corpus", "query", "item"], sort=False):
            role = part[corpus]
            pair = f"{role.get(query)}-{role.get(item)}"
            # no multimodal setting without pictures, no pictures in the multilingual one
            foreign = "image" not in role if setting == "multimodal" else "image" in pair
            if foreign or pair not in ("en-de", "en-image", "de-image"):
                continue
            metric = rows["metric"].iloc[0]
            for model, seeds in rows.groupby("model", sort=False):
                found[corpus, setting, metric, pair, model] = np.stack(seeds["values"].tolist())
                found[corpus, setting, "JSD", pair, model] = np.stack(seeds["divergences"].tolist())
                same = [same_top_topic(by_name[n], tests[corpus_of(by_name[n])], query, item) for n in seeds["run"]]
                found[corpus, setting, "same top topic", pair, model] = np.stack(same).astype(float)
            reference = raw[(raw["corpus"] == corpus) & (raw["query"] == query) & (raw["item"] == item)]
            for _, row in reference.iterrows():
                found[corpus, setting, metric, pair, "raw embeddings"] = row["values"][None]
                found[corpus, setting, metric, pair, "chance"] = np.full((1, len(row["values"])), row["chance"])
    for (corpus, setting, language, model), values in _coherences(runs).items():
        if language in part[corpus]:
            found[corpus, setting, "NPMI", part[corpus][language], model] = values
    return found


def _coherences(runs: Sequence[Run]) -> dict[tuple[str, str, str, str], np.ndarray]:
    """(corpus, setting, language, model) -> NPMI of the topics (seeds, K); of a student, its own language's. As in Tables 1 and 2."""
    found = {}
    for run in runs:
        joint = "multimodal" if "image" in run.params["train_views"] else "multilingual"
        for language, values in run.metrics["npmi_of_topics"].items():
            for setting in ("multilingual", "multimodal") if home_of(run) else (joint,):
                found.setdefault((run.params["corpus"], setting, language, run.params["model"]), []).append(values)
    return {key: np.array(values) for key, values in found.items()}


def spread(values: np.ndarray, digits: int = 3) -> str:
    """Mean ± standard deviation of one value a seed, as tables show them; "–" of nothing."""
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    return f"{values.mean():.{digits}f}" + (f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else "")


def score_cell(values: np.ndarray, paper: float | None = None, draws: int = 0) -> str:
    """A cell of the paper's tables, from each seed's value of each unit (S, N): `spread` over seeds, with ``draws`` the 95 % bootstrap interval
    over units, and the paper's number if there is one; HTML."""
    lines = ["<b>{}</b>{}{}".format(*spread(values.mean(axis=1)).partition(" ± "))]
    if draws:
        lines.append("{:.3f} – {:.3f}".format(*metrics.bootstrap(values.mean(axis=0), draws=draws)))
    return "<br>".join(lines + ([f"<i>paper {paper:.3f}</i>"] if paper is not None else []))


def paper_table(table, raw, runs: Sequence[Run], corpus: str, languages: Sequence[str], setting: str, numbers: Sequence[Mapping], draws: int = 2000):
    """Table 1 (``multilingual``) or Table 2 (``multimodal``) on a corpus, each cell with the paper's number where it prints one; a styled frame.

    ``languages`` are the corpus's two, first and second; ``numbers`` are `claims.read_numbers`'.
    """
    import pandas as pd

    a, b = languages
    chosen = as_in_the_paper(table[table["corpus"] == corpus], setting)
    coherence, teachers = _coherences(runs), {run.folder.name: run for run in runs}
    pairs = [(a, b)] if setting == "multilingual" else [(a, "image"), (b, "image")]
    models = [m for m in PAPER_MODELS if ((chosen["model"] == m) & (chosen["query"] == pairs[0][0]) & (chosen["item"] == pairs[0][1])).any()]

    def printed(model, measure, pair):
        return next(
            (n["value"] for n in numbers if (n["model"], n["setting"], n["measure"], n["pair"]) == (model, setting, measure, pair) and n["table"] in "12"), None
        )

    def of(model, query, item):
        return chosen[(chosen["model"] == model) & (chosen["query"] == query) & (chosen["item"] == item)]

    role, lines = {a: "en", b: "de", "image": "image"}, {}
    for model in models:
        line = {}
        for language in (a, b):
            key = corpus, setting, language, model
            line[f"NPMI {language}"] = score_cell(coherence[key], printed(model, "NPMI", role[language])) if key in coherence else "–"
        for query, item in pairs:
            rows, pair = of(model, query, item), f"{role[query]}-{role[item]}"
            if not len(rows):
                continue
            metric = rows["metric"].iloc[0]
            line[f"{metric} {query} → {item}"] = score_cell(np.stack(rows["values"].tolist()), printed(model, metric, pair), draws)
            line[f"JSD {query} – {item}"] = score_cell(np.stack(rows["divergences"].tolist()), printed(model, "JSD", pair), draws)
        for query, item in [(item, query) for query, item in pairs]:
            rows = of(model, query, item)
            if len(rows):
                line[f"{rows['metric'].iloc[0]} {query} → {item}"] = score_cell(np.stack(rows["values"].tolist()), None, draws)
        trained = [teachers[n] for n in of(model, *pairs[0])["run"]]
        seconds = [r.metrics["seconds"] + (teachers[r.params["teacher"]].metrics["seconds"] if r.params.get("teacher") in teachers else 0) for r in trained]
        line["seconds"] = f"{np.mean(seconds):,.0f}"
        lines[model] = line
    for name, column in (("raw embeddings", "score"), ("chance", "chance")):
        rows = raw[raw["corpus"] == corpus]
        lines[name] = {f"{r['metric']} {r['query']} → {r['item']}": f"{r[column]:.3f}" for _, r in rows.iterrows()}
    columns = max((list(line) for line in lines.values()), key=len)  # those of a model that answers every direction
    frame = pd.DataFrame(lines).T.reindex(columns=columns).fillna("–")
    return frame.style.set_table_attributes('class="paper-table"')


MARKS = {"yes": "✔", "no": "✘", "undecided": "?"}


def claim_lines(verdict, names: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What was measured for a claim, a line per corpus and pair: each model's mean, and after it whether the comparison is right.

    ``names`` maps each corpus to its views' `roles`.
    """
    lines = []
    for corpus, pair in dict.fromkeys((case.corpus, case.pair) for case in verdict.cases):
        cases = [case for case in verdict.cases if (case.corpus, case.pair) == (corpus, pair)]
        marks = {[m for m in case.weights if m != "1"][-1]: MARKS[case.right] for case in cases}
        models = [m for m in dict.fromkeys([*verdict.claim.subject, *verdict.claim.others]) if (corpus, pair, m) in verdict.means]
        values = [f"{short(m)} {verdict.means[corpus, pair, m]:.3f}" + (f"\u00a0{marks[m]}" if m in marks else "") for m in models]
        lines.append(f"<b>{corpus} {spoken(pair, names[corpus])}</b> {' · '.join(values)}")
    return lines


def spoken(pair: str, role: Mapping[str, str]) -> str:
    """A pair in the paper's terms, said with a corpus's own view names: ``en-de`` -> ``en → fr``."""
    name = {r: view for view, r in role.items()}
    return " → ".join(name[part] for part in pair.split("-"))


def paper_lines(verdict) -> list[str]:
    """The paper's printed numbers for a claim, a line a pair."""
    pairs = dict.fromkeys(pair for pair, _ in verdict.paper_means)
    return [
        f"<b>{pair.replace('-', ' → ')}</b> " + " · ".join(f"{short(m)} {v:.3f}" for (p, m), v in verdict.paper_means.items() if p == pair) for pair in pairs
    ]


def short(model: str) -> str:
    """A model's name as a crowded cell has it."""
    return (
        model.replace("ZeroshotTM-KD", "KD")
        .replace("ZeroshotTM", "Zeroshot")
        .replace("M3L-Contrast, ", "")
        .replace("M3L-Contrast", "M3L")
        .replace("raw embeddings", "raw")
        .replace("multilingual texts, ", "")
    )


def summary(verdicts: Sequence, names: Mapping[str, Mapping[str, str]]) -> str:
    """The verdicts in a few sentences of HTML: how many of each, overall and on each corpus, and which do not hold."""
    decided = [v for v in verdicts if v.verdict != "not measured"]

    def count(outcomes):
        said = (("holds", "hold"), ("does not hold", "do not hold"), ("undecided", "undecided"))
        return ", ".join(f"<b>{outcomes.count(word)}</b> {plural}" for word, plural in said if word in outcomes)

    text = f"Of {len(decided)} claims that were put to the test here: {count([v.verdict for v in decided])}. "
    for corpus in names:
        outcomes = []
        for v in decided:
            right = [case.right for case in v.cases if case.corpus == corpus]
            if right:
                outcomes.append("does not hold" if "no" in right else "undecided" if "undecided" in right else "holds")
        text += f"On <code>{corpus}</code> alone, of {len(outcomes)}: {count(outcomes)}. " if outcomes else ""
    return text + f"Another {len(verdicts) - len(decided)} wait for runs that this build does not have." if len(decided) < len(verdicts) else text


def short_table(verdicts: Sequence):
    """Claim and verdict, for the front page."""
    import pandas as pd

    rows = [{"claim": v.claim.claim, "verdict": _chip(v.verdict)} for v in verdicts]
    return pd.DataFrame(rows).style.hide(axis="index").set_table_attributes('class="verdict-table"')


def _chip(verdict: str) -> str:
    return f'<span class="verdict {verdict.replace(" ", "-")}">{verdict}</span>'


def verdict_table(verdicts: Sequence, names: Mapping[str, Mapping[str, str]]):
    """Claim · paper · measured · rule · verdict, as a styled frame of HTML cells."""
    import pandas as pd

    rows = []
    for v in verdicts:
        own = {"yes": "", "no": "<br><b>its own numbers say otherwise</b>", "no number": ""}[v.paper_agrees]
        rows.append(
            {
                "claim": f"{v.claim.claim} <small>(§ {v.claim.section})</small>",
                "paper": "<br>".join(paper_lines(v)) + own or "in words only",
                "measured": "<br>".join(claim_lines(v, names)) or f"not in this book: {v.claim.chapter}",
                "rule": v.claim.rule,
                "verdict": _chip(v.verdict),
            }
        )
    return pd.DataFrame(rows).style.hide(axis="index").set_table_attributes('class="verdict-table"')


def case_table(verdicts: Sequence, names: Mapping[str, Mapping[str, str]]):
    """Every comparison behind the verdicts: the combination, its value with 95 % interval, and how it was decided."""
    import pandas as pd

    rows = []
    for v in verdicts:
        for case in v.cases:
            parts = [f"{w:+g}" if m == "1" else f"{'+' if w > 0 else '−'} {'' if abs(w) == 1 else f'{abs(w):g} · '}{m}" for m, w in case.weights.items()]
            where = f"{case.corpus}, {v.claim.measure} {spoken(case.pair, names[case.corpus])}"
            rows.append(
                {
                    "claim": v.claim.id,
                    "where": where,
                    "above zero if right": " ".join(parts).removeprefix("+ "),
                    "value": f"{case.value:+.3f}",
                    "95 % interval": f"{case.low:+.3f} to {case.high:+.3f}",
                    "right": case.right,
                }
            )
    return pd.DataFrame(rows).style.hide(axis="index")
