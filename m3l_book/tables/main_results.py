"""Tables of retrieval: the paper's Tables 1 and 2, and what stands beside them."""

from collections.abc import Mapping, Sequence

import numpy as np

from m3l.metrics.uncertainty import bootstrap_combination

from ..records.results import as_in_the_paper, coherences
from ..records.run import Run
from ..records.selection import MAIN, PAPER_MODELS
from .cells import score_cell


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
    parts = [
        ("NPMI", "npmi", 3),
        ("diversity", "diversity", 2),
        ("mean correlation of the known topics with topics matched one to one", "recovery", 2),
    ]
    said = [
        f"{what} {', '.join(f'{v} {x:.{digits}f}' for v, x in measured[key].items())}"
        for what, key, digits in parts
        if measured[key]
    ]
    return (
        "; ".join(said) + "."
        if said
        else "A student without words has no topics of its own: it uses its teacher's."
    )


def other_homes(table):
    """Directions answered by the ZeroshotTM, or teacher, of another language than `as_in_the_paper`
    takes: its score beside the chosen one's.
    """
    import pandas as pd

    table = table[table["model"].isin(PAPER_MODELS)]
    main, lines = as_in_the_paper(table), []
    left_out = table[(table["home"] != "") & ~table.index.isin(main.index)]
    for (corpus, model, direction, home), rows in left_out.groupby(
        ["corpus", "model", "direction", "home"], sort=False
    ):
        used = main[
            (main["corpus"] == corpus) & (main["model"] == model) & (main["direction"] == direction)
        ]
        about = {
            "corpus": corpus,
            "from → to": direction,
            "model": f"{model}, {home}",
            "metric": rows["metric"].iloc[0],
        }
        lines.append(
            {**about, "score": rows["score"].mean(), "in the tables": used["score"].mean()}
        )
    return pd.DataFrame(lines)


def variants(table):
    """Scores of runs with another choice in one place, after those of the model they vary; a data
    frame.
    """
    import pandas as pd

    base = table["model"].str.partition(",")[0]
    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        varied = rows[~rows["model"].isin(PAPER_MODELS)]
        for name in dict.fromkeys(base[varied.index]):
            main = as_in_the_paper(rows[rows["model"] == name])
            for model, part in [
                (name, main),
                *varied[base[varied.index] == name].groupby("model", sort=False),
            ]:
                if len(part):
                    about = {
                        "corpus": corpus,
                        "from → to": direction,
                        "model": model,
                        "metric": part["metric"].iloc[0],
                    }
                    lines.append(
                        {
                            **about,
                            "seeds": part["seed"].nunique(),
                            "score": part["score"].mean(),
                            "±": part["score"].std(),
                            "JSD": part["jsd"].mean(),
                        }
                    )
    return pd.DataFrame(lines)


def comparisons(table, models: tuple[str, str] = MAIN, draws: int = 2000):
    """For each corpus and direction that both models ran: their scores, the difference with its 95
    % interval, who is ahead.

    The interval is `metrics.bootstrap_combination`'s, over queries and seeds; a model is ahead when
    it leaves out zero.
    """
    import pandas as pd

    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        by_model = {
            m: np.stack(r["values"].tolist()) for m, r in rows.groupby("model") if m in models
        }  # (seeds, queries)
        if len(by_model) < 2:
            continue
        a, b = by_model[models[0]], by_model[models[1]]
        low, high = bootstrap_combination([a, b], [1.0, -1.0], draws=draws)
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


def paper_table(
    table,
    raw,
    runs: Sequence[Run],
    corpus: str,
    languages: Sequence[str],
    setting: str,
    numbers: Sequence[Mapping],
    draws: int = 2000,
):
    """Table 1 (``multilingual``) or Table 2 (``multimodal``) on a corpus, each cell with the
    paper's number where it prints one; a styled frame.

    ``languages`` are the corpus's two, first and second; ``numbers`` are `claims.read_numbers`'.
    """
    import pandas as pd

    a, b = languages
    chosen = as_in_the_paper(table[table["corpus"] == corpus], setting)
    coherence, teachers = coherences(runs), {run.folder.name: run for run in runs}
    pairs = [(a, b)] if setting == "multilingual" else [(a, "image"), (b, "image")]
    models = [
        m
        for m in PAPER_MODELS
        if (
            (chosen["model"] == m)
            & (chosen["query"] == pairs[0][0])
            & (chosen["item"] == pairs[0][1])
        ).any()
    ]

    def printed(model, measure, pair):
        return next(
            (
                n["value"]
                for n in numbers
                if (n["model"], n["setting"], n["measure"], n["pair"])
                == (model, setting, measure, pair)
                and n["table"] in "12"
            ),
            None,
        )

    def of(model, query, item):
        return chosen[
            (chosen["model"] == model) & (chosen["query"] == query) & (chosen["item"] == item)
        ]

    role, lines = {a: "en", b: "de", "image": "image"}, {}
    for model in models:
        line = {}
        for language in (a, b):
            key = corpus, setting, language, model
            line[f"NPMI {language}"] = (
                score_cell(coherence[key], printed(model, "NPMI", role[language]))
                if key in coherence
                else "–"
            )
        for query, item in pairs:
            rows, pair = of(model, query, item), f"{role[query]}-{role[item]}"
            if not len(rows):
                continue
            metric = rows["metric"].iloc[0]
            line[f"{metric} {query} → {item}"] = score_cell(
                np.stack(rows["values"].tolist()), printed(model, metric, pair), draws
            )
            line[f"JSD {query} – {item}"] = score_cell(
                np.stack(rows["divergences"].tolist()), printed(model, "JSD", pair), draws
            )
        for query, item in [(item, query) for query, item in pairs]:
            rows = of(model, query, item)
            if len(rows):
                line[f"{rows['metric'].iloc[0]} {query} → {item}"] = score_cell(
                    np.stack(rows["values"].tolist()), None, draws
                )
        trained = [teachers[n] for n in of(model, *pairs[0])["run"]]
        seconds = [
            r.metrics["seconds"]
            + (
                teachers[r.params["teacher"]].metrics["seconds"]
                if r.params.get("teacher") in teachers
                else 0
            )
            for r in trained
        ]
        line["seconds"] = f"{np.mean(seconds):,.0f}"
        lines[model] = line
    for name, column in (("raw embeddings", "score"), ("chance", "chance")):
        rows = raw[raw["corpus"] == corpus]
        lines[name] = {
            f"{r['metric']} {r['query']} → {r['item']}": f"{r[column]:.3f}"
            for _, r in rows.iterrows()
        }
    columns = max(
        (list(line) for line in lines.values()), key=len
    )  # those of a model that answers every direction
    frame = pd.DataFrame(lines).T.reindex(columns=columns).fillna("–")
    return frame.style.set_table_attributes('class="paper-table"')
