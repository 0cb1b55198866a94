"""What was chosen on the validation part, and what a run trains on."""

import json

import numpy as np
import pandas as pd
import pytest
from book_support import VIEWS, record
from support import make_corpus

from m3l import ParameterError
from m3l.metrics.assessment import evaluate
from m3l_book.recorded import Recorded
from m3l_book.records import protocol, results
from m3l_book.tables import choices, examples


@pytest.fixture(scope="module")
def part():
    return make_corpus(n=60, views=VIEWS, split=["test"] * 60)


def run(part, trained=VIEWS, seed=0, quality=3.0, variant=None, epochs=2, **params):
    """A record with scores of a validation part and a look at it after each epoch."""
    made = record(part, "M3L-Contrast", list(trained), seed=seed, quality=quality, variant=variant)
    made.params |= {"batch_size": 16, "epochs": epochs, **params}
    made.metrics["training_tuples"] = 40
    made.metrics["validation"] = evaluate(made.theta, part)
    last = {f"{r['query']}>{r['item']}": r["score"] for r in made.metrics["validation"]}
    looks = [{k: share * v for k, v in last.items()} for share in np.linspace(0.5, 1, epochs)]
    made.history = [{"epoch": i, **look} for i, look in enumerate(looks, start=1)]
    return made


def test_a_choice_is_shown_with_its_validation_scores_the_usual_value_first(part):
    runs = [run(part, seed=s) for s in (0, 1)]
    runs += [run(part, seed=s, quality=0.5, variant={"floor": "-4"}) for s in (0, 1)]
    runs += [run(part, variant={"floor": "-4", "topics": 25}), run(part, trained=["en"])]
    table = choices.choices(choices.looked(runs), "floor", "-2")
    assert table["floor"].tolist() == ["-2", "-4"] and table["seeds"].tolist() == [2, 2]
    assert table["model"].tolist() == ["M3L-Contrast, en + fr + image"] * 2, "what does not vary"
    scores = [
        next(r["score"] for r in x.metrics["validation"] if (r["query"], r["item"]) == ("en", "fr"))
        for x in runs[:2]
    ]
    expected = f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f}"
    assert table["MRR en → fr"][0] == expected
    assert len(choices.choices(choices.looked(runs), "objective", "book")) == 0


def test_the_best_value_is_said_and_whether_it_is_the_one_used(part):
    good, bad = run(part), run(part, quality=0.2, variant={"floor": "-4"})
    sentence = choices.best_choice(choices.looked([good, bad]), "floor", "-2")
    assert "of 2 values of floor the best is -2 (" in sentence and "the one used." in sentence
    better = run(part, quality=9.0, variant={"floor": "0"})
    sentence = choices.best_choice(choices.looked([good, bad, better]), "floor", "-2")
    assert "the best is 0 (" in sentence and "-2, the one used, has 0." in sentence
    assert choices.best_choice(choices.looked([good]), "floor", "-2") == ""
    # a value that not all varied models were trained with is not compared by its mean
    alone = [run(part, trained=["en"]), run(part, trained=["en"], variant={"floor": "-4"})]
    assert "of 2 values" in choices.best_choice(
        choices.looked([good, bad, better, *alone]), "floor", "-2"
    )


def test_curves_are_of_the_longest_runs_of_the_main_models(part):
    short, long = run(part), run(part, epochs=4, variant={"epochs": "4"})
    other = run(part, epochs=9, variant={"floor": "-4"})
    assert results.longest([short, long, other]) == [long]
    table = results.curves([long])
    assert sorted(set(table["updates"])) == [3, 6, 9, 12], "40 tuples are three batches of 16"
    own = table[table["direction"] == "en → fr"]
    last = next(r for r in long.metrics["validation"] if (r["query"], r["item"]) == ("en", "fr"))
    assert own["score"].tolist()[-1] == pytest.approx(last["score"])
    assert set(table["direction"]) == {"en → fr", "en → image", "fr → image"}
    lines = choices.still_moving(table, {"small": {}})
    moved = last["score"] / 6
    assert any(
        line.startswith("small, M3L en + fr + image, en → fr") and f"{moved:+.3f}" in line
        for line in lines
    )
    assert choices.still_moving(results.curves([]), {"small": {}}) == []


