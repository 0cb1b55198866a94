"""The profile of a user's own corpus: its runs, and settings that fit its size."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from m3l.errors import DataError, ParameterError, choose, require

from ..data.schema import PICTURES
from ..encoders.registry import check_name
from ..encoders.spaces import LANGUAGES, knows, space_of
from ..values import NotYAML, read_yaml
from .inspecting import Facts

MODELS = ("M3L-Contrast", "ZeroshotTM", "ZeroshotTM-KD", "PLTM")
QUICK = ("M3L-Contrast", "PLTM")
"""The models that a user's first book has: those whose topics have words in every language."""

PAPER = {"topics": 100, "epochs": 100, "batch_size": 32}
LEAST_UPDATES = 3000
"""A small corpus is trained for more epochs, so that a model makes about this many updates."""

MOST_EPOCHS = 400
TUPLES_A_TOPIC = 25
"""Of a small corpus there are fewer topics: one for so many articles."""


@dataclass(frozen=True)
class Wishes:
    """What the user said; what is empty or 0 is chosen from her table.

    ``name`` is of the corpus and its profile; ``full`` whether all models are trained, with several
    seeds and on fewer articles, too; ``continued`` whether M3L-Contrast also goes on from the
    weights of the runs that were kept under ``<name>-before``. ``encoders`` maps views to names,
    ``topics`` are numbers to try, ``sizes`` numbers of training articles for the learning curve,
    ``over`` a column that topics are drawn over, ``source`` and ``prepare`` further options of the
    table and of its preparation.
    """

    name: str
    full: bool = False
    continued: bool = False
    encoders: Mapping[str, str] = field(default_factory=dict)
    models: Sequence[str] = ()
    topics: Sequence[int] = ()
    epochs: int = 0
    batch_size: int = 0
    seeds: int = 0
    sweeps: int = 1000
    vocabulary: int = 0
    min_words: int = 0
    sizes: Sequence[int] | None = None
    over: str = ""
    source: Mapping[str, object] = field(default_factory=dict)
    prepare: Mapping[str, object] = field(default_factory=dict)


