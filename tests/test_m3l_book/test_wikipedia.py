"""The paper's own data: fetched from a server that fails, read from files that are broken, joined,
and every loss counted.
"""

import bz2
import errno
import gzip
import io
import json
import os
import random
from collections import Counter

import huggingface_hub.constants
import miniature
import numpy as np
import pyarrow as pa
import pytest

from m3l import DataError, ParameterError
from m3l.files import write_json
from m3l_book.data import beforehand
from m3l_book.data.embed import embed_view
from m3l_book.data.prepare import prepare
from m3l_book.data.prepared import assemble
from m3l_book.data.sources import load_source
from m3l_book.data.sources import wikipedia as source
from m3l_book.wikipedia import albums, fetching, formats, hub, joining
from m3l_book.wikipedia.fetching import NotThere, Refused, Unreachable, fetch, fetch_first, get

HOST = "https://example.org/"


@pytest.fixture
def server(tmp_path, monkeypatch):
    root = tmp_path / "served"
    root.mkdir()
    monkeypatch.setattr(fetching, "WAIT", 0.001)
    fetching._checksums.cache_clear()
    fetching._session.cache_clear()
    with miniature.served(root) as one:
        monkeypatch.setenv(fetching.MIRROR, one.address)
        yield one


def put(server, name, content, host=HOST):
    path = miniature.place(server.root, host + name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return host + name


def noise(size):
    return random.Random(0).randbytes(size)


def asked(server):
    """What was asked for, the mirror's checksums aside."""
    return [entry for entry in server.asked if not entry[0].endswith("SHA256SUMS")]


# fetching


def test_file_is_fetched_once_and_checked(server, tmp_path):
    address = put(server, "a/b.bin", noise(10_000))
    path = fetch(address, tmp_path / "d")
    assert path.name == "b.bin" and path.read_bytes() == noise(10_000)
    assert fetch(address, tmp_path / "d") == path and len(asked(server)) == 1
    path.write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"b\.bin: not the file that was fetched"):
        fetch(address, tmp_path / "d")


def test_file_that_has_no_note_gets_one_so_that_later_damage_is_found(server, tmp_path):
    address, path = put(server, "b.bin", b"whole"), tmp_path / "d" / "b.bin"
    path.parent.mkdir()
    path.write_bytes(b"whole")
    assert fetch(address, tmp_path / "d") == path and asked(server) == []
    path.write_bytes(b"hole")
    with pytest.raises(DataError, match=r"b\.bin: not the file that was fetched"):
        fetch(address, tmp_path / "d")


def test_program_introduces_itself_as_it_is_told(server, monkeypatch):
    address = put(server, "b.bin", b"x")
    monkeypatch.setenv(fetching.AGENT, "a-course/1.0 (me@example.org)")
    assert get(address) == b"x"
    fetching._session.cache_clear()
    assert server.asked[0][1]["User-Agent"] == "a-course/1.0 (me@example.org)"
    monkeypatch.delenv(fetching.AGENT)
    get(address)
    assert server.asked[1][1]["User-Agent"].startswith("m3l-book/")


@pytest.mark.parametrize("fault", ["reset", 503, 429, 500])
def test_server_that_fails_now_and_then_is_asked_again(server, tmp_path, fault):
    address = put(server, "b.bin", noise(200_000))
    server.faults["b.bin"] = [fault, fault]
    assert fetch(address, tmp_path / "d").read_bytes() == noise(200_000)
    ranges = [headers.get("Range") for _, headers in asked(server)]
    assert any(ranges) == (fault == "reset"), "what had come was not asked for again"


def test_server_that_stays_busy_is_named(server):
    server.faults["b.bin"] = [503] * fetching.ATTEMPTS
    with pytest.raises(Unreachable, match=r"b\.bin: .*too many 503 error responses, 7 times"):
        get(put(server, "b.bin", b"x"))
    assert get(f"{HOST}b.bin") == b"x" and len(server.asked) == fetching.ATTEMPTS + 1


def test_interrupted_download_goes_on_from_where_it_was(server, tmp_path, monkeypatch):
    address = put(server, "b.bin", noise(300_000))
    server.faults["b.bin"] = ["reset"] * fetching.ATTEMPTS
    monkeypatch.setattr(fetching, "ATTEMPTS", 1)
    with pytest.raises(Unreachable, match=r"example\.org/b\.bin: .*1 times"):
        fetch(address, tmp_path / "d")
    assert not (tmp_path / "d" / "b.bin").exists()
    part = tmp_path / "d" / "b.bin.part"
    assert 0 < part.stat().st_size < 300_000
    server.faults.clear()
    assert fetch(address, tmp_path / "d").read_bytes() == noise(300_000)
    assert asked(server)[-1][1]["Range"].startswith("bytes=") and not part.exists()


def test_file_that_changed_since_the_interruption_is_fetched_from_its_beginning(
    server, tmp_path, monkeypatch
):
    address = put(server, "b.bin", noise(300_000))
    server.faults["b.bin"] = ["reset"]
    monkeypatch.setattr(fetching, "ATTEMPTS", 1)
    with pytest.raises(Unreachable):
        fetch(address, tmp_path / "d")
    put(server, "b.bin", b"another" * 50_000)
    assert fetch(address, tmp_path / "d").read_bytes() == b"another" * 50_000


def test_part_that_has_all_bytes_already_is_fetched_anew(server, tmp_path):
    address, part = put(server, "b.bin", b"whole"), tmp_path / "d" / "b.bin.part"
    part.parent.mkdir()
    part.write_bytes(b"whole")
    tag = f'"{miniature.sha256(part)[:16]}"'
    write_json(fetching._note_of(part), {"address": address, "tag": tag})
    assert fetch(address, tmp_path / "d").read_bytes() == b"whole"
    assert [headers.get("Range") for _, headers in asked(server)] == ["bytes=5-", None]


