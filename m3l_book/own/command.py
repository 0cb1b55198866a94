"""``m3l-book``: a table looked at, and a book made of it."""

import argparse
import os
import re
import sys
import unicodedata
from pathlib import Path

from m3l.errors import M3LError, ParameterError, require
from m3l.files import atomic, digest

from ..data.sources import SOURCES
from ..data.tables import several
from ..encoders.spaces import EncoderUnavailable
from .inspecting import Facts, inspect
from .profile import MODELS, Wishes, as_yaml, make_profile

ROOT = Path(__file__).resolve().parents[2]
STAMP = "made by m3l-book, "
OPENING = """A profile of {table}.
Change what you like, and give the command again; it keeps a profile that you changed.
{stamp}"""


def corpus_name(path: Path, given: str) -> str:
    """What the corpus is called: as given, or as its file, in letters that a folder may have."""
    plain = unicodedata.normalize("NFKD", given or path.stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()
    if given:
        require(
            given == name or re.fullmatch(r"[A-Za-z0-9_-]+", given) is not None,
            f"--name {given!r}: expected letters, digits, - and _",
        )
        name = given
    taken = ("smoke", "laptop", "full", "paper", *SOURCES)
    return f"my-{name}" if name in taken else name or "mine"


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """What stands in ``key=value`` texts."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        require(bool(equals and key and value), f"{option} {text!r}: expected LANGUAGE=VALUE")
        found[key] = value
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="m3l-book", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    check = commands.add_parser(
        "check", help="say in seconds what is odd about a table, and what will be done"
    )
    mine = commands.add_parser("mine", help="make a book of a table")
    shown = argparse.ArgumentDefaultsHelpFormatter
    for command in (check, mine):
        command.formatter_class = shown
        _table_options(command)
    _book_options(mine)
    return top


def _table_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "table",
        type=Path,
        help=".csv, .tsv, .xlsx or .parquet with a column <lang>_text a language",
    )
    add("--languages", default="", help="as en,de; by default all that have a column")
    add("--pictures", default="", metavar="FOLDER", help="of the files that the table names")
    for what in ("picture", "id", "article", "split", "category"):
        add(f"--{what}-column", default="", metavar="COLUMN")
    add("--picture-separator", default="", metavar="SIGN", help="between several in a cell")
    add("--delimiter", default="", help="between cells; by default found in the header")
    add("--encoding", default="", help="of a text file; by default UTF-8")
    add("--missing", nargs="+", default=[], metavar="WORD", help="that stands for nothing: NULL")
    add("--markup", choices=("keep", "strip"), default="keep", help="HTML in the texts")
    add("--bad-pictures", choices=("error", "missing"), default="error")


def _book_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--name", default="", help="of the corpus; by default the file's")
    add("--topics", type=int, default=0, help="0: one for 25 articles, 5 to 100")
    add("--epochs", type=int, default=0, help="0: 100, and more of a small corpus")
    add("--batch-size", type=int, default=0, help="0: 32, and less of a small corpus")
    add("--seeds", type=int, default=3, help="how often each model is trained")
    add("--sweeps", type=int, default=1000, help="of PLTM's sampler")
    add(
        "--sizes",
        nargs="+",
        default=[],
        metavar="N",
        help="of training articles that models learn from too, for the learning curve, or none;"
        " by default 100, 400, 1600 …",
    )
    add("--models", nargs="+", default=list(MODELS), choices=MODELS)
    add("--encoders", nargs="+", default=[], metavar="VIEW=NAME", help="as en=minilm-en")
    add("--vocabulary", type=int, default=0, help="words a language; 0: 2,000 or what there is")
    add("--min-words", type=int, default=0, help="of a document; 0: by the texts' length")
    add("--stopwords", nargs="+", default=[], metavar="LANGUAGE=FILE", help="a word a line")
    add(
        "--segmented",
        nargs="+",
        default=[],
        metavar="LANGUAGE",
        help="whose words have blanks between them",
    )
    add("--near-duplicates", choices=("report", "drop"), default="report")
    add("--licence", default="not stated")
    add("--anew", action="store_true", help="write the profile again though it was changed")
    add("--profile-only", action="store_true", help="write the profile and make no book")
    add("--cores", default="all")


def look(options: argparse.Namespace) -> Facts:
    """What is in the table that the options are about."""
    columns = {
        what: getattr(options, f"{what}_column") for what in ("id", "article", "split", "category")
    }
    columns["image"] = options.picture_column
    chosen = [language.strip() for language in options.languages.split(",") if language.strip()]
    reading = ("delimiter", "encoding", "missing", "markup", "bad_pictures", "picture_separator")
    given = {option: getattr(options, option) for option in reading}
    return inspect(options.table.resolve(), chosen, options.pictures, columns, **given)


def report(facts: Facts, said: list[str]) -> str:
    """What was found, in lines."""
    texts = ", ".join(f"{n:,} in {language}" for language, n in facts.texts.items())
    lines = [f"{facts.path.name}: {facts.articles:,} articles; texts: {texts}"]
    if facts.pictures:
        lines[0] += f"; {facts.pictures:,} pictures"
    lines += [f"  {note}" for note in [*facts.notes, *said]]
    if facts.problems:
        lines.append(f"It is refused as it stands: {several(facts.problems)}")
    return "\n".join(lines)


def summary(profile: dict) -> str:
    """What a profile will do, in a line."""
    (corpus,) = profile["corpora"].values()
    encoders = ", ".join(f"{view} by {names[0]}" for view, names in corpus["encoders"].items())
    runs = sum(len(run["seeds"]) for run in profile["runs"])
    return f"m3l-book mine would encode {encoders}, and train {runs} models"


def wishes_of(options: argparse.Namespace) -> Wishes:
    """What the options of ``mine`` ask for."""
    for option in ("topics", "epochs", "batch_size", "vocabulary", "min_words"):
        value = getattr(options, option)
        require(value >= 0, f"--{option.replace('_', '-')} {value}: expected 1 or more")
    for option in ("seeds", "sweeps"):
        value = getattr(options, option)
        require(value >= 1, f"--{option.replace('_', '-')} {value}: expected 1 or more")
    source: dict[str, object] = {"licence": options.licence}
    if options.pictures:
        source["image_folder"] = str(Path(options.pictures).resolve())
    for option in ("delimiter", "encoding", "missing", "picture_separator"):
        if getattr(options, option):
            source[option] = getattr(options, option)
    source |= {"markup": options.markup, "bad_pictures": options.bad_pictures}
    prepare: dict[str, object] = {"near_duplicates": options.near_duplicates}
    words = pairs(options.stopwords, "--stopwords")
    if words:
        prepare["stopwords"] = {lang: str(Path(file).resolve()) for lang, file in words.items()}
    if options.segmented:
        prepare["segmented"] = options.segmented
    given = [size for size in options.sizes if size != "none"]
    require(all(map(str.isdecimal, given)), f"--sizes {' '.join(options.sizes)}: expected integers")
    return Wishes(
        name=corpus_name(options.table, options.name),
        encoders=pairs(options.encoders, "--encoders"),
        models=options.models,
        topics=options.topics,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seeds=options.seeds,
        sweeps=options.sweeps,
        sizes=[int(size) for size in given] if options.sizes else None,
        vocabulary_size=options.vocabulary,
        min_words=options.min_words,
        source=source,
        prepare=prepare,
    )


def write_profile(profile: dict, table: Path, anew: bool) -> tuple[Path, bool]:
    """Write a profile where builds look for it; its path, and whether it was written.

    One that the user changed stays, unless ``anew``.
    """
    path = ROOT / "workflow" / "profiles" / f"{profile['profile']}.yaml"
    body = as_yaml(profile, "").lstrip()
    if path.is_file() and not anew:
        head, _, old = path.read_text(encoding="utf-8").partition("\nprofile: ")
        if f"{STAMP}{digest('profile: ' + old)[:16]}" not in head:
            return path, False
    stamp = f"{STAMP}{digest(body)[:16]}"
    with atomic(path) as temporary:
        temporary.write_text(
            as_yaml(profile, OPENING.format(table=table, stamp=stamp)), encoding="utf-8"
        )
    return path, True


def make_book(options: argparse.Namespace) -> int:
    """Look at the table, write its profile, build its book."""
    facts = look(options)
    profile, said = make_profile(facts, wishes_of(options))
    print(report(facts, said))
    if facts.problems:
        return 1
    path, written = write_profile(profile, facts.path, options.anew)
    kept = "" if written else " (as you changed it; --anew writes it again)"
    print(f"profile: {path.relative_to(ROOT)}{kept}")
    if options.profile_only:
        return 0
    sys.stdout.flush()
    build = [sys.executable, str(ROOT / "workflow" / "build.py"), profile["profile"]]
    os.chdir(ROOT)
    os.execv(sys.executable, [*build, "--cores", options.cores])  # becomes the build


def main(arguments: list[str] | None = None) -> int:
    """Command line; 1 and a plain message if it fails."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "mine":
            return make_book(options)
        facts = look(options)
        profile, said = make_profile(facts, Wishes(corpus_name(options.table, ""), {}))
        print(report(facts, [*said, summary(profile)]))
        return int(bool(facts.problems))
    except (M3LError, EncoderUnavailable, ParameterError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
