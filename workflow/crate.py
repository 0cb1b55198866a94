"""Describe the folder that ``workflow/deposit.py`` gathered as an RO-Crate, check it, pack it:
``.venv.crate/bin/python workflow/crate.py FOLDER``.

The archive is ``FOLDER.zip``. It is made only if the metadata are what RO-Crate 1.3 requires, by
``roc-validator``, which needs no network here: the terms of RO-Crate come with ``rocrate``.
"""

import json
import shutil
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import rdflib.plugins.shared.jsonld.context as jsonld
import requests
from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate
from rocrate_validator import services
from rocrate_validator.models import Severity
from rocrate_validator.utils.http import HttpRequester

LICENCES = {"MIT": "MIT License", "CC-BY-SA-4.0": "CC BY-SA 4.0"}
SPDX = "https://spdx.org/licenses/"
PAPER = "https://aclanthology.org/2022.coling-1.355"
TERMS = files("rocrate").joinpath("data/ro-crate.jsonld").read_text(encoding="utf-8")
# what is in it: words for a catalogue, kind, licence
PARTS = {
    "book/": ("The book", "text/html", "CC-BY-SA-4.0"),
    "results/": ("Recorded results with provenance", "text/csv", "MIT"),
    "paper/": ("Numbers, sentences and claims of the paper", "text/csv", "MIT"),
    "report.pdf": ("The reproduction in four pages", "application/pdf", "MIT"),
    "claims.json": ("Claims, rules, numbers and verdicts", "application/json", "MIT"),
    "project.tar.gz": ("The program and the notebooks", "application/gzip", "MIT"),
    "README.txt": ("What is in this archive", "text/plain", "MIT"),
    "SHA256SUMS": ("Checksums of every file", "text/plain", "MIT"),
}


def describe(folder: Path) -> None:
    """Write ``ro-crate-metadata.json`` of a gathered folder."""
    crate = ROCrate()
    crate.name = "M3L-Contrast reproduced: a book, its evidence and its program"
    crate.description = (
        (folder / "README.txt").read_text(encoding="utf-8").split("\n\n")[0].replace("\n", " ")
    )
    crate.datePublished = datetime.now(UTC).date().isoformat()
    for name, words in LICENCES.items():
        crate.add_jsonld({"@id": f"{SPDX}{name}", "@type": "CreativeWork", "name": words})
    crate.license = {"@id": f"{SPDX}MIT"}
    authors = {"@type": "Organization", "name": "The M3L book authors"}
    crate.creator = crate.add(ContextEntity(crate, "#authors", authors))
    paper = {"@type": "ScholarlyArticle", "name": "Zosa and Pivovarova (2022)"}
    crate.root_dataset["citation"] = crate.add_jsonld({"@id": PAPER, **paper})
    for name, (words, form, licence) in PARTS.items():
        about = {"name": words, "license": {"@id": f"{SPDX}{licence}"}}
        if name.endswith("/"):
            crate.add_directory(dest_path=name, properties=about)
        else:
            size = str((folder / name).stat().st_size)
            about |= {"encodingFormat": form, "contentSize": size}
            crate.add_file(folder / name, name, properties=about)
    crate.metadata.write(folder)


def problems(folder: Path) -> list[str]:
    """Say what the validator finds wrong with the metadata of a folder."""
    read = jsonld.source_to_json

    def get(self, address, *args, **options):
        if "w3id.org/ro/crate" not in str(address):
            raise requests.ConnectionError(f"{address}: nothing is fetched")
        about = {"status_code": 200, "ok": True, "headers": {"Content-Type": "application/ld+json"}}
        body = {"text": TERMS, "content": TERMS.encode(), "json": lambda: json.loads(TERMS)}
        return SimpleNamespace(**about, **body, raise_for_status=lambda: None)

    def terms(source, *args, **options):
        if "w3id.org/ro/crate" in str(source)[:80]:
            return json.loads(TERMS), None
        return read(source, *args, **options)

    HttpRequester.get, jsonld.source_to_json = get, terms
    asked = services.ValidationSettings(
        rocrate_uri=str(folder), requirement_severity=Severity.REQUIRED
    )
    found = services.validate(asked).get_issues()
    return [f"{issue.check.identifier}: {issue.message}" for issue in found]


def main() -> int:
    folder = Path(sys.argv[1])
    describe(folder)
    if wrong := problems(folder):
        print("\n".join(["the metadata are not those of an RO-Crate:", *wrong]), file=sys.stderr)
        return 1
    made = shutil.make_archive(str(folder), "zip", folder)
    print(f"{made}, {Path(made).stat().st_size / 1e6:.0f} MB, checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