def test_server_that_says_each_time_that_nothing_is_left_is_asked_no_further(server, tmp_path):
    address = put(server, "b.bin", b"whole")
    server.faults["b.bin"] = [416] * (fetching.ATTEMPTS + 1)
    with pytest.raises(Unreachable, match=r"b\.bin: .*fewer bytes than came before, 7 times"):
        fetch(address, tmp_path / "d")
    assert len(asked(server)) == fetching.ATTEMPTS
    with pytest.raises(Refused, match=r"b\.bin: the server answers 416"):
        get(address)


def test_file_that_is_not_there_and_page_in_its_place_are_named(server, tmp_path):
    with pytest.raises(NotThere, match=r"no\.bin: the server answers 404"):
        fetch(f"{HOST}no.bin", tmp_path / "d")
    address = put(server, "b.bin", b"x")
    server.faults["b.bin"] = [410, "html", "html"]
    with pytest.raises(NotThere, match=r"b\.bin: the server answers 410"):
        get(address)
    for read in (lambda: fetch(address, tmp_path / "d"), lambda: get(address)):
        with pytest.raises(Refused, match="web page in place of the file"):
            read()
    assert not (tmp_path / "d" / "b.bin").exists()
    with pytest.raises(NotThere, match="larger than 0 bytes"):
        get(address, most=0)


@pytest.mark.parametrize("status", [400, 401, 403, 418])
def test_refusal_is_no_absence_and_its_answer_is_quoted(server, tmp_path, status):
    address = put(server, "b.bin", b"x")
    server.faults["b.bin"] = [status]
    with pytest.raises(Refused, match=rf"b\.bin: the server answers {status} .*: busy") as error:
        fetch(address, tmp_path / "d")
    assert error.value.status == status and not isinstance(error.value, NotThere)
    assert len(asked(server)) == 1, "it is not asked again"
    assert fetch(address, tmp_path / "d").read_bytes() == b"x"


def test_file_comes_from_the_first_of_its_addresses_that_has_it(server, tmp_path):
    lacking, there = f"{HOST}old.bin", put(server, "new.bin", b"x")
    assert fetch_first([lacking, there], tmp_path, "f.bin").read_bytes() == b"x"
    server.faults["old.bin"] = [403]
    with pytest.raises(Unreachable, match=r"f2 comes from none .*old\.bin.*403.*old\.bin.*404"):
        fetch_first([lacking, lacking], tmp_path, "f2")


def test_what_a_server_packs_for_the_way_is_resumed_by_what_it_sends(server, tmp_path, monkeypatch):
    """Ranges count the bytes that are sent; a file that is packed itself stays as it is."""
    data = noise(400_000)
    address, other = put(server, "b.bin", data), put(server, "c.csv.gz", gzip.compress(data))
    server.packed = {"b.bin": lambda plain: gzip.compress(plain, mtime=0), "c.csv.gz": bytes}
    server.faults["b.bin"] = ["reset"]
    assert fetch(address, tmp_path / "d").read_bytes() == data
    assert asked(server)[-1][1]["Range"].startswith("bytes=")
    assert gzip.decompress(fetch(other, tmp_path / "d").read_bytes()) == data
    assert get(other) == data, "what is read at once is unpacked"


def test_part_that_cannot_be_unpacked_is_removed(server, tmp_path):
    address = put(server, "b.bin", b"x" * 1000)
    server.packed = {"b.bin": bytes}
    with pytest.raises(Unreachable, match=r"not what its server says, packed by gzip"):
        fetch(address, tmp_path / "d")
    server.packed = {}
    assert not (tmp_path / "d" / "b.bin.part").exists()
    assert fetch(address, tmp_path / "d").read_bytes() == b"x" * 1000


@pytest.mark.parametrize("how", ["another part", "another file", "br"])
def test_part_that_is_not_what_was_asked_for_is_fetched_anew(server, tmp_path, how, monkeypatch):
    address, data = put(server, "b.bin", noise(300_000)), noise(300_000)
    server.faults["b.bin"] = ["reset"]
    real = miniature.Handler.send

    def send(handler, status, body, headers=(), half=False):
        headers = dict(headers)
        if status == 206 and how == "another part":
            body, headers["Content-Range"] = data, "bytes 0-299999/300000"
        if status == 206 and how == "another file":
            headers["ETag"] = '"other"'
        if how == "br":
            headers["Content-Encoding"] = "br"
        real(handler, status, body, headers, half)

    monkeypatch.setattr(miniature.Handler, "send", send)
    if how == "br":
        with pytest.raises(Unreachable, match="packs it for the way by 'br', unasked"):
            fetch(address, tmp_path / "d")
        assert not list((tmp_path / "d").glob("b.bin*"))[1:]
    else:
        assert fetch(address, tmp_path / "d").read_bytes() == data


def test_wikimedia_is_asked_by_nobody_who_cannot_be_reached_and_no_faster_than_it_allows(
    monkeypatch,
):
    monkeypatch.delenv(fetching.MIRROR, raising=False)
    picture = "https://upload.wikimedia.org/wikipedia/commons/a/ab/X.jpg"
    for agent in ("", "a-course/1.0", "m3l-book (me)"):
        monkeypatch.setenv(fetching.AGENT, agent)
        with pytest.raises(ParameterError, match=r"M3L_BOOK_USER_AGENT=.*a way to reach you"):
            get(picture)
        with pytest.raises(ParameterError, match="M3L_BOOK_USER_AGENT"):
            load_source("wikipedia", pixels="addresses")
        fetching.check_contact("https://example.org/a")
        fetching.check_contact("https://notwikimedia.org/a")
    monkeypatch.setenv(fetching.AGENT, "course of Łukasz (me@example.org)")
    fetching._session.cache_clear()
    with pytest.raises(ParameterError, match=r"M3L_BOOK_USER_AGENT=.*signs of ASCII"):
        get("https://example.org/a")
    for agent in ("a-course/1.0 (me@example.org)", "a-course/1.0 (https://example.org/course)"):
        monkeypatch.setenv(fetching.AGENT, agent)
        fetching.check_contact(picture)
    waited, now = [], iter(range(100))
    monkeypatch.setattr(fetching.time, "sleep", waited.append)
    monkeypatch.setattr(fetching.time, "monotonic", lambda: next(now) / 1000)
    assert b"".join(fetching._slowly(picture, [bytes(10**6)] * 2)) == bytes(2 * 10**6)
    assert waited == pytest.approx([0.32 - 0.001, 0.64 - 0.002])
    assert list(fetching._slowly("https://example.org/a", [b"x"])) == [b"x"] and len(waited) == 2


