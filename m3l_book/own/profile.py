"""The profile of a user's own corpus: its runs, and settings that fit its size."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from m3l.errors import ParameterError, choose, require

from ..data.schema import PICTURES
from ..encoders.spaces import LANGUAGES, knows
from .inspecting import Facts

MODELS = ("M3L-Contrast", "ZeroshotTM", "ZeroshotTM-KD", "PLTM")
PAPER = {"topics": 100, "epochs": 100, "batch_size": 32}
LEAST_UPDATES = 3000
"""A small corpus is trained for more epochs, so that a model makes about this many updates."""

MOST_EPOCHS = 400
TUPLES_A_TOPIC = 25
"""Of a small corpus there are fewer topics: one for so many articles."""


@dataclass(frozen=True)
class Wishes:
    """What the user said; what is empty or 0 is chosen from her table.

    Attributes
    ----------
    name : str
        Of the corpus and its profile.
    encoders : mapping of view to name
    models : sequence of str
    topics, epochs, batch_size, seeds, sweeps, vocabulary_size, min_words : int
    sizes : sequence of int, optional
        Numbers of training articles that models are trained on too, for the learning curve.
    source, prepare : mapping
        Further options of the table and of its preparation.
    """

    name: str
    encoders: Mapping[str, str]
    models: Sequence[str] = MODELS
    topics: int = 0
    epochs: int = 0
    batch_size: int = 0
    seeds: int = 3
    sweeps: int = 1000
    vocabulary_size: int = 0
    min_words: int = 0
    sizes: Sequence[int] | None = None
    source: Mapping[str, object] = ()
    prepare: Mapping[str, object] = ()


def views_of(facts: Facts) -> list[str]:
    """The views that the corpus will have."""
    return [*facts.languages, *([PICTURES] if facts.pictures else [])]


def choose_encoders(facts: Facts, wished: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The encoder of each view, and what there is to say of the choice.

    One that knows all languages, so that views are aligned: ``use-multilingual``, which pictures
    can be mapped to, else ``e5-multilingual``; a language that neither knows gets an encoder
    trained on its own texts.
    """
    said, chosen = [], {}
    for encoder in ("use-multilingual", "e5-multilingual"):
        if all(knows(encoder, language) for language in facts.languages):
            chosen = dict.fromkeys(facts.languages, encoder)
            break
    for language in facts.languages:
        if language not in chosen:
            known = [name for name in LANGUAGES if knows(name, language)]
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
        chosen[view] = encoder
    return chosen, said


