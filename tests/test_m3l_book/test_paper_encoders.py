"""The paper's encoders: tiny models of the same classes, from a folder and from a hub."""

import os
import subprocess
import sys
import weakref
from pathlib import Path

import miniature
import numpy as np
import pytest
import tiny_models
from PIL import Image

from m3l import ParameterError
from m3l_book.encoders.cache import encode
from m3l_book.encoders.pretrained import LEAST
from m3l_book.encoders.registry import get_encoder
from m3l_book.encoders.sentences import REVISIONS
from m3l_book.encoders.spaces import reads, space_of
from m3l_book.pictures import reading

ROOT = Path(__file__).resolve().parents[2]
CLIP, CLIP_TEXT, MULTILINGUAL, ENGLISH, GERMAN = tiny_models.PAPER
TEXTS = ["The horse eats grass.", "Das Pferd frißt Gras.", "Stars shine."]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name in tiny_models.PAPER:
        tiny_models.save(name, root / name)
    return root


@pytest.mark.parametrize("name", [CLIP_TEXT, MULTILINGUAL, ENGLISH, GERMAN])
def test_text_encoders_read_128_tokens_and_no_more(models, name):
    encoder = get_encoder(str(models / name))
    vectors = encoder.embed(TEXTS)
    assert vectors.shape == (3, 24 if name == CLIP_TEXT else 32) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all() and np.abs(vectors[0] - vectors[2]).max() > 1e-3
    long = "grass " * 400
    one, other = encoder.embed([long + "horse", long + "stars"])
    assert np.array_equal(one, other), "what stands behind 128 tokens is not read"
    assert np.abs(encoder.embed(["grass horse"]) - encoder.embed(["grass stars"])).max() > 1e-3