def test_wrong_checksum_is_named_and_the_file_is_fetched_anew(server, tmp_path):
    address = put(server, "b.bin", noise(5_000))
    right = miniature.sha256(miniature.place(server.root, address))
    server.faults["b.bin"] = ["corrupt"]
    with pytest.raises(DataError, match="its checksum is not"):
        fetch(address, tmp_path / "d", sha256=right)
    assert not (tmp_path / "d" / "b.bin").exists()
    assert miniature.sha256(fetch(address, tmp_path / "d", sha256=right)) == right


def test_mirror_states_the_checksums_of_its_copies(server, tmp_path):
    address = put(server, "a/b.bin", b"another list")
    with pytest.raises(DataError, match="its checksum is not"):
        fetch(address, tmp_path / "d", sha256="0" * 64)
    fetching._checksums.cache_clear()
    miniature.state_checksums(server.root)
    assert fetch(address, tmp_path / "d", sha256="0" * 64).read_bytes() == b"another list"
    server.faults["b.bin"] = ["corrupt"]
    with pytest.raises(DataError, match="its checksum is not"):
        fetch(address, tmp_path / "other")


def test_server_that_is_away_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "WAIT", 0.001)
    fetching._session.cache_clear()
    monkeypatch.setenv(fetching.MIRROR, "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"b\.bin: ConnectionError: .*refused, 7 times; the next"):
        get(f"{HOST}b.bin")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9/SHA256SUMS: ConnectionError"):
        fetch(f"{HOST}b.bin", tmp_path / "d")


def test_full_disk_leaves_what_came_and_no_file(server, tmp_path, monkeypatch):
    address = put(server, "b.bin", noise(3 << 20))
    written = []

    class Full(io.FileIO):
        def write(self, block):
            written.append(len(block))
            if len(written) > 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.name))
            return super().write(block)

    with monkeypatch.context() as patch:
        patch.setitem(vars(fetching), "open", Full)
        with pytest.raises(OSError, match=r"No space left.*b\.bin\.part"):
            fetch(address, tmp_path / "d")
    assert (tmp_path / "d" / "b.bin.part").stat().st_size == written[0]
    assert fetch(address, tmp_path / "d").read_bytes() == noise(3 << 20)


def test_no_address_of_a_file_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="not an address of a file"):
        get("file:///etc/passwd")


# reading


def packed(kind, data):
    return {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress}[kind](data)


@pytest.mark.parametrize("kind", ["plain", "gz", "bz2"])
def test_blocks_are_what_the_file_holds_whatever_packs_it(tmp_path, kind):
    data = noise(50_000) * 50
    (tmp_path / "f").write_bytes(packed(kind, data[: 10**6]) + packed(kind, data[10**6 :]))
    counts = Counter()
    read = list(formats.blocks(tmp_path / "f", counts))
    assert b"".join(read) == data and not counts and max(map(len, read)) <= formats.BLOCK


