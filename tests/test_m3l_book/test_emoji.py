import re

import numpy as np
import pytest
from PIL import Image

from m3l.errors import ParameterError
from m3l_book.data.prepare import prepare
from m3l_book.data.sources import emoji, load_source
from m3l_book.pictures import pictograms

SMALL = {"train": 30, "test": 10, "true_topics": 5, "image_side": 48}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The cache of a world of every 12th emoji."""
    patch, some = pytest.MonkeyPatch(), pictograms.pictograms()[::12]
    patch.setattr(emoji, "pictograms", lambda: some)
    patch.setattr(pictograms, "pictograms", lambda: some)
    yield tmp_path_factory.mktemp("cache")
    patch.undo()


@pytest.fixture(scope="module")
def world(cache):
    return emoji.load(cache=cache, **SMALL)


def test_emoji_have_names_in_every_language_and_a_drawing():
    actual = pictograms.pictograms()
    assert len({p.chars for p in actual}) == len(actual) > 100
    for p in actual:
        assert set(p.names) == set(pictograms.LANGUAGES)
        assert all(
            name.strip() and ":" not in name and "_" not in name for name in p.names.values()
        )
        assert p.svg.is_file()
        assert p.category not in ("Flags", "Component")


def test_frame_follows_the_schema(world):
    frame = world.frame
    assert {
        "tuple_id",
        "article_id",
        "split",
        "en_title",
        "en_text",
        "de_title",
        "de_text",
        "image_id",
        "category",
        "en_truth",
        "de_truth",
        "image_truth",
    } == set(frame.columns)
    assert frame["tuple_id"].is_unique
    assert frame["image_id"].is_unique
    assert not frame.isna().any(axis=None)
    assert (frame.groupby("article_id")[["split", "en_text", "de_text"]].nunique() == 1).all(
        axis=None
    )
    assert frame.drop_duplicates("article_id")["split"].value_counts().to_dict() == {
        "train": 27,
        "validation": 3,
        "test": 10,
    }
    assert world.languages == ["en", "de"]
    assert {"source", "licence", "biases"} <= set(world.card)


def test_training_articles_have_one_picture_and_test_articles_one_to_three(world):
    pictures = world.frame.groupby(["split", "article_id"]).size()
    assert set(pictures["train"]) == {1}
    assert set(pictures["test"]) == {1, 2, 3}


def test_documents_have_the_names_asked_for_in_their_language(world):
    for language in ("en", "de"):
        name = "|".join(
            sorted(
                (re.escape(p.names[language]) for p in pictograms.pictograms()),
                key=len,
                reverse=True,
            )
        )  # some hold a comma
        assert all(
            re.fullmatch(rf"({name})(, ({name})){{24}}", text)
            for text in world.frame[f"{language}_text"]
        )


@pytest.mark.parametrize("view", ["en", "de", "image"])
def test_true_proportions_sum_to_one(world, view):
    truth = np.array(world.frame[f"{view}_truth"].tolist())
    assert truth.shape == (len(world.frame), 5)
    assert truth.min() >= 0
    np.testing.assert_allclose(truth.sum(axis=1), 1)


def test_views_of_a_tuple_share_topics_and_none_is_a_translation(world):
    en, de = (np.array(world.frame[f"{view}_truth"].tolist()) for view in ("en", "de"))
    assert (en.argmax(axis=1) == de.argmax(axis=1)).mean() > 0.7
    assert (en != de).any()


def test_same_seed_same_world(world, cache):
    again = emoji.load(cache=cache, **SMALL)
    assert again.frame.map(str).equals(world.frame.map(str))
    assert again.card == world.card


def test_other_seed_other_world(world, cache):
    other = emoji.load(cache=cache, seed=1, **SMALL)
    assert (other.frame["en_text"].iloc[:10] != world.frame["en_text"].iloc[:10]).all()


def test_pictures_decode_at_the_size_asked_for(world, tmp_path):
    names = world.write_images(tmp_path)
    assert set(names) == set(world.frame["image_id"])
    for name in names.values():
        with Image.open(tmp_path / name) as image:
            image.load()
            assert image.size == (48, 48)
            assert image.mode == "RGB"
            assert np.asarray(image).std() > 5


def test_pictures_are_the_same_every_time(world, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        names = world.write_images(tmp_path / folder)
    assert all(
        (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        for name in names.values()
    )


def test_drawing_puts_nine_emoji_on_a_grid():
    chosen = pictograms.pictograms()[:9]
    picture = np.asarray(pictograms.draw(chosen, 96)).astype(int)
    alone = np.asarray(pictograms.draw(chosen[4:5], 32)).astype(int)
    assert picture.shape == (96, 96, 3)
    assert np.abs(picture[32:64, 32:64] - alone).mean() < 1
    assert np.abs(picture[:32, :32] - alone).mean() > 1


def test_prepared_world_holds_every_picture_of_its_tuples(world, tmp_path):
    card = prepare(world, tmp_path / "out", vocabulary_size=40, min_words=3, leakage="drop")
    assert card["counts"]["train"]["tuples"] > 20
    assert card["counts"]["test"]["pictures"] > 5


@pytest.mark.parametrize("languages", ["en,xx", "", "en,"])
def test_unknown_language_lists_the_valid_ones(cache, languages):
    with pytest.raises(
        ParameterError, match=r"languages='(xx|)' is unknown; valid: de, en, es, fr, it, pt"
    ):
        emoji.load(languages, cache=cache)


def test_language_twice_is_refused(cache):
    with pytest.raises(ParameterError, match="languages="):
        emoji.load("en,en", cache=cache, **SMALL)


@pytest.mark.parametrize("topics", [1, 0, 10_000])
def test_true_topics_out_of_range_name_the_range(cache, topics):
    with pytest.raises(
        ParameterError, match=f"true_topics={topics}: expected 2 to {len(pictograms.pictograms())}"
    ):
        emoji.load(cache=cache, **{**SMALL, "true_topics": topics})


@pytest.mark.parametrize(
    "option", ["train", "test", "names_per_document", "images_per_test_article", "image_side"]
)
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_of_nothing_are_named(cache, option, value):
    with pytest.raises(ParameterError, match=f"{option}={value}: expected"):
        emoji.load(cache=cache, **{option: value})


def test_unknown_option_lists_the_valid_ones():
    with pytest.raises(
        ParameterError, match=r"corpus 'emoji': parameter='topics' is unknown; valid: .*true_topics"
    ):
        load_source("emoji", topics=5)
