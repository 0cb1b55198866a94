"""What a run trains on, and its scores on the way."""

import numpy as np
import pytest
import torch
from book_support import VIEWS, record
from support import make_corpus

from m3l import DataError, ParameterError, model_for, variants
from m3l.metrics.assessment import evaluate
from m3l_book.records import protocol, results


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


def test_a_run_trains_on_one_picture_of_each_article_if_asked():
    corpus = make_corpus(n=60, views=VIEWS)
    corpus.article_ids[:] = [f"a{i // 3:02d}" for i in range(60)]
    options = protocol.protocol_options({"one_picture": True})
    one, again = (protocol.training_part(corpus, options, VIEWS) for _ in range(2))
    assert sorted(one.article_ids) == sorted(set(corpus.article_ids)) and len(one) == 20
    np.testing.assert_array_equal(one.tuple_ids, again.tuple_ids)
    place = [corpus.tuple_ids.tolist().index(name) % 3 for name in one.tuple_ids]
    assert set(place) == {0, 1, 2}, "not the first of each article"


def test_a_run_may_count_only_words_that_a_to_z_spell():
    corpus = make_corpus(n=20, views=VIEWS)
    view = corpus.views["fr"]
    view.vocabulary[:3] = ["été", "où", "chat"]
    view.vocabulary[3:] = ["ab" + "c" * i for i in range(len(view.vocabulary) - 3)]
    read = protocol.words_read(corpus, protocol.protocol_options({"a_to_z": True})).views["fr"]
    before, after = (v.bow.toarray() for v in (view, read))
    spelt = after[:, 2:].sum(axis=1) > 0
    assert before[:, :2].sum() > 0 and spelt.any() and not after[spelt][:, :2].any()
    np.testing.assert_array_equal(after[spelt][:, 2:], before[spelt][:, 2:])
    with pytest.raises(ParameterError, match="a_to_z"):
        protocol.protocol_options({"a_to_z": "yes"})


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


def test_a_model_begins_from_the_weights_of_another_word_by_word(tmp_path):
    corpus = make_corpus()
    trained, new = (model_for(corpus, 4, seed=seed) for seed in (0, 1))
    (tmp_path / "run").mkdir()
    view = next(name for name, items in corpus.views.items() if items.vocabulary is not None)
    words = [*corpus.views[view].vocabulary]
    trained.save(tmp_path / "run" / "model.safetensors")
    protocol.begin_from(new, "")
    untouched = new.state_dict()[f"decoders.{view}.beta"].clone()
    # the new corpus has its words in another order, and one that the other did not have
    new.vocabularies[view] = [*words[1:], "novel"]
    protocol.begin_from(new, str(tmp_path / "run"))
    before, after = trained.state_dict(), new.state_dict()
    beta, own = before[f"decoders.{view}.beta"], after[f"decoders.{view}.beta"]
    assert torch.equal(own[:, :-1], beta[:, 1:]) and torch.equal(own[:, -1], untouched[:, -1])
    for name in before:
        if not name.startswith(f"decoders.{view}."):
            assert torch.equal(before[name], after[name]), name
    with pytest.raises(DataError, match="expected a run of M3L-Contrast with 5 topics"):
        protocol.begin_from(model_for(corpus, 5), str(tmp_path / "run"))
    shallow = model_for(corpus, trained.topics, layers=1)
    with pytest.raises(
        DataError, match="one for each language, of 1 hidden layer of 100; train it anew"
    ):
        protocol.begin_from(shallow, str(tmp_path / "run"))
    with pytest.raises(DataError, match="of 2 hidden layers of 20; train it anew"):
        protocol.begin_from(model_for(corpus, trained.topics, hidden=20), str(tmp_path / "run"))
    rated = variants.model_for(corpus, trained.topics, base_rate=True)
    rate = "decoders.en.base_rate"
    own = rated.state_dict()[rate].clone()
    protocol.begin_from(rated, str(tmp_path / "run"))
    assert torch.equal(rated.state_dict()[rate], own), "what the other has not stays"
    assert torch.equal(rated.state_dict()["decoders.en.beta"], before["decoders.en.beta"])
    shared = model_for(corpus, trained.topics, share_text_network=True)
    with pytest.raises(
        DataError, match="networks one for all languages, of 2 hidden layers of 100"
    ):
        protocol.begin_from(shared, str(tmp_path / "run"))