def settings_for(facts: Facts, wishes: Wishes) -> tuple[dict[str, int], list[str]]:
    """Topics, batch size and epochs that fit the corpus, and what there is to say of them."""
    said, train = [], _training_articles(facts)
    fitting = min(PAPER["topics"], max(5, facts.articles // TUPLES_A_TOPIC))
    topics = wishes.topics or fitting
    if not wishes.topics and topics < PAPER["topics"]:
        said.append(f"{topics} topics, one for {TUPLES_A_TOPIC} articles (the paper has 100)")
    batch = wishes.batch_size or min(PAPER["batch_size"], max(2, train // 4))
    if not wishes.batch_size and batch < PAPER["batch_size"]:
        said.append(f"batches of {batch}, four an epoch (the paper has 32)")
    batches = max(1, train // min(batch, train))
    epochs = wishes.epochs or min(MOST_EPOCHS, max(PAPER["epochs"], LEAST_UPDATES // batches))
    if not wishes.epochs and epochs > PAPER["epochs"]:
        updates = f"{epochs * batches:,} updates"
        said.append(
            f"{epochs} epochs, which are {updates} (the paper's M3L-Contrast has 100, of 62,500)"
        )
    return {"topics": topics, "epochs": epochs, "batch_size": batch}, said


def runs_for(
    facts: Facts, wishes: Wishes, encoders: Mapping[str, str], fit: Mapping[str, int]
) -> list[dict]:
    """The runs of the profile: each model of the paper that the views allow."""
    for model in wishes.models:
        choose("model", model, MODELS)
    require("M3L-Contrast" in wishes.models, "models: M3L-Contrast is needed for the pages")
    name, seeds = wishes.name, list(range(wishes.seeds))
    texts = {language: encoders[language] for language in facts.languages}
    neural = {"corpus": name, "seeds": seeds, **fit}
    pictured = bool(facts.pictures)
    joint = {**neural, "model": "M3L-Contrast", "objective": "book"}
    runs = [
        {**joint, "name": f"{name}-m3l", "encoders": dict(encoders), "train_views": [*encoders]}
    ]
    if pictured and len(texts) > 1:
        runs.append(
            {**joint, "name": f"{name}-m3l-texts", "encoders": texts, "train_views": [*texts]}
        )
    if "ZeroshotTM" in wishes.models or "ZeroshotTM-KD" in wishes.models:
        for language in facts.languages[:2]:
            alone = {**neural, "name": f"{name}-zeroshot-{language}", "model": "ZeroshotTM"}
            alone |= {
                "encoders": dict(encoders),
                "train_views": [language],
                "objective": "zeroshot",
            }
            runs.append(alone)
    if "ZeroshotTM-KD" in wishes.models:
        for teacher in facts.languages[:2]:
            for view in [*facts.languages[:2], *([PICTURES] if pictured else [])]:
                if view != teacher:
                    own = {v: name for v, name in encoders.items() if v in (teacher, view)}
                    student = {**neural, "name": f"{name}-kd-{teacher}-{view}", "encoders": own}
                    student |= {"model": "ZeroshotTM-KD", "teacher": f"{name}-zeroshot-{teacher}"}
                    runs.append({**student, "train_views": [view], "objective": "zeroshot"})
    counted = {**neural, "name": f"{name}-pltm", "model": "PLTM", "encoders": texts}
    counted |= {"train_views": [*texts], "chapter": "05-pltm", "sweeps": wishes.sweeps}
    for option in ("epochs", "batch_size"):
        counted.pop(option)
    return [*runs, counted]


def sizes_for(facts: Facts, wishes: Wishes) -> list[int]:
    """Numbers of training articles below all of them: 100, 400, 1,600 …; of a small corpus half.

    Raises
    ------
    ParameterError
        A number that the user asked for is not below that of the training articles.
    """
    train = _training_articles(facts)
    if wishes.sizes is not None:
        for size in wishes.sizes:
            require(1 < size < train, f"--sizes {size}: expected 2 to {train - 1:,}, or none")
        return sorted(set(wishes.sizes))
    found = [100 * 4**k for k in range(10) if 100 * 4**k <= 0.6 * train]
    return found or [size for size in [train // 2] if size > 1]


def curve_for(runs: Sequence[Mapping], sizes: Sequence[int], articles: int) -> list[dict]:
    """The grids of the learning curve: PLTM, the first ZeroshotTM and the M3L-Contrast of all views
    on fewer articles than all, with as many updates.
    """
    if not sizes:
        return []
    first = {run["model"]: run for run in reversed(runs)}
    grids = []
    for model in ("M3L-Contrast", "ZeroshotTM", "PLTM"):
        points: list[dict] = []
        for n in sizes:
            point = {"name": f"a{n}", "variant": {"articles": n}, "protocol": {"articles": n}}
            if "epochs" in first.get(model, {}):
                point["epochs"] = round(first[model]["epochs"] * articles / n)
            points.append(point)
        if model in first:
            of = [first[model]["name"]]
            grids.append({"chapter": "14-your-corpus", "of": of, "points": points})
    return grids


def _training_articles(facts: Facts) -> int:
    """About how many articles the training part will have."""
    return max(2, round(0.8 * facts.articles))


def make_profile(facts: Facts, wishes: Wishes) -> tuple[dict, list[str]]:
    """The profile of a corpus, and what there is to say of its choices.

    Raises
    ------
    ParameterError
        A wish cannot be.
    """
    views = views_of(facts)
    if len(views) < 2:
        raise ParameterError(
            f"{facts.path}: one view makes no tuple: it has texts in {', '.join(facts.languages)}"
            " and no pictures; give two languages or more, or a language and pictures"
        )
    encoders, said = choose_encoders(facts, wishes.encoders)
    fit, more = settings_for(facts, wishes)
    source = {"from": "table", "path": str(facts.path), "languages": ",".join(facts.languages)}
    source |= {f"{what}_column": column for what, column in facts.columns.items() if column}
    source |= {"allow_missing": not facts.complete, **dict(wishes.source)}
    shortest = min(facts.length.values(), default=10)
    least = wishes.min_words or min(10, max(1, shortest // 4))
    prepare = {"min_words": least, "incomplete": "drop" if facts.complete else "pairs"}
    prepare |= {"leakage": "drop", **dict(wishes.prepare)}
    if wishes.vocabulary_size:
        prepare["vocabulary_size"] = wishes.vocabulary_size
    runs = runs_for(facts, wishes, encoders, fit)
    first = f"{wishes.name}-m3l-s0"
    profile = {
        "profile": wishes.name,
        "max_tokens": 128,
        "corpora": {
            wishes.name: {
                "source": source,
                "prepare": prepare,
                "encoders": {view: [encoder] for view, encoder in encoders.items()},
            }
        },
        "runs": runs,
        "grids": curve_for(runs, sizes_for(facts, wishes), _training_articles(facts)),
        "training_page": first,
        "pltm_page": f"{wishes.name}-pltm-s0",
        "browsers": [first],
    }
    return profile, [*said, *more]


def as_yaml(profile: Mapping, opening: str) -> str:
    """A profile as a file that people edit: a line an entry, every text in quotes."""
    lines = [f"# {line}".rstrip() for line in opening.splitlines()]
    for key, value in profile.items():
        if key == "corpora":
            lines.append("corpora:")
            for name, corpus in value.items():
                lines.append(f"  {name}:")
                for part, options in corpus.items():
                    lines.append(f"    {part}:")
                    lines += [f"      {_key(k)}: {_value(v)}" for k, v in options.items()]
        elif key in ("runs", "grids"):
            lines += [f"{key}:{'' if value else ' []'}", *(f"  - {_value(one)}" for one in value)]
        else:
            lines.append(f"{key}: {_value(value)}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name, ensure_ascii=False)


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
