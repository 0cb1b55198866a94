"""Tables of retrieval: the paper's Tables 1 and 2, and what stands beside them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..claims.judging import SEEDS
from ..data.schema import PICTURES
from ..measured import Key, combine, fewest_seeds
from ..record_check import Cell
from ..recorded import Recorded
from ..records.results import CHANCE, RAW, as_in_the_paper
from ..records.run import Run
from ..records.selection import MAIN, PAPER_MODELS, languages_of
from ..variants import Contender
from .shared import own_direction, quality_line, score_cell, score_table, styled, topic_table

__all__ = ["quality_line", "score_table", "topic_table"]

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandas.io.formats.style import Styler


def settings_lines(runs: Sequence[Run]) -> list[str]:
    """What the main models were trained with, a line of Markdown each."""
    lines = set()
    for run in runs:
        params = run.params
        if "epochs" in params:
            how = (
                f"{params['epochs']} epochs, batches of {params['batch_size']}, objective "
                f"`{params['objective']}`"
            )
        else:
            how = f"{params['sweeps']} sweeps, α = {params['alpha']}, β = {params['beta']}"
        what = f"- **{params['model']}** on **{params['corpus']}**"
        lines.add(f"{what}: {params['topics']} topics, {how}")
    return sorted(lines)


def other_homes(table: "DataFrame") -> "DataFrame":
    """Show directions answered by a ZeroshotTM, or teacher, that `as_in_the_paper` does not take.

    Its score stands beside the chosen one's. ``table`` holds the main runs' rows.
    """
    import pandas as pd

    main, lines = as_in_the_paper(table), []
    left_out = table[(table["home"] != "") & ~table.index.isin(main.index)]
    groups = left_out.groupby(["corpus", "model", "direction", "home"], sort=False)
    for (corpus, model, direction, home), rows in groups:
        same = (main["corpus"] == corpus) & (main["direction"] == direction)
        used = main[same & (main["model"] == model)]
        lines.append(
            {
                "corpus": corpus,
                "from → to": direction,
                "model": f"{model}, {home}",
                "metric": rows["metric"].iloc[0],
                "score": rows["score"].mean(),
                "in the tables": used["score"].mean(),
            }
        )
    return pd.DataFrame(lines)


def variants(table: "DataFrame") -> "DataFrame":
    """Scores of runs with another choice in one place, after those of the model they vary."""
    import pandas as pd

    lines = []
    for (corpus, direction), rows in table.groupby(["corpus", "direction"], sort=False):
        varied = rows[rows["variant"] != ""]
        for model in dict.fromkeys(varied["model"]):
            main = as_in_the_paper(rows[(rows["model"] == model) & (rows["variant"] == "")])
            others = varied[varied["model"] == model].groupby("name", sort=False)
            for name, part in [(model, main), *others]:
                if len(part):
                    lines.append(
                        {
                            "corpus": corpus,
                            "from → to": direction,
                            "model": name,
                            "metric": part["metric"].iloc[0],
                            "seeds": part["seed"].nunique(),
                            "score": part["score"].mean(),
                            "±": part["score"].std(),
                            "JSD": part["jsd"].mean(),
                        }
                    )
    return pd.DataFrame(lines)


def comparisons(found: Recorded, models: tuple[str, str] = MAIN) -> "DataFrame":
    """Say who is ahead of two models, for each corpus and direction that both were measured in.

    Their scores and the difference with its 95 % interval, over articles and seeds; a model is
    ahead when it leaves out zero and both were trained often enough to tell.
    """
    import pandas as pd

    first, second = map(Contender, models)
    lines = []
    for (corpus, setting, metric, pair, who), own in found.measured.items():
        other = found.measured.get((corpus, setting, metric, pair, second))
        pictured = "image" in pair
        retrieval = metric in ("MRR", "UAP") and pictured == (setting == "multimodal")
        if who != first or other is None or not retrieval:
            continue
        difference = combine({first: own, second: other}, {first: 1.0, second: -1.0}, 0.0)
        low, high = difference.interval()
        ahead = models[0] if low > 0 else models[1] if high < 0 else "undecided"
        enough = fewest_seeds([own, other]) >= SEEDS
        lines.append(
            {
                "corpus": corpus,
                "from → to": own_direction(pair, found.roles[corpus]),
                "metric": metric,
                models[0]: own.values.mean(),
                models[1]: other.values.mean(),
                "difference": f"{difference.value:+.3f} ({low:+.3f} to {high:+.3f})",
                "ahead": ahead if enough else f"fewer than {SEEDS} seeds",
            }
        )
    return pd.DataFrame(lines)


def paper_table(
    found: Recorded,
    corpus: str,
    setting: str,
    numbers: Sequence[Mapping],
    raw: "DataFrame",
    cells: Mapping[Key, Cell] | None = None,
) -> "Styler":
    """Table 1 (``multilingual``) or Table 2 (``multimodal``) on one corpus, a column per model.

    Parameters
    ----------
    found : Recorded
        The results that are shown, mean ± standard deviation over seeds with 95 % intervals.
    corpus : str
        One that has two languages.
    setting : str
    numbers : rows
        Of `m3l_book.claims.read_numbers`: the paper's, which stand in the cells too.
    raw : pandas.DataFrame
        Of `m3l_book.records.results.raw_scores`, on the same corpora: what raw embeddings and
        chance score in the directions that are not measured for claims.
    cells : optional
        Of `m3l_book.live.held_against`: what this build's runs have, and whether it fits.
    """
    import pandas as pd

    role = found.roles[corpus]
    languages = languages_of(role)
    pictured = [(language, PICTURES) for language in languages]
    pairs = [tuple(languages)] if setting == "multilingual" else pictured
    printed = {
        (row["model"], row["measure"], row["pair"]): row["value"]
        for row in numbers
        if row["table"] in ("1", "2") and row["setting"] == setting
    }
    lines: dict[str, dict[str, str]] = {}
    for model in PAPER_MODELS:
        line = {}
        wanted = [("NPMI", role[language], f"NPMI {language}") for language in languages]
        for query, item in pairs:
            pair = f"{role[query]}-{role[item]}"
            metric = "MRR" if setting == "multilingual" else "UAP"
            wanted.append((metric, pair, f"{metric} {query} → {item}"))
            wanted.append(("JSD", pair, f"JSD {query} – {item}"))
        for measure, pair, head in wanted:
            key = corpus, setting, measure, pair, Contender(model)
            if key in found.measured:
                own, paper = found.measured[key], printed.get((model, measure, pair))
                line[head] = score_cell(own.values, paper, own.units, (cells or {}).get(key))
        if any(head.startswith(("MRR", "UAP")) for head in line):
            lines[model] = line | _other_way_and_seconds(found, corpus, setting, model, pairs)
    for who, column in ((RAW, "score"), (CHANCE, "chance")):
        line = {
            f"{row['metric']} {row['query']} → {row['item']}": f"{row[column]:.3f}"
            for _, row in raw[raw["corpus"] == corpus].iterrows()
        }
        for query, item in pairs:
            metric = "MRR" if setting == "multilingual" else "UAP"
            key = corpus, setting, metric, f"{role[query]}-{role[item]}", who
            if key in found.measured:
                score = found.measured[key].values.mean()
                line[f"{metric} {query} → {item}"] = f"{score:.3f}"
        if line:
            lines[who.model.replace(" ", "<br>")] = line
    # the measures of a model that answers every direction
    columns = max((list(line) for line in lines.values()), key=len)
    frame = pd.DataFrame(lines).reindex(index=columns).fillna("–")
    shown = styled(frame, markup=True, index=True)
    return shown.set_table_attributes('class="paper-table"')


def _other_way_and_seconds(
    found: Recorded, corpus: str, setting: str, model: str, pairs: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """Return the scores of the directions that the paper leaves out, and the seconds of training
    one model, a student's with its teacher's.
    """
    rows = found.scores
    main = rows[(rows["corpus"] == corpus) & (rows["part"] == "test") & (rows["variant"] == "")]
    chosen = as_in_the_paper(main, setting)
    line = {}
    for item, query in pairs:
        fits = (chosen["model"] == model) & (chosen["direction"] == f"{query} → {item}")
        if fits.any():
            part = chosen[fits]
            head = f"{part['metric'].iloc[0]} {query} → {item}"
            line[head] = score_cell(part["score"].to_numpy()[:, None])
    own = chosen[(chosen["model"] == model) & (chosen["direction"] == " → ".join(pairs[0]))]
    seconds = own["seconds"].astype(float).to_numpy()
    if model == "ZeroshotTM-KD":
        teachers = main[main["model"] == "ZeroshotTM"].drop_duplicates("run")
        taught = teachers.set_index(["views", "seed"])["seconds"]
        seconds = seconds + [taught.get((r.home, r.seed), 0.0) for r in own.itertuples()]
    return line | {"seconds": f"{seconds.mean():,.0f}"}
