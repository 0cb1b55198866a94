"""The generated world, whose topics are known."""

import re

import numpy as np
import pytest
from PIL import Image

from m3l.errors import ParameterError
from m3l_book.data.prepare import prepare
from m3l_book.data.sources import emoji
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
        assert set(p.names) == set(pictograms.LANGUAGES) and p.svg.is_file()
        assert all(name.strip() and not set(":_") & set(name) for name in p.names.values())
        assert p.category not in ("Flags", "Component")


def test_frame_follows_the_schema(world):
    frame = world.frame
    views = {f"{v}_{part}" for v in ("en", "de") for part in ("title", "text", "truth")}
    others = {"tuple_id", "article_id", "split", "category", "image_id", "image_truth"}
    assert set(frame.columns) == views | others
    assert frame["tuple_id"].is_unique and frame["image_id"].is_unique
    assert not frame.isna().any(axis=None)
    shared = frame.groupby("article_id")[["split", "en_text", "de_text"]].nunique()
    assert (shared == 1).all(axis=None)
    sizes = frame.drop_duplicates("article_id")["split"].value_counts()
    assert sizes.to_dict() == {"train": 27, "validation": 3, "test": 10}
    assert world.languages == ["en", "de"] and {"source", "licence", "biases"} <= set(world.card)
    pictures = frame.groupby(["split", "article_id"]).size()
    assert set(pictures["train"]) == {1} and set(pictures["test"]) == {1, 2, 3}


@pytest.mark.parametrize("language", ["en", "de"])
def test_documents_have_the_names_asked_for_in_their_language(world, language):
    names = (re.escape(p.names[language]) for p in pictograms.pictograms())
    name = "|".join(sorted(names, key=len, reverse=True))  # some hold a comma
    document = re.compile(rf"({name})(, ({name})){{24}}")
    assert all(document.fullmatch(text) for text in world.frame[f"{language}_text"])


def test_views_share_true_topics_and_none_is_a_translation(world):
    truth = {v: np.array(world.frame[f"{v}_truth"].tolist()) for v in ("en", "de", "image")}
    for proportions in truth.values():
        assert proportions.shape == (len(world.frame), 5) and proportions.min() >= 0
        np.testing.assert_allclose(proportions.sum(axis=1), 1)
    assert (truth["en"].argmax(axis=1) == truth["de"].argmax(axis=1)).mean() > 0.7
    assert (truth["en"] != truth["de"]).any()


def test_same_seed_same_world_and_other_seed_another(world, cache):
    again, other = (emoji.load(cache=cache, seed=seed, **SMALL) for seed in (0, 1))
    assert again.frame.map(str).equals(world.frame.map(str)) and again.card == world.card
    assert (other.frame["en_text"].iloc[:10] != world.frame["en_text"].iloc[:10]).all()


def test_pictures_are_the_same_every_time_and_of_the_size_asked_for(world, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        names = world.write_images(tmp_path / folder)
    assert set(names) == set(world.frame["image_id"])
    for name in names.values():
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        with Image.open(tmp_path / "a" / name) as image:
            assert image.size == (48, 48) and image.mode == "RGB" and np.asarray(image).std() > 5


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


@pytest.mark.parametrize(
    "options, message",
    [
        ({"languages": "en,xx"}, "languages='xx' is unknown; valid: de, en, es, fr, it, pt"),
        ({"languages": "en,"}, "languages='' is unknown"),
        ({"languages": "en,en"}, "languages='en,en': a language stands twice"),
        ({"true_topics": 1}, r"true_topics=1: expected 2 to \d+"),
        ({"true_topics": 10_000}, r"true_topics=10000: expected 2 to \d+"),
        ({"train": 0}, "train=0: expected 1 or more"),
        ({"test": -3}, "test=-3: expected 1 or more"),
        ({"names_per_document": 0}, "names_per_document=0: expected"),
        ({"images_per_test_article": 0}, "images_per_test_article=0: expected"),
        ({"image_side": 0}, "image_side=0: expected 16 to 1024 pixels"),
    ],
)
def test_wrong_options_are_named_with_what_is_expected(cache, options, message):
    with pytest.raises(ParameterError, match=message):
        emoji.load(cache=cache, **SMALL | options)
