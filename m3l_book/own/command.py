"""``m3l-book``: a table looked at, and a book made of it."""

import argparse
import io
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from m3l.errors import M3LError, require
from m3l.files import atomic, digest, digest_file, read_json

from ..data.sources import SOURCES
from ..data.tables import several
from ..encoders.spaces import EncoderUnavailable
from ..values import write_yaml
from .inspecting import Facts, inspect
from .profile import MODELS, Wishes, make_profile, read_profile
from .reckoning import in_words, seconds_of

ROOT = Path(__file__).resolve().parents[2]
STAMP = "made by m3l-book, "
OPENING = """# A profile of {table}.
# Change what you like, and give the command again; it keeps a profile that you changed.
# {stamp}
"""
# options of the table that go into the profile as they are
READING = ("delimiter", "encoding", "missing", "picture_separator", "markup", "bad_pictures")


def corpus_name(path: Path, given: str) -> str:
    """Return what the corpus is called: as given, or as its file, in letters of a folder's name; a
    name without Latin letters or digits gives some of its own.
    """
    plain = unicodedata.normalize("NFKD", path.stem).encode("ascii", "ignore").decode()
    name = given or re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()
    fits = not given or re.fullmatch(r"[A-Za-z0-9_-]+", given)
    require(bool(fits), f"--name {given!r}: expected letters, digits, - and _")
    taken = {"smoke", "laptop", "full", "paper", "manuals", "languages", *SOURCES}
    taken |= {"results", "cache", "downloads", "lock"}  # folders that builds write
    return f"my-{name}" if name in taken else name or f"table-{digest(path.stem)[:6]}"


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (equals and key and value):
        raise argparse.ArgumentTypeError(f"{text!r}: expected LANGUAGE=VALUE")
    return key, value


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}: expected {least} or more")
        return int(text)

    return number