@pytest.mark.parametrize("kind", ["gz", "bz2"])
def test_file_cut_in_the_middle_gives_what_there_is_and_is_counted(tmp_path, kind):
    data = b"".join(b"line %d\n" % i for i in range(400_000))
    whole = packed(kind, data)
    for left in (len(whole) // 2, len(whole) - 1, 5):
        (tmp_path / "f").write_bytes(whole[:left])
        counts = Counter()
        read = b"".join(formats.blocks(tmp_path / "f", counts))
        assert data.startswith(read) and counts == {formats.CUT: 1}


def test_bomb_is_unpacked_block_by_block(tmp_path):
    import tracemalloc

    with gzip.open(tmp_path / "f", "wb") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    assert sum(map(len, formats.blocks(tmp_path / "f", Counter()))) == 300 << 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none: no such file"):
        list(formats.blocks(tmp_path / "none", Counter()))


EN, DE = ("Horse & cart", "The horse.\nIt eats grass."), ("Pferd", "Das Pferd frißt Gras.")


def corpora(tmp_path, *pairs):
    path = tmp_path / "corpora.xml"
    text = miniature.comparable(pairs)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_articles_are_read_with_their_titles_and_all_their_running_text(tmp_path):
    """Much of it stands in no paragraph: before the first, and behind headings and tables."""
    content = (
        "\nA <link target='x'>linked</link>  lead.<p>Para\ngraph.</p> tail <h>Part</h>"
        "behind<table><cell>1</cell></table>after"
        "<p>Of <math>x^2</math> it&#8217;s end.</p>\n"
    )
    raw = (
        '<articlePair id="7"><article name="Tom &amp; Jerry" lang="en"><categories name="A|B"/>'
        f'<content>{content}</content></article><article lang="de" name="Tom"><content/></article>'
        "</articlePair>"
    )
    counts = Counter()
    (_, first), (_, second) = formats.pairs(corpora(tmp_path, (EN, DE), raw), counts)
    assert first["en"].title == EN[0] and first["en"].text == EN[1] and first["de"].text == DE[1]
    assert second["en"].title == "Tom & Jerry" and second["de"].text == ""
    lines = ["A linked lead.", "Para graph.", "tail", "Part", "behind", "after", "Of it’s end."]
    assert second["en"].text.split("\n") == lines
    assert +counts == Counter({formats.TABLES: 4}), "a table in each article, and a formula"
    named = list(formats.titles(corpora(tmp_path, (EN, DE), raw), counts))
    assert named[0] == {"en": EN[0], "de": DE[0]} and len(named) == 2


@pytest.mark.parametrize(
    "broken",
    [
        '<articlePair id="9"><article lang="en" name="Cut">',
        '<articlePair id="9"><article lang="en" name="A"></article></articlePair>',
        '<articlePair id="9"><article lang="en" name="A"><content><p>x</content></article>'
        '<article lang="de" name="B"></article></articlePair>',
        "</articlePair>",
    ],
    ids=["cut", "one article", "not closed", "not begun"],
)
def test_broken_pair_is_counted_and_the_next_one_read(tmp_path, broken):
    counts = Counter()
    read = list(formats.pairs(corpora(tmp_path, (EN, DE), broken, (EN, DE)), counts))
    assert len([both for _, both in read if both]) == 2 and counts[formats.BROKEN_PAIR] == 1


def test_file_cut_within_a_pair_counts_it(tmp_path):
    path, counts = corpora(tmp_path, (EN, DE), (EN, DE)), Counter()
    path.write_bytes(path.read_bytes()[:-200])
    assert len(list(formats.pairs(path, counts))) == 1 and counts[formats.BROKEN_PAIR] == 1


def test_bytes_that_are_not_utf8_and_control_signs_are_survived(tmp_path):
    path, counts = corpora(tmp_path, (EN, DE), (EN, DE)), Counter()
    path.write_bytes(path.read_bytes().replace(b"eats", b"e\xffts\x0b", 1))
    (_, first), (_, second) = formats.pairs(path, counts)
    assert "e\ufffdts" in first["en"].text and second["en"].text == EN[1]
    assert counts[formats.PAIR_NOT_UTF8] == 1 and not counts[formats.BROKEN_PAIR]


@pytest.mark.parametrize("size", [7, 1000])
def test_pairs_that_lie_across_blocks_are_whole(tmp_path, monkeypatch, size):
    path = corpora(tmp_path, *[((f"T{i}", "x" * (i % 97)), DE) for i in range(300)])
    data = path.read_bytes()
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    monkeypatch.setattr(formats, "blocks", lambda *_: iter(parts))
    read = list(formats.titles(path, Counter()))
    assert [pair["en"] for pair in read] == [f"T{i}" for i in range(300)]


def test_entities_of_a_document_are_not_expanded(tmp_path):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]>'
    raw = (
        f'<articlePair id="1">{bomb}<article lang="en" name="A"><content><p>&a;</p></content>'
        '</article><article lang="de" name="B"></article></articlePair>'
    )
    counts = Counter()
    assert [both for _, both in formats.pairs(corpora(tmp_path, raw), counts)] == [{}]
    assert counts[formats.BROKEN_PAIR] == 1


def test_pictures_of_pages_are_read_from_the_hubs_table(tmp_path):
    vector = np.linspace(0, 1, 2048)
    rows = [("https://a/1.jpg", b"x", vector, [("en", "Horse"), ("fr", "Cheval"), ("de", "Pferd")])]
    rows += [("https://a/2.jpg", b"x", None, [("en", "Cow")])]
    rows += [("https://a/3.jpg", None, vector, [("de", ""), ("de", "Kuh")])]
    (tmp_path / "t").write_bytes(miniature.wit_table(rows))
    read = list(formats.page_pictures(tmp_path / "t", ("en", "de")))
    assert formats.picture_key("https://[x") == "", "no address of anything"
    assert [tuple(p) for p in read] == [
        ("en", "Horse", "https://a/1.jpg"),
        ("de", "Pferd", "https://a/1.jpg"),
        ("de", "Kuh", "https://a/3.jpg"),
    ], "what has no features is drawn by nobody"
    entries = pa.array([[{"language": "en", "page_title": "Horse"}], None, []])
    table = miniature.wit_rows(rows)
    place = table.schema.get_field_index("wit_features")
    table = table.set_column(place, "wit_features", entries)
    (tmp_path / "t").write_bytes(miniature.parquet(table))
    read = list(formats.page_pictures(tmp_path / "t", ("en", "de")))
    assert [tuple(p) for p in read] == [("en", "Horse", "https://a/1.jpg")], "an entry a page"


def test_other_table_than_the_hubs_is_named(tmp_path):
    (tmp_path / "t").write_text("a\tb\n1\t2\n")
    with pytest.raises(DataError, match="t: not a table in Parquet"):
        list(formats.page_pictures(tmp_path / "t", ("en",)))
    (tmp_path / "t").write_bytes(miniature.wikipedia_table("en", [("A", "a")]))
    with pytest.raises(
        DataError, match="no column image_url, image, embedding; it has id, url, ti"
    ):
        list(formats.published(tmp_path / "t", {"a"}))


def test_pixels_and_features_of_wanted_pictures_are_read(tmp_path):
    data, vector = miniature.picture("red"), np.linspace(0, 1, 2048, dtype=np.float32)
    rows = [("https://a/a.jpg", data, vector, []), ("https://a/b.jpg", None, vector[:5], [])]
    rows += [
        ("https://a/c.jpg", data, np.full(2048, np.nan), []),
        ("https://a/d.jpg", b"", None, []),
    ]
    (tmp_path / "t").write_bytes(miniature.wit_table(rows * 8))
    wanted = {f"a/{letter}.jpg" for letter in "abcd"}
    read = list(formats.published(tmp_path / "t", wanted))
    assert len(read) == 32 and read[0].key == "a/a.jpg" and read[0].data == data
    assert np.allclose(read[0].features, vector, atol=1e-6) and read[0].features.dtype == np.float32
    assert [(p.data, p.features) for p in read[1:4]] == [(None, None), (data, None), (None, None)]
    assert [p.key for p in formats.published(tmp_path / "t", {"a/c.jpg"})] == ["a/c.jpg"] * 8


