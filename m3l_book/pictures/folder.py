"""Pictures of a folder found by the names that tables give them, however they are spelled."""

import difflib
import os
import re
import unicodedata
from functools import cached_property
from pathlib import Path

from m3l.errors import DataError, require

from .reading import inside

ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://|^data:", re.IGNORECASE)
SEPARATORS = (";", "|", ",", "\n")


class PictureFolder:
    """A folder of pictures.

    Attributes
    ----------
    path : path
    respelled : dict of str to str
        Names that were found under another spelling: in the table -> in the folder.

    Raises
    ------
    DataError
        There is no such folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.respelled: dict[str, str] = {}
        require(self.path.is_dir(), f"{path}: no such folder of pictures", DataError)

    def find(self, name: str) -> Path:
        """The file of a picture.

        A name that is not there as it stands is looked for without outer blanks, with ``/`` for
        a backslash, in the other Unicode form, and in capitals or small letters; the file is taken
        if it is the only one.

        Raises
        ------
        DataError
            The name is an address, leaves the folder, or fits no file or several.
        """
        if ADDRESS.match(name):
            what = "an address; pictures are not fetched. Download them, and name the files"
            raise DataError(f"no such picture: {_quoted(name)} is {what}")
        try:
            return inside(self.path, name)
        except DataError as error:
            if "no such picture" not in str(error):
                raise
        likely = self._by_spelling.get(_plain(name), [])
        if len(likely) == 1:
            self.respelled[name] = likely[0]
            return inside(self.path, likely[0])
        if likely:
            files = ", ".join(map(_quoted, likely[:3]))
            raise DataError(f"no such picture: {_quoted(name)}, and several are near it: {files}")
        raise DataError(f"no such picture: {_quoted(name)} in {self.path}{self._hint(name)}")

    def _hint(self, name: str) -> str:
        """What the writer of a name that fits no file may have meant."""
        for separator in SEPARATORS:
            parts = [part for part in name.split(separator) if part.strip()]
            if len(parts) > 1 and all(_plain(part) in self._by_spelling for part in parts):
                return (
                    f"; if it is several, say picture_separator={separator!r} (--picture-separator)"
                )
        base = _plain(name).rsplit("/", 1)[-1]
        within = [files[0] for key, files in self._by_spelling.items() if key.endswith(f"/{base}")]
        if base in self._by_spelling:
            within = [*self._by_spelling[base], *within]
        near = within or difflib.get_close_matches(name, self._some_names, 1, 0.8)
        return f"; there is {_quoted(near[0])}" if near else ""

    @cached_property
    def _by_spelling(self) -> dict[str, list[str]]:
        """The files below the folder, by what their names have in common with other spellings."""
        files: dict[str, list[str]] = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = Path(folder, name).relative_to(self.path).as_posix()
                files.setdefault(_plain(path), []).append(path)
        return files

    @cached_property
    def _some_names(self) -> list[str]:
        """The first names, few enough to compare with each other letter by letter."""
        return [files[0] for files in self._by_spelling.values()][:2000]


def _plain(name: str) -> str:
    """What spellings of one name share."""
    name = unicodedata.normalize("NFC", name.strip().replace("\\", "/"))
    return name.removeprefix("./").casefold()


def _quoted(name: str, longest: int = 80) -> str:
    return repr(name if len(name) <= longest else f"{name[:longest]}…")