def parser() -> argparse.ArgumentParser:
    """Make the command line."""
    top = argparse.ArgumentParser(prog="m3l-book", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    looking = "say in seconds what is odd about a table, and what will be done"
    check, mine = (
        commands.add_parser("check", help=looking),
        commands.add_parser("mine", help="make a book of a table"),
    )
    for command in (check, mine):
        command.formatter_class = argparse.ArgumentDefaultsHelpFormatter
        _add_table_options(command.add_argument)
        _add_model_options(command.add_argument)
    mine.add_argument("--anew", action="store_true", help="write a profile again that was changed")
    goes_on = "train M3L-Contrast also from the weights it has, which are kept with their corpus"
    about = f"{goes_on} as <name>-before; for a table that has more rows now"
    mine.add_argument("--continue", action="store_true", dest="continued", help=about)
    mine.add_argument("--profile-only", action="store_true", help="make no book, but its profile")
    mine.add_argument("--cores", default="all", type=_cores, help="all, or a number")
    return top


def _add_table_options(add: Callable) -> None:
    about = ".csv, .tsv, .xlsx or .parquet with a column <lang>_text a language"
    add("table", type=Path, help=about)
    add("--languages", default="", help="as en,de; by default all that have a column")
    add("--pictures", default="", metavar="FOLDER", help="of the files that the table names")
    for what in ("text", "title"):
        about = f"which column holds a language's {what}s, as en=English"
        of = {"nargs": "+", "default": [], "type": _pair, "metavar": "LANGUAGE=COLUMN"}
        add(f"--{what}", action="extend", **of, help=about)
    for what in ("picture", "id", "article", "split", "category", "date"):
        add(f"--{what}-column", default="", metavar="COLUMN")
    add("--pictures-too", action="store_true", help="look at each picture before anything else")
    add("--picture-separator", default="", metavar="SIGN", help="between several in a cell")
    add("--delimiter", default="", help="between cells; by default found in the header")
    add("--encoding", default="", help="of a text file; by default UTF-8")
    add("--missing", nargs="+", default=[], metavar="WORD", help="that stands for nothing: NULL")
    add("--markup", choices=("keep", "strip"), default="keep", help="HTML in the texts")
    add("--bad-pictures", choices=("error", "missing"), default="error")
    add("--licence", default="not stated")


def _cores(text: str) -> str:
    return text if text == "all" else str(_at_least(1)(text))


def _numbers(text: str) -> list[int]:
    """Read numbers of topics: ``20``, or ``10,20,40``."""
    return sorted({_at_least(2)(part.strip()) for part in text.split(",")})


def _add_model_options(add: Callable) -> None:
    zero, one = _at_least(0), _at_least(1)
    add("--name", default="", help="of the corpus; by default the file's")
    full = "all models of the paper, three seeds, and a learning curve; by default the models whose"
    add("--full", action="store_true", help=f"{full} topics have words in every language, once")
    several = "by default one for 25 articles, 5 to 100; several as 10,20,40, to choose among"
    add("--topics", type=_numbers, default=[], metavar="N", help=several)
    add("--over", default="", metavar="COLUMN", help="date or category that topics are drawn over")
    add("--epochs", type=zero, default=0, help="0: 100, and more of a small corpus")
    add("--batch-size", type=zero, default=0, help="0: 32, and less of a small corpus")
    add("--seeds", type=zero, default=0, help="how often each model is trained; 0: 1, of --full 3")
    add("--sweeps", type=one, default=1000, help="of PLTM's sampler")
    sizes = "of training articles that models learn from too, for the learning curve, or none"
    sizes += "; by default none, of --full 100, 400, 1600 …"
    add("--sizes", nargs="+", metavar="N", help=sizes)
    add("--models", nargs="+", default=[], choices=MODELS, help="by default M3L-Contrast and PLTM")
    pairs = {"nargs": "+", "default": [], "type": _pair}
    add("--encoders", **pairs, metavar="VIEW=NAME", help="as en=minilm-en")
    add("--vocabulary", type=zero, default=0, help="words per language; 0: 2,000 or what there is")
    add("--min-words", type=zero, default=0, help="of a document; 0: by the texts' length")
    add("--stopwords", **pairs, metavar="LANGUAGE=FILE", help="a word a line")
    blanks = "whose words have blanks between them"
    add("--segmented", nargs="+", default=[], metavar="LANGUAGE", help=blanks)
    add("--near-duplicates", choices=("report", "drop"), default="report")


def look(options: argparse.Namespace) -> Facts:
    """Look at the table that the options are about."""
    kinds = {what: what for what in ("id", "article", "split", "category", "date")}
    kinds["image"] = "picture"
    columns = {what: getattr(options, f"{name}_column") for what, name in kinds.items()}
    chosen = [language.strip() for language in options.languages.split(",") if language.strip()]
    names = {f"{of}_text": column for of, column in options.text}
    names |= {f"{of}_title": column for of, column in options.title}
    given = {option: getattr(options, option) for option in READING}
    given |= {"names": names, "decode": options.pictures_too, "over": options.over}
    return inspect(options.table.resolve(), chosen, options.pictures, columns, **given)


def wishes_of(options: argparse.Namespace) -> Wishes:
    """Collect what the options ask for."""
    given = {f.name: getattr(options, f.name) for f in fields(Wishes) if hasattr(options, f.name)}
    source = {option: getattr(options, option) for option in READING if getattr(options, option)}
    source["licence"] = options.licence
    if options.pictures:
        source["image_folder"] = str(Path(options.pictures).resolve())
    prepare: dict[str, object] = {"near_duplicates": options.near_duplicates}
    for of, file in options.stopwords:
        there = f"--stopwords {of}={file}: no such file; expected a word a line"
        require(Path(file).is_file(), there)
    if options.stopwords:
        prepare["stopwords"] = {of: str(Path(file).resolve()) for of, file in options.stopwords}
    if options.segmented:
        prepare["segmented"] = options.segmented
    if options.sizes:
        sizes = [size for size in options.sizes if size != "none"]
        wrong = f"--sizes {' '.join(options.sizes)}: expected integers"
        require(all(map(str.isdecimal, sizes)), wrong)
        given["sizes"] = list(map(int, sizes))
    name, encoders = corpus_name(options.table, options.name), dict(options.encoders)
    own = {"name": name, "encoders": encoders, "source": source, "prepare": prepare}
    return Wishes(**{**given, **own})


def report(facts: Facts, said: list[str]) -> str:
    """Say what was found, in lines."""
    texts = ", ".join(f"{n:,} in {language}" for language, n in facts.texts.items())
    pictures = f"; {facts.pictures:,} pictures" if facts.pictures else ""
    lines = [f"{facts.path.name}: {facts.articles:,} articles; texts: {texts}{pictures}"]
    lines += [f"  {note}" for note in [*facts.notes, *said]]
    if facts.problems:
        lines.append(f"It is refused as it stands: {several(facts.problems)}")
    return "\n".join(lines)


def write_profile(profile: dict, table: Path, anew: bool) -> tuple[Path, str]:
    """Write a profile where builds look for it; return its path and what there is to say.

    One that the user changed stays, unless ``anew``. Runs of an earlier command stay beside those
    of this one, while the corpus is the same; so do names and merges of topics.

    Raises
    ------
    ParameterError
        The profile of that name is of another table.
    """
    name, said = profile["profile"], ""
    path = ROOT / "workflow" / "profiles" / f"{name}.yaml"
    if path.is_file():
        before = read_profile(path)
        of = before.get("corpora", {}).get(name, {}).get("source", {}).get("path", "")
        other = f"{path.relative_to(ROOT)} is of another table, {of}; give this one a --name"
        require(of == str(table), other)
        if not anew and f"{STAMP}{_stamp(before)}" not in path.read_text(encoding="utf-8"):
            return path, " (as you changed it; --anew writes it again)"
        profile, said = together(before, profile)
        if profile == before:
            return path, said
    opening = OPENING.format(table=table, stamp=f"{STAMP}{_stamp(profile)}")
    with atomic(path) as temporary:
        temporary.write_text(opening + write_yaml(profile), encoding="utf-8")
    return path, said


def _stamp(profile: dict) -> str:
    """A digest of a profile without what the user says of its topics, which changes no run."""
    return digest(write_yaml({**profile, "topics": {}}))[:16]


def topics_before(name: str) -> list[int]:
    """Return the numbers of topics that the profile of a name has runs of."""
    path = ROOT / "workflow" / "profiles" / f"{name}.yaml"
    there = f"--continue: {path.name} is not there; make a book of the table first"
    require(path.is_file(), there)
    runs = read_profile(path).get("runs", [])
    return sorted({run["topics"] for run in runs if run["model"] == "M3L-Contrast"})


def keep_before(profile: dict, table: Path) -> None:
    """Keep a corpus and its runs as they are under ``<name>-before``, in place of what is kept
    there; nothing is done if the corpus is of today's table and some are kept already, as when the
    same command goes on. `ParameterError` if the runs to be gone on from are not there.
    """
    name = profile["profile"]
    card = ROOT / "data" / name / "prepared" / name / "card.json"
    today = card.is_file() and digest_file(table) in read_json(card)["sha256"].values()
    kept = today and (ROOT / "runs" / f"{name}-before").is_dir()
    folder = f"runs/{name}-before" if kept else f"runs/{name}"
    going_on = [run for run in profile["runs"] if "protocol" in run]
    for start, seed in ((r["protocol"]["start"], s) for r in going_on for s in r["seeds"]):
        begun = f"{folder}/{Path(start).name}-s{seed}"
        missing = f"--continue: {begun} is not there; train it first"
        require((ROOT / begun / "model.safetensors").is_file(), missing)
    if kept:
        return
    for folder in ("runs", "data"):
        before = ROOT / folder / name
        with atomic(ROOT / folder / f"{name}-before", directory=True) as temporary:
            for path in before.rglob("*"):
                if path.is_file():
                    target = temporary / path.relative_to(before)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.link(path, target)


def together(before: dict, profile: dict) -> tuple[dict, str]:
    """Return a profile with the runs that an earlier command asked for, if both are of the same
    corpus, and with the topics' names and merges; and say which runs are made again, or stay.
    """
    profile = {**profile, "topics": (before.get("topics") or {}) | profile["topics"]}
    if before["corpora"] != profile["corpora"]:
        again = " (the corpus is read or encoded otherwise than before: its runs are made anew)"
        return profile, again
    new = {run["name"] for run in profile["runs"]}
    stay = [run for run in before["runs"] if run["name"] not in new]
    seeds = {run["name"]: run["seeds"] for run in before["runs"]}
    for run in profile["runs"]:
        run["seeds"] = sorted({*run["seeds"], *seeds.get(run["name"], ())})
    of = [grid["of"] for grid in profile["grids"]]
    grids = [grid for grid in before.get("grids", []) if grid["of"] not in of]
    profile["runs"], profile["grids"] = [*stay, *profile["runs"]], [*grids, *profile["grids"]]
    return profile, f" (beside {len(stay)} models of earlier commands)" if stay else ""


def run(options: argparse.Namespace) -> int:
    """Look at the table and say what would be done, or do it; return the exit status."""
    facts = look(options)
    if facts.problems:
        print(report(facts, []))
        return 1
    wishes = wishes_of(options)
    if wishes.continued and not wishes.topics:
        wishes = replace(wishes, topics=topics_before(wishes.name))
    profile, said = make_profile(facts, wishes)
    will_take = in_words(seconds_of(facts, profile))
    if options.command == "check":
        (corpus,) = profile["corpora"].values()
        encoders = ", ".join(f"{view} by {names[0]}" for view, names in corpus["encoders"].items())
        models = sum(len(run["seeds"]) for run in profile["runs"])
        said.append(f"m3l-book mine would encode {encoders}, and train {models} models")
        said.append(f"it would take {will_take}")
    print(report(facts, said))
    if options.command == "check":
        return 0
    if wishes.continued:
        keep_before(profile, facts.path)
    path, said = write_profile(profile, facts.path, options.anew)
    print(f"profile: {path.relative_to(ROOT)}{said}; {will_take}", flush=True)
    if not options.profile_only:
        os.chdir(ROOT)
        build = [sys.executable, str(ROOT / "workflow" / "build.py"), profile["profile"]]
        os.execv(sys.executable, [*build, "--cores", options.cores])  # becomes the build
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Command line; 1 and a plain message if it fails."""
    for stream in (sys.stdout, sys.stderr):  # a terminal may lack letters of the table
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except (M3LError, EncoderUnavailable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