def test_files_of_the_hub_are_listed_with_their_checksums(server, monkeypatch):
    name = "wikimedia/wit_base"
    for address, content in miniature.dataset(name, "data", [b"a", b"b"]).items():
        put(server, "", content, address)
    first, second = hub.files(name, "data")
    assert first[0].endswith(f"/resolve/{hub.REVISIONS[name]}/data/train-00000-of-00002.parquet")
    assert second[1] == miniature.hashlib.sha256(b"b").hexdigest()
    listing = f"{miniature.HUB}/api/datasets/{name}/tree/{hub.REVISIONS[name]}/data"
    small = [{"type": "file", "path": "data/a.parquet", "lfs": None}, {"type": "directory"}]
    put(server, "", json.dumps(small).encode(), listing)
    assert [checksum for _, checksum in hub.files(name, "data")] == [""], "too small for one"
    for content, message in ((b"[]", "no file in Parquet"), (b"{", "not a list of files")):
        put(server, "", content, listing)
        with pytest.raises(DataError, match=message):
            hub.files(name, "data")


# lists


def test_spellings_of_a_title_and_of_an_address_share_their_key():
    assert joining.title_key("Tom_& JERRY ") == joining.title_key("tom & jerry")
    assert joining.title_key("Cafe\u0301") == joining.title_key("Café")
    assert joining.title_key("Maße") != joining.title_key("Masse")
    same = "https://upload.wikimedia.org/a/%C3%A9_1.jpg", "http://Upload.wikimedia.org/a/é_1.jpg"
    assert formats.picture_key(same[0]) == formats.picture_key(same[1])
    assert joining.is_drawing("https://a/x.SVG") and not joining.is_drawing("https://a/x.svg.png")


def test_published_lists_are_read_with_what_is_odd_about_them(tmp_path):
    rows = [("pferd", "horse", "https://a/1.jpg"), ("kuh", "cow", "https://a/2.jpg")]
    odd = [rows[0], ("", "x", "https://a/3.jpg")]
    (tmp_path / "train").write_text(miniature.titles_list(rows + odd))
    (tmp_path / "test").write_text(miniature.titles_list(rows[:1]))
    listed = joining.read_lists(
        {"train": tmp_path / "train", "test": tmp_path / "test"}, ("en", "de")
    )
    assert list(listed.rows["split"]) == ["train", "train", "test"]
    assert listed.rows["article"].nunique() == 3, "an article stands in one split"
    assert listed.notes == {
        "train: rows of the list": 4,
        "train: rows with an empty cell": 1,
        "train: rows that stand in the list already": 1,
        "test: rows of the list": 1,
        "pairs of articles in both lists": 1,
    }
    with pytest.raises(DataError, match="none: no such file"):
        joining.read_lists({"train": tmp_path / "none"}, ("en", "de"))
    (tmp_path / "train").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column en_title, de_title, image_url; it has a, b"):
        joining.read_lists({"train": tmp_path / "train"}, ("en", "de"))


def test_drawn_tuples_follow_the_recipe_and_the_seed():
    pairs = {(f"e{i}", f"d{i}"): [f"https://a/{i}-{j}.jpg" for j in range(3)] for i in range(30)}
    listed = joining.drawn(pairs, ("en", "de"), 20, 5, seed=1)
    counted = listed.rows["split"].value_counts()
    assert counted["train"] == 20 and counted["test"] == 15, "one picture, and all of them"
    assert listed.rows["article"].nunique() == 25
    same = joining.drawn(dict(reversed(pairs.items())), ("en", "de"), 20, 5, seed=1)
    assert listed.rows.equals(same.rows)
    assert not listed.rows.equals(joining.drawn(pairs, ("en", "de"), 20, 5, seed=2).rows)
    with pytest.raises(DataError, match="30 pairs of articles have a picture; 30 and 5 are asked"):
        joining.drawn(pairs, ("en", "de"), 30, 5, seed=1)


# joining


def test_articles_that_are_not_found_are_counted_by_their_reason(tmp_path):
    others = ((("Cow", "x" * 30), ("Kuh", "y")), (("Owl", "o"), ("Uhu", "u")))
    raw = '<articlePair id="9"><article lang="en" name="A < B"><content>a</content></article>'
    raw += '<article lang="de" name="C"><content>c</content></article></articlePair>'
    path = corpora(tmp_path, ((EN[0], "short"), DE), (EN, DE), *others, raw)
    asked = {("horse & cart", "pferd"), ("cow", "kuh"), ("owl", "eule"), ("ant", "ameise")}
    found = joining.find_pairs(path, {*asked, ("a < b", "c")}, ("en", "de"), 20)
    assert set(found.articles) == {("horse & cart", "pferd")}
    assert found.missing == {
        ("cow", "kuh"): joining.SHORT,
        ("owl", "eule"): joining.OTHER_PAIR,
        ("ant", "ameise"): joining.NO_PAIR,
        ("a < b", "c"): joining.BROKEN,
    }