def test_a_run_trains_on_whole_tuples_alone_or_on_fewer_articles_if_asked():
    corpus = make_corpus(n=60, views=VIEWS)
    corpus.views["image"].index[::3] = -1
    everything = protocol.protocol_options({})
    assert protocol.training_part(corpus, everything, VIEWS) is corpus
    whole = protocol.training_part(corpus, protocol.protocol_options({"whole_tuples": True}), VIEWS)
    assert len(whole) == 40 and all(whole.views["image"].present)
    fewer = protocol.training_part(corpus, protocol.protocol_options({"articles": 7}), VIEWS)
    again = protocol.training_part(corpus, protocol.protocol_options({"articles": 7}), VIEWS)
    assert len(set(fewer.article_ids)) == 7
    np.testing.assert_array_equal(fewer.article_ids, again.article_ids)
    more = protocol.training_part(corpus, protocol.protocol_options({"articles": 20}), VIEWS)
    assert set(fewer.article_ids) < set(more.article_ids), "a larger part holds the smaller"
    with pytest.raises(ParameterError, match="articles=61: the training part has 60"):
        protocol.training_part(corpus, protocol.protocol_options({"articles": 61}), VIEWS)


def test_example_pictures_are_of_articles_that_have_one():
    corpus = make_corpus(n=20, views=VIEWS, split=["test"] * 20)
    made = record(corpus, "M3L-Contrast", list(VIEWS))
    corpus.views["image"].index[4:] = -1
    test = corpus.subset(np.arange(20))
    made.theta["image"] = made.theta["image"][:4]
    for view in ("en", "fr"):
        test.views[view].item_ids[:] = test.article_ids
    found = examples.example_pictures(made, test, 10, "en")
    assert {x["article"] for x in found} == {"t0", "t1", "t2", "t3"}
    assert all(x["own"] == f"image-{x['article'][1:]}" for x in found)


def test_a_run_may_count_fewer_words_and_every_document_keeps_one():
    corpus = make_corpus(n=60, views=VIEWS, split=["train"] * 40 + ["test"] * 20)
    assert protocol.words_read(corpus, protocol.protocol_options({})) is corpus
    thin = protocol.protocol_options({"tokens": 0.3, "vocabulary": 5})
    fewer = protocol.words_read(corpus, thin)
    again = protocol.words_read(corpus, thin)
    for name in corpus.text_views:
        before, after = corpus.views[name].bow, fewer.views[name].bow
        assert (after != again.views[name].bow).nnz == 0
        assert (after > before).nnz == 0 and after.sum(axis=1).min() == 1
        frequency = np.asarray(corpus.part("train").views[name].bow.sum(axis=0)).ravel()
        five = set(np.argsort(-frequency, kind="stable")[:5])
        alone = np.flatnonzero(np.asarray(after.sum(axis=1)).ravel() > 1)
        assert set(after[alone].indices) <= five
    assert fewer.views["image"] is corpus.views["image"]
    half = protocol.words_read(corpus, protocol.protocol_options({"tokens": 0.5}))
    share = half.views["en"].bow.sum() / corpus.views["en"].bow.sum()
    assert 0.4 < share < 0.65


@pytest.mark.parametrize("given", [{"tokens": 0.0}, {"tokens": 1.5}, {"vocabulary": -1}])
def test_a_share_of_words_out_of_range_is_refused(given):
    with pytest.raises(ParameterError, match=next(iter(given))):
        protocol.protocol_options(given)


def test_recorded_choices_are_read_as_those_of_this_build(part, tmp_path):
    runs = [run(part), run(part, quality=0.2, variant={"floor": "-4"})]
    keys = ("query", "item", "metric", "score")
    rows, scores = [], []
    for number, one in enumerate(runs):
        about = {"run": number, "corpus": "small", "model": "M3L-Contrast", "variant": ""}
        changes = json.dumps(one.params["variant"] or {})
        more = {"changes": changes, "reads": " ".join(VIEWS), "trained": "en + fr + image"}
        more |= {"views": " ".join(VIEWS), "npmi": 0.1}
        rows.append({**about, **more})
        for row in one.metrics["validation"]:
            own = {key: row[key] for key in keys}
            scores.append({"run": number, "part": "validation", **own, "jsd": 0.1, "chance": 0.1})
    pd.DataFrame(rows).to_csv(tmp_path / "runs.csv", index=False)
    pd.DataFrame(scores).to_csv(tmp_path / "scores.csv", index=False)
    before = choices.looked_before(Recorded(tmp_path, {}, {}))
    now = choices.looked(runs)
    assert choices.best_choice(before, "floor", "-2") == choices.best_choice(now, "floor", "-2")
    same = choices.choices(before, "floor", "-2"), choices.choices(now, "floor", "-2")
    pd.testing.assert_frame_equal(*same)
    assert choices.looked_before(Recorded()) == []