@pytest.mark.parametrize("name", [CLIP_TEXT, MULTILINGUAL])
def test_of_a_text_of_megabytes_no_more_is_cut_into_tokens_than_is_read_of_it(
    models, name, monkeypatch
):
    from transformers import PreTrainedTokenizerFast

    encoder, given = get_encoder(str(models / name)), []
    real = PreTrainedTokenizerFast.__call__

    def counted(self, text, *arguments, **options):
        given.extend(text)
        return real(self, text, *arguments, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", counted)
    short, long = "The horse eats grass. " * 400, "The horse eats grass. " * 50_000
    assert np.array_equal(encoder.embed([short]), encoder.embed([long]))
    assert len(given) == 2 and max(map(len, given)) <= len(short)


def picture(path, colour, size=(300, 200)):
    Image.new("RGB", size, colour).save(path)
    return path


def test_clip_reads_pictures_and_texts_into_one_space(models, tmp_path):
    paths = [picture(tmp_path / f"{c}.png", c) for c in ("red", "blue")]
    images, texts = (get_encoder(str(models / CLIP), kind) for kind in ("image", "text"))
    vectors = images.embed(paths)
    assert vectors.shape == (2, 24) and np.abs(vectors[0] - vectors[1]).max() > 1e-3
    assert texts.embed(TEXTS).shape == (3, 24)


def test_the_papers_encoders_are_declared():
    assert space_of(CLIP) == space_of(CLIP_TEXT) == "clip-ViT-B-32"
    assert reads("clip-ViT-B-32") == ("text", "image") and reads("resnet-50") == ("image",)
    assert len({space_of(name) for name in (CLIP, MULTILINGUAL, ENGLISH, GERMAN)}) == 4


def test_what_the_papers_encoders_are_made_of_is_as_published(models):
    """The German one has neither a tokenizer of its own, nor a list of modules, nor safetensors."""
    names = {path.name for path in (models / GERMAN).iterdir()}
    assert names == {
        *("config.json", "pytorch_model.bin", "sentencepiece.bpe.model"),
        *("sentence_bert_config.json", "special_tokens_map.json", "tokenizer_config.json"),
    }
    for name in tiny_models.PAPER:
        revision = REVISIONS[name.removeprefix("sentence-transformers/")]
        assert len(revision) == 40 and set(revision) <= set("0123456789abcdef")


def test_half_precision_is_a_choice(models):
    whole = get_encoder(str(models / MULTILINGUAL))
    assert whole.identity.endswith("fp32")
    half = get_encoder(str(models / MULTILINGUAL), device="cpu", precision="half")
    assert half.identity == whole.identity, "a CPU has none"
    with pytest.raises(ParameterError, match="precision='double' is unknown; valid: full, half"):
        get_encoder(str(models / MULTILINGUAL), precision="double")


def test_vectors_are_cached_under_the_content_of_the_model(models, tmp_path):
    encoder = get_encoder(str(models / MULTILINGUAL))
    first = encode(encoder, TEXTS, tmp_path, progress=False)
    again = get_encoder(str(models / MULTILINGUAL))
    assert again.identity == encoder.identity
    broken = type(encoder)(**{**vars(again), "embed": None})  # would fail if it were asked
    assert np.array_equal(encode(broken, TEXTS, tmp_path, progress=False), first)


LOADED = """
import sys
from m3l_book.encoders.registry import get_encoder
for name in map(str.strip, sys.stdin):
    try:
        print(get_encoder(name).identity, flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


def test_encoder_that_cannot_be_loaded_is_told_from_one_that_cannot_be_fetched(tmp_path):
    """Two that no hub has, one of which it refuses a file, and one that lacks the file."""
    with miniature.served(tmp_path) as server:
        server.hub = tiny_models.Hub(tmp_path / "models")
        with subprocess.Popen(
            [sys.executable, "-c", LOADED],
            env=of_hub(server.address, tmp_path),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:

            def said_of(encoder):
                process.stdin.write(f"{encoder}\n")
                process.stdin.flush()
                return process.stdout.readline()

            said = {"no folder": said_of("./no/such/folder"), "not there": said_of(GERMAN)}
            for one in (MULTILINGUAL, ENGLISH):
                tiny_models.save(one, tmp_path / "models" / one)
            server.hub.refused = "tokenizer.json"
            said["refused"] = said_of(MULTILINGUAL.split("/")[1])
            server.hub.refused = ""
            (tmp_path / "models" / ENGLISH / "tokenizer.json").unlink()
            broken = said_of(ENGLISH.split("/")[1])
            process.stdin.close()
    for fault, line in said.items():
        assert line.startswith("EncoderUnavailable "), (fault, line)
        assert "could not be fetched from the model hub" in line, fault
    assert broken.startswith("DataError "), broken
    assert "encoder 'all-mpnet-base-v2' was fetched and cannot be loaded (" in broken


def of_hub(address, folder):
    """The environment of a process whose model hub is at an address."""
    told = {"HF_ENDPOINT": address, "HF_HOME": str(folder / "hub"), "HF_HUB_DISABLE_XET": "1"}
    told |= {"PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"}
    return {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"} | told


ASK = """
import sys
from m3l_book.encoders.registry import get_encoder
for _ in range(2):
    for name in sys.argv[2:]:
        encoder = get_encoder(name, "image" if name == "clip-ViT-B-32" else "text")
        items = [sys.argv[1]] if encoder.kind == "image" else ["The horse eats grass."]
        print(name, encoder.embed(items).shape[1], encoder.identity, sep="|")
    print("asked", flush=True)
    sys.stdin.readline()
"""


def until_asked(lines):
    """What `ASK` prints of its encoders."""
    told = list(iter(lambda: lines.readline().rstrip("\n") or "asked", "asked"))
    return dict(line.split("|", 1) for line in told if "|" in line)


def test_encoders_are_fetched_from_the_hub_by_the_names_that_profiles_give(models, tmp_path):
    """And kept: a second time nobody is asked. A bar on a page is a widget, and a widget asks a CDN
    for its script, so that none is shown where none is wanted.
    """
    names = [CLIP.split("/")[1], CLIP_TEXT.split("/")[1], MULTILINGUAL.split("/")[1], GERMAN]
    red, said = picture(tmp_path / "red.png", "red"), tmp_path / "said.txt"
    with miniature.served(tmp_path) as server, open(said, "w") as errors:
        server.hub = tiny_models.Hub(models)
        process = subprocess.Popen(
            [sys.executable, "-c", ASK, str(red), *names],
            env=of_hub(server.address, tmp_path),
            cwd=tmp_path,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        first = until_asked(process.stdout)
    assert set(first) == set(names), said.read_text()[-3000:]
    for name, rest in first.items():
        assert rest.startswith("32|" if "mpnet" in name or "/" in name else "24|")
        assert f"{name} {REVISIONS[name]}; " in rest, "vectors of another commit are others"
    assert len(server.asked) > 10
    # no hub any more: what came is used
    process.stdin.write("\n")
    process.stdin.flush()
    again = until_asked(process.stdout)
    process.communicate()
    assert again == first and "%" not in said.read_text(), said.read_text()[-3000:]


@pytest.mark.parametrize("which", ["clip", "efficientnet"])
def test_no_more_photographs_are_open_than_are_encoded_at_once(
    models, tmp_path, which, monkeypatch
):
    real, now, most = reading.load_image, 0, 0

    def closed():
        nonlocal now
        now -= 1

    def counted(path, least):
        nonlocal now, most
        assert least == LEAST, "it would be read whole"
        image = real(path, least)
        now += 1
        most = max(most, now)
        weakref.finalize(image, closed)
        return image

    monkeypatch.setattr(reading, "load_image", counted)
    name = str(models / CLIP) if which == "clip" else "efficientnet-lite0"
    paths = [picture(tmp_path / "red.png", "red")] * 40
    assert len(get_encoder(name, "image").embed(paths)) == 40
    assert 0 < most <= 16


MEMORY = """
import re, sys
from m3l_book.encoders.registry import get_encoder
encoder = get_encoder(sys.argv[1], "image")
encoder.embed(sys.argv[2:4])
print(encoder.embed(sys.argv[2:]).shape[0])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.mark.thorough
@pytest.mark.parametrize("which", ["clip", "efficientnet"])
def test_64_photographs_of_35_megapixels_stay_below_1500_megabytes(models, tmp_path, which):
    """They are scaled as they are read, and no more are held than are encoded at once."""
    rng, paths = np.random.default_rng(0), []
    coarse = Image.fromarray(rng.integers(0, 255, (50, 70, 3), dtype=np.uint8))
    coarse.resize((7000, 5000)).save(tmp_path / "0.jpg", quality=80)
    for i in range(64):
        paths.append(tmp_path / f"{i}.jpg")
        if i:
            os.link(paths[0], paths[i])
    name = str(models / CLIP) if which == "clip" else "efficientnet-lite0"
    command = [sys.executable, "-c", MEMORY, name, *map(str, paths)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    number, kilobytes = map(int, done.stdout.split()[-2:])
    assert number == 64 and kilobytes < 1_500_000