def test_articles_of_the_hub_are_found_by_their_titles_in_small_letters(server, tmp_path):
    english = [("Horse & cart", "h" * 30), ("Cow", "c" * 30), ("HORSE & CART", "other" * 9)]
    german = [("Pferd", "p" * 30), ("Kuh", "k")]
    for language, rows in (("en", english), ("de", german)):
        table = miniature.wikipedia_table(language, rows)
        folder = f"{joining.DUMP}.{language}"
        for address, content in miniature.dataset("wikimedia/wikipedia", folder, [table]).items():
            put(server, "", content, address)
    asked = {("horse & cart", "pferd"), ("cow", "kuh"), ("owl", "uhu"), ("ant", "pferd")}
    found = joining.find_articles(asked, ("en", "de"), tmp_path, 20)
    both = found.articles[("horse & cart", "pferd")]
    assert both["en"] == formats.Article(*english[0]) and both["de"].text == "p" * 30
    assert found.missing == {
        ("cow", "kuh"): joining.SHORT,
        ("owl", "uhu"): f"{joining.NO_ARTICLE} (en and de)",
        ("ant", "pferd"): f"{joining.NO_ARTICLE} (en)",
    }
    assert found.counts == {joining.SAME_TITLE: 1}
    count = len(asked_for_tables(server))
    joining.find_articles(asked, ("en", "de"), tmp_path, 20)
    assert len(asked_for_tables(server)) == count == 2, (
        "what was looked through is not fetched again"
    )


def asked_for_tables(server):
    return [path for path, _ in server.asked if path.startswith("/cdn/")]


def test_pairs_with_a_picture_on_a_page_of_either_language_are_found(tmp_path):
    path = corpora(tmp_path, (EN, DE), (("Cow", "c"), ("Kuh", "k")), (("Owl", "o"), ("Uhu", "u")))
    rows = [("en", "Horse & cart", "https://a/1.jpg"), ("de", "Pferd", "https://a/2.jpg")]
    rows += [
        ("en", "Cow", "https://a/3.svg"),
        ("en", "Uhu", "https://a/4.jpg"),
        ("de", "Uhu", HOST),
    ]
    pictures = [formats.PagePicture(*row) for row in rows]
    there = joining.illustrated_pairs(path, pictures, ("en", "de"), Counter())
    assert there == {
        ("horse & cart", "pferd"): ["https://a/1.jpg", "https://a/2.jpg"],
        ("owl", "uhu"): [HOST],
    }


# the whole corpus


ENGLISH = ["river", "water", "bridge", "boat", "fish", "star", "planet", "moon", "sky", "light"]
GERMAN = ["fluss", "wasser", "brücke", "boot", "fische", "stern", "planet", "mond", "luft", "licht"]
WORDS = {"en": ENGLISH, "de": GERMAN}


def world(articles=24):
    """Pairs of articles, pictures of their pages, and lists as the authors have them."""
    rng = random.Random(0)
    pairs, pictures, rows = [], [], []
    for i in range(articles):
        topic = slice(0, 5) if i % 2 else slice(5, 10)
        texts = [
            " ".join(rng.choices(WORDS[v][topic], k=40)) + f" {v}{chr(97 + i)}x"
            for v in ("en", "de")
        ]
        pairs.append(((f"Title {i}", texts[0]), (f"Titel {i}", texts[1])))
        address = f"https://upload.wikimedia.org/wikipedia/commons/a/ab/Picture_{i}.jpg"
        pictures.append(("en", f"Title {i}", address, miniature.picture((i * 9, i, 200 - i))))
        rows.append((f"titel {i}", f"title {i}", address))
    more = "https://upload.wikimedia.org/wikipedia/commons/a/ab/More.png"
    pictures.append(("de", "Titel 23", more, miniature.picture("green")))
    return pairs, pictures, rows[:18], [*rows[18:], (*rows[23][:2], more)]


@pytest.fixture
def wikipedia(server):
    miniature.write(server.root, *world())
    return server


OPTIONS = {"least_text": 50, "validation": 0.2}


@pytest.mark.parametrize("pixels", ["published", "addresses"])
@pytest.mark.parametrize("texts", ["2023", "2014"])
def test_the_authors_tuples_are_found_joined_and_prepared(wikipedia, tmp_path, texts, pixels):
    given = OPTIONS | {"texts": texts, "pixels": pixels, "folder": str(tmp_path / "d")}
    tuples = load_source("wikipedia", **given)
    assert tuples.card["join"] == {
        "train": {"rows": 18, "found": 18},
        "test": {"rows": 7, "found": 7},
    }
    card = prepare(tuples, tmp_path / "p", vocabulary_size=20, min_words=5)
    assert card["counts"]["test"] == {"tuples": 7, "articles": 6, "illustrated": 6, "pictures": 7}
    assert card["counts"]["validation"]["articles"] == 3
    vectors = embed_view(tmp_path / "p", "image", "resnet-50", tmp_path / "e", tmp_path / "c")
    assert vectors.shape == (25, 2048) and np.isfinite(vectors).all()
    asked = len(wikipedia.asked)
    again = load_source("wikipedia", **given)
    assert again.frame.equals(tuples.frame)
    assert wikipedia.asked[asked:] == [], "nothing is asked for twice"
    assert wikipedia.most == 1, "one connection at a time"
    assert not list((tmp_path / "d" / "shards").glob("*.parquet")), "what was looked through goes"


def test_a_fresh_split_is_drawn_where_the_authors_is_not_to_be_had(wikipedia, tmp_path):
    given = OPTIONS | {"split": "random", "train": 15, "test": 5, "folder": str(tmp_path / "d")}
    tuples = load_source("wikipedia", **given)
    assert tuples.card["join"]["train"] == {"rows": 15, "found": 15}
    again = load_source("wikipedia", **given)
    assert again.frame.equals(tuples.frame)
    with pytest.raises(DataError, match="24 pairs of articles have a picture; 30 and 5 are asked"):
        load_source("wikipedia", **given | {"train": 30})