def read_profile(path: Path) -> dict:
    """Read a profile; `DataError` if it is no YAML."""
    try:
        return read_yaml(path.read_text(encoding="utf-8")) or {}
    except (NotYAML, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not YAML: {error}") from None


def choose_encoders(facts: Facts, wished: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Choose the encoder of each view, and say what there is to say of the choice.

    One that knows all languages, so that views are aligned: ``use-multilingual``, which pictures
    can be mapped to, else ``e5-multilingual``; a language that neither knows gets an encoder
    trained on its own texts.
    """
    said, chosen, every = [], {}, facts.languages
    shared = [e for e in ("use-multilingual", "e5-multilingual") if all(knows(e, v) for v in every)]
    for language in every:
        known = shared or [name for name in LANGUAGES if knows(name, language)]
        chosen[language] = known[0] if known else f"corpus-lsi-{language}"
        if not known:
            said.append(
                f"{language}: no encoder here knows it; one is trained on its own texts, and"
                " shares no space with the others"
            )
    if facts.pictures:
        aligned = set(chosen.values()) == {"use-multilingual"}
        chosen[PICTURES] = "pocket-clip" if aligned else "efficientnet-lite0"
    for view, encoder in wished.items():
        choose("view of an encoder", view, chosen)
        check_name(encoder)
        chosen[view] = encoder
    return chosen, said


def settings_for(facts: Facts, wishes: Wishes) -> tuple[list[int], dict[str, int], list[str]]:
    """Choose numbers of topics, and epochs and batch size, that fit the corpus; say where they are
    not the paper's.
    """
    train = _training_articles(facts)
    topics = min(PAPER["topics"], max(5, facts.articles // TUPLES_A_TOPIC))
    batch = wishes.batch_size or min(PAPER["batch_size"], max(2, train // 4))
    batches = train // min(batch, train)
    epochs = wishes.epochs or min(MOST_EPOCHS, max(PAPER["epochs"], LEAST_UPDATES // batches))
    fit = {"epochs": epochs, "batch_size": batch}
    words = {
        "topics": f"{topics} topics, one for {TUPLES_A_TOPIC} articles (the paper has 100)",
        "batch_size": f"batches of {batch}, four an epoch (the paper has 32)",
        "epochs": f"{epochs} epochs, which are {epochs * batches:,} updates (the paper's"
        " M3L-Contrast has 100, of 62,500)",
    }
    chosen = {"topics": topics, **fit}
    said = [words[w] for w in words if not getattr(wishes, w) and chosen[w] != PAPER[w]]
    return list(wishes.topics) or [topics], fit, said


def mark_of(topics: int, wishes: Wishes) -> str:
    """Write the settings that a run was asked to have, as its name ends: ``k20-e50``."""
    parts = [f"k{topics}"]
    parts += [
        f"{sign}{value}"
        for sign, value in (("e", wishes.epochs), ("b", wishes.batch_size))
        if value
    ]
    parts += [
        f"{view}-{re.sub(r'[^A-Za-z0-9]+', '-', name)}" for view, name in wishes.encoders.items()
    ]
    return "-".join(parts)


def runs_for(
    facts: Facts, wishes: Wishes, encoders: Mapping[str, str], topics: int, fit: Mapping[str, int]
) -> list[dict]:
    """List the runs of a number of topics: the joint models that the views allow, and if all is
    asked for each model of the paper.
    """
    models = wishes.models or (MODELS if wishes.full else QUICK)
    require("M3L-Contrast" in models, "models: M3L-Contrast is needed for the pages")
    languages, runs, mark = facts.languages, [], mark_of(topics, wishes)
    texts = {language: encoders[language] for language in languages}
    seeds = list(range(wishes.seeds or (3 if wishes.full else 1)))

    def add(suffix: str, model: str, views: Mapping, trained: Sequence[str], **own) -> None:
        about = {"name": f"{wishes.name}-{suffix}-{mark}", "model": model, "corpus": wishes.name}
        about |= {"encoders": dict(views), "train_views": list(trained)}
        runs.append({**about, **own, "topics": topics, **fit, "seeds": seeds})

    # what did best on validation data: page `recommended`
    one_encoder = len(languages) > 1 and len(set(texts.values())) == 1
    network = {"layers": 1, **({"share_text_network": True} if one_encoder else {})}
    m3l = {"objective": "recommended", "network": network}
    add("m3l", "M3L-Contrast", encoders, encoders, **m3l)
    if wishes.continued:
        start = f"runs/{wishes.name}-before/{wishes.name}-m3l-{mark}"
        on = {"protocol": {"start": start}, "variant": {"begun": "as trained before"}}
        add("continued", "M3L-Contrast", encoders, encoders, **m3l, **on)
    if wishes.full and facts.pictures and len(texts) > 1:
        add("m3l-texts", "M3L-Contrast", texts, texts, **m3l)
    zeroshot = {"objective": "zeroshot"}
    if {"ZeroshotTM", "ZeroshotTM-KD"} & set(models):
        for language in languages[:2]:
            space = space_of(encoders[language])  # its network reads no other
            near = {v: name for v, name in encoders.items() if space_of(name) == space}
            add(f"zeroshot-{language}", "ZeroshotTM", near, [language], **zeroshot)
    if "ZeroshotTM-KD" in models:
        for home in languages[:2]:
            taught = f"{wishes.name}-zeroshot-{home}-{mark}"
            for view in [v for v in encoders if v in (*languages[:2], PICTURES) and v != home]:
                own = {v: name for v, name in encoders.items() if v in (home, view)}
                add(f"kd-{home}-{view}", "ZeroshotTM-KD", own, [view], teacher=taught, **zeroshot)
    if "PLTM" in models and len(texts) > 1:
        add("pltm", "PLTM", texts, texts, chapter="05-pltm", sweeps=wishes.sweeps)
        for option in ("epochs", "batch_size"):
            runs[-1].pop(option)
    return runs


def sizes_for(facts: Facts, wishes: Wishes) -> list[int]:
    """Choose numbers of training articles: those that the user asked for, `ParameterError` if one
    is not below all; or, if all is asked for, 100, 400, 1,600 …, of a small corpus half.
    """
    train = _training_articles(facts)
    if wishes.sizes is not None:
        for size in wishes.sizes:
            require(1 < size < train, f"--sizes {size}: expected 2 to {train - 1:,}, or none")
        return sorted(set(wishes.sizes))
    if not wishes.full:
        return []
    found = [100 * 4**k for k in range(10) if 100 * 4**k <= 0.6 * train]
    return found or [size for size in [train // 2] if size > 1]


def curve_for(runs: Sequence[Mapping], sizes: Sequence[int], articles: int) -> list[dict]:
    """List the grids of the learning curve: PLTM, the first ZeroshotTM and the M3L-Contrast of all
    views on fewer articles than all, with as many updates.
    """
    first, grids = {run["model"]: run for run in reversed(runs)}, []
    for model in ("M3L-Contrast", "ZeroshotTM", "PLTM"):
        if sizes and model in first:
            points = [
                {"name": f"a{n}", "variant": {"articles": n}, "protocol": {"articles": n}}
                for n in sizes
            ]
            if "epochs" in first[model]:
                for n, point in zip(sizes, points, strict=True):
                    point["epochs"] = round(first[model]["epochs"] * articles / n)
            of = [first[model]["name"]]
            grids.append({"chapter": "14-your-corpus", "of": of, "points": points})
    return grids


def _training_articles(facts: Facts) -> int:
    """Estimate how many articles the training part will have."""
    return max(2, round(0.8 * facts.articles))


def make_profile(facts: Facts, wishes: Wishes) -> tuple[dict, list[str]]:
    """Make the profile of a corpus, and say what there is to say of its choices; `ParameterError`
    if a wish cannot be.
    """
    if len(facts.languages) + bool(facts.pictures) < 2:
        raise ParameterError(
            f"{facts.path}: one view makes no tuple: it has texts in {', '.join(facts.languages)}"
            " and no pictures; give two languages or more, or a language and pictures"
        )
    for language, length in facts.length.items():
        short = f"--min-words {wishes.min_words}: half of the documents of {language} have no more"
        few = f"{short} than {length} words, stopwords among them; most would be left out"
        require(wishes.min_words <= length or length == 0, few)
    encoders, said = choose_encoders(facts, wishes.encoders)
    topics, fit, more = settings_for(facts, wishes)
    source = {"from": "table", "path": str(facts.path), "languages": ",".join(facts.languages)}
    columns = {what: column for what, column in facts.columns.items() if column}
    over = wishes.over or columns.pop("date", "") or columns.get("category", "")
    source |= {f"{what}_column": column for what, column in columns.items() if what != "date"}
    source |= {"columns": facts.names} if facts.names else {}
    shortest = min(facts.length.values())
    prepare = {
        "min_words": wishes.min_words or min(10, max(1, shortest // 4)),
        "incomplete": "drop" if facts.complete else "pairs",
        "leakage": "drop",
        **wishes.prepare,
    }
    if facts.segmented:
        prepare.setdefault("segmented", facts.segmented)
    if facts.without_stopwords:
        none = {language: [] for language in facts.without_stopwords}
        prepare["stopwords"] = none | dict(wishes.prepare.get("stopwords", {}))
    if wishes.vocabulary:
        prepare["vocabulary_size"] = wishes.vocabulary
    name = wishes.name
    runs = [run for k in topics for run in runs_for(facts, wishes, encoders, k, fit)]
    corpus = {
        "source": source | {"allow_missing": not facts.complete, **wishes.source},
        "prepare": prepare,
        "encoders": {view: [encoder] for view, encoder in encoders.items()},
    }
    first = [run["name"] for run in runs if run["topics"] == topics[0]]
    profile = {
        "profile": name,
        "max_tokens": 128,
        "corpora": {name: corpus},
        "runs": runs,
        "grids": curve_for(runs, sizes_for(facts, wishes), _training_articles(facts)),
        # her first page is made of these, before the rest is trained
        "first": [
            f"{run}-s0" for run in first if run.startswith((f"{name}-m3l-k", f"{name}-pltm-"))
        ],
        "topics": {"over": over} if over else {},
    }
    return profile, [*said, *more]