def test_published_split_stays_as_it_is_or_loses_what_leaks(wikipedia, tmp_path):
    pairs, pictures, train, test = world()
    miniature.write(wikipedia.root, pairs, pictures, [*train, test[0], test[1]], test)
    given = OPTIONS | {"validation": 0.0, "folder": str(tmp_path / "d")}
    tuples = load_source("wikipedia", **given)
    assert "pairs of articles in both lists: 2" in tuples.card["notes"]
    how = {"vocabulary_size": 20, "min_words": 5}
    with pytest.raises(DataError, match="2 training tuples do so in all; pass leakage='drop'"):
        prepare(tuples, tmp_path / "p", **how)
    kept = prepare(tuples, tmp_path / "kept", leakage="keep", **how)
    clean = prepare(tuples, tmp_path / "clean", leakage="drop", **how)
    assert kept["counts"]["train"]["tuples"] == clean["counts"]["train"]["tuples"] + 2 == 20
    assert kept["counts"]["test"] == clean["counts"]["test"]
    for folder in ("kept", "clean"):  # both are corpora, in which no item stands in two parts
        vectors = embed_view(
            tmp_path / folder, "image", "resnet-50", tmp_path / "e", tmp_path / "c"
        )
        assert len(vectors) == kept["counts"]["test"]["pictures"] + (20 if folder == "kept" else 18)
        for view in ("en", "de"):
            embed_view(
                tmp_path / folder, view, f"corpus-lsi-{view}", tmp_path / "e", tmp_path / "c"
            )
        encoders = {"en": "corpus-lsi-en", "de": "corpus-lsi-de", "image": "resnet-50"}
        assert len(assemble(tmp_path / folder, tmp_path / "e", encoders).part("test")) == 7
    assert any("scores of the test part are too good" in line for line in kept["warnings"])
    assert not any("too good" in line for line in clean["warnings"])


def test_every_loss_is_counted_and_the_rest_survives(wikipedia, tmp_path):
    miniature.break_some(wikipedia.root)
    tuples = load_source("wikipedia", folder=str(tmp_path / "d"), **OPTIONS)
    told = " | ".join(tuples.card["notes"])
    for what in (formats.NO_PIXELS, albums.UNREADABLE, formats.NO_FEATURES):
        assert f"{what}: 1" in told
    assert albums.NOT_PUBLISHED not in told, "what is broken is counted once"
    join = tuples.card["join"]
    lost = sum(part.get(source.NO_PICTURE, 0) for part in join.values())
    assert lost == 3 and sum(part["found"] for part in join.values()) == 22 == len(tuples.frame)


def test_what_a_note_names_and_is_gone_is_taken_again(wikipedia, tmp_path):
    given = OPTIONS | {"folder": str(tmp_path / "d")}
    whole = load_source("wikipedia", **given)
    for place in ("pictures", "features"):
        next(iter((tmp_path / "d" / place).iterdir())).unlink()
        again = load_source("wikipedia", **given)
        (tmp_path / place).mkdir()
        assert len(again.write_images(tmp_path / place)) == 25, "none is lacking"
        assert np.array_equal(again.given["resnet-50"][1], whole.given["resnet-50"][1])
    by_address = load_source("wikipedia", **given, pixels="addresses")
    kept = next(iter((tmp_path / "d" / "fetched" / "pictures").iterdir()))
    kept.unlink()
    load_source("wikipedia", **given, pixels="addresses")
    assert kept.is_file() and by_address.frame.equals(whole.frame)


def test_nothing_is_fetched_of_pictures_where_no_text_is_found(wikipedia, tmp_path):
    with pytest.raises(DataError, match=r"no tuple of the lists has both texts: .*too short"):
        load_source("wikipedia", folder=str(tmp_path / "d"), least_text=10_000)
    assert not [path for path, _ in wikipedia.asked if "wit_base" in path]


def test_picture_without_a_file_is_missing_and_not_asked_for_again(wikipedia, tmp_path):
    gone = [miniature.place(wikipedia.root, albums.smaller(world()[1][i][2])) for i in (2, 3)]
    for path in gone:
        path.unlink()
    given = OPTIONS | {"pixels": "addresses", "folder": str(tmp_path / "d")}
    tuples = load_source("wikipedia", **given)
    assert f"{albums.MISSING}: 2" in tuples.card["notes"]
    assert tuples.card["join"]["train"][source.NO_PICTURE] == 2
    before = len(wikipedia.asked)
    again = load_source("wikipedia", **given)
    assert again.frame.equals(tuples.frame)
    assert not [path for path, _ in wikipedia.asked[before:] if "Picture" in path]


@pytest.mark.parametrize("fault", [403, 401, "html"])
def test_refused_picture_stops_the_whole_and_is_there_when_it_is_given(wikipedia, tmp_path, fault):
    """Wikimedia refuses who cannot be reached; that says nothing of a file."""
    wikipedia.faults = {"330px-Picture_2.jpg": [fault]}
    given = OPTIONS | {"pixels": "addresses", "folder": str(tmp_path / "d")}
    with pytest.raises(Refused, match=r"Picture_2\.jpg"):
        load_source("wikipedia", **given)
    tuples = load_source("wikipedia", **given)
    assert len(tuples.frame) == 25 and albums.MISSING not in " ".join(tuples.card["notes"])


@pytest.mark.parametrize("fault", [400, 404, 500])
def test_original_is_taken_where_no_smaller_picture_is_made_of_it(
    wikipedia, tmp_path, fault, monkeypatch
):
    address = world()[1][2][2]
    wikipedia.faults = {"330px-Picture_2.jpg": [fault] * (14 if fault == 500 else 2)}
    place = miniature.place(wikipedia.root, address)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(miniature.picture("green", side=40))
    given = OPTIONS | {"pixels": "addresses", "folder": str(tmp_path / "d")}
    tuples = load_source("wikipedia", **given)
    assert len(tuples.frame) == 25
    monkeypatch.setattr(albums, "LARGEST", 10)
    tuples = load_source("wikipedia", **given | {"folder": str(tmp_path / "other")})
    assert len(tuples.frame) == 24 and f"{albums.MISSING}: 1" in tuples.card["notes"]


def test_share_of_the_lists_is_said_before_pictures_are_fetched(
    wikipedia, tmp_path, monkeypatch, capsys
):
    pairs, pictures, train, test = world()
    miniature.write(
        wikipedia.root, pairs, pictures, [*train, ("nein", "no", train[0][2])] * 1, test
    )
    loaded = []
    monkeypatch.setattr(beforehand, "get_encoder", lambda *given: loaded.append(given))
    encoders = {
        "en": "all-mpnet-base-v2",
        "de": ["use-multilingual"],
        "image": ["clip-ViT-B-32", "resnet-50"],
    }
    corpus = {"source": {"folder": str(tmp_path / "d"), "least_text": 50}, "encoders": encoders}
    other = corpus | {"source": {"from": "wikipedia", **corpus["source"]}}
    corpora = {"wikipedia": corpus, "same": other, "emoji": {"source": {}, "encoders": {}}}
    profile = {"max_tokens": 99, "corpora": corpora}
    write_json(tmp_path / "profile.json", profile)
    monkeypatch.setattr("sys.argv", ["beforehand", str(tmp_path / "profile.json")])
    beforehand.main()
    assert loaded == [("all-mpnet-base-v2", "text", 99), ("clip-ViT-B-32", "image", 99)]
    *loads, said = capsys.readouterr().out.splitlines()
    assert len(loads) == 2
    assert said.startswith(
        "wikimedia/wikipedia, the dump of November 2023: both articles are found"
    )
    assert (
        "for 100.0% of the rows to test and 94.7% of the rows to train. With texts: '2014'" in said
    )
    assert not [path for path, _ in wikipedia.asked if "wit_base" in path]


def test_pictures_of_wikimedia_are_asked_for_in_the_width_that_is_read():
    begin = "https://upload.wikimedia.org/wikipedia/commons"
    name = "A_b%2C_c.tif"
    small = albums.smaller(f"{begin}/a/ab/{name}")
    assert small == f"{begin}/thumb/a/ab/A_b,_c.tif/lossy-page1-330px-A_b,_c.tif.jpg"
    assert albums.smaller(f"{begin}/a/ab/X.webp").endswith("/X.webp/330px-X.webp.png")
    assert albums.smaller("https://example.org/x.jpg") == "https://example.org/x.jpg"
    long = "%C2%AB" * 78 + ".jpg"  # 160 bytes
    assert albums.smaller(f"{begin}/a/ab/{long}").endswith(f"/{long}/330px-{long}")
    long = f"x{long}"
    assert albums.smaller(f"{begin}/a/ab/{long}").endswith(f"/{long}/330px-thumbnail.jpg")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "mine"}, "split='mine' is unknown"),
        ({"languages": "en"}, "expected en,de or de,en"),
        ({"languages": "en,fr"}, "expected en,de or de,en"),
        ({"least_text": 0}, "least_text=0: expected 1 or more"),
        ({"pixels": "all"}, "pixels='all' is unknown"),
        ({"texts": "2015"}, "texts='2015' is unknown; valid: 2014, 2023"),
    ],
)
def test_options_are_checked_before_anything_is_fetched(options, message):
    with pytest.raises(ParameterError, match=message):
        load_source("wikipedia", **options)


def test_shares_of_the_encoding_are_what_the_whole_takes(wikipedia, tmp_path, monkeypatch):
    from m3l_book.data import embed
    from m3l_book.encoders.spaces import Encoder

    tuples = load_source("wikipedia", folder=str(tmp_path / "d"), **OPTIONS)
    prepare(tuples, tmp_path / "p", vocabulary_size=20, min_words=5)
    seen = []

    def fake(name, kind, *_):
        def vectors(items):
            seen.extend(map(str, items))
            return np.array([[len(str(item)), 1.0] for item in items], np.float32)

        return Encoder(name, kind, name, name, vectors)

    monkeypatch.setattr(embed, "get_encoder", fake)
    for view, items in (("en", 24), ("image", 25)):
        shares = [
            embed.encode_share(tmp_path / "p", view, "fake", tmp_path / "c", i, 3) for i in range(3)
        ]
        assert sum(shares) == items == len(seen) and max(shares) - min(shares) <= 1
        vectors = embed_view(tmp_path / "p", view, "fake", tmp_path / "e", tmp_path / "c")
        assert len(seen) == items and len(vectors) == items, "nothing is encoded twice"
        seen.clear()
    with pytest.raises(ParameterError, match="share=3 of 3: expected 0 to below it"):
        embed.encode_share(tmp_path / "p", "en", "fake", tmp_path / "c", 3, 3)
    with pytest.raises(ParameterError, match="trained on the corpus; it has no shares"):
        embed.encode_share(tmp_path / "p", "en", "corpus-lsi-en", tmp_path / "c", 0, 3)


def test_a_list_of_files_is_of_the_server_that_is_named_now(tmp_path, monkeypatch):
    asked = []

    def listed(dataset, folder):
        return [(f"{huggingface_hub.constants.ENDPOINT}/a.parquet", "")]

    def fetched(address, *_):
        asked.append(address)
        raise Unreachable(address)

    monkeypatch.setattr(hub, "files", listed)
    monkeypatch.setattr(hub, "fetch", fetched)
    for server in ("https://one.example", "https://two.example"):
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server)
        with pytest.raises(Unreachable):
            list(hub.taken("wikimedia/wit_base", "data", ["x"], tmp_path, lambda _: 1))
    assert asked == ["https://one.example/a.parquet", "https://two.example/a.parquet"]


def test_a_picture_under_two_addresses_is_drawn_once():
    pairs = {
        ("a", "b"): ["http://u.org/%C3%A9.jpg", "https://u.org/é.jpg"],
        ("c", "d"): ["http://u"],
    }
    for seed in range(4):
        rows = joining.drawn(pairs, ["en", "de"], 1, 1, seed).rows
        assert not rows.duplicated(["article", "picture"]).any()
