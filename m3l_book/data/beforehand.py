"""What is seen to before anything long begins: that every encoder of the model hub loads, and which
share of the lists of tuples is found.

``python -m m3l_book.data.beforehand PROFILE.json`` says both.
"""

import sys
from collections.abc import Mapping
from inspect import signature

from m3l.errors import M3LError
from m3l.files import read_json

from ..encoders.registry import get_encoder, is_of_hub
from .prepared import wanted
from .schema import PICTURES
from .sources import wikipedia


def main() -> None:
    """Say for each encoder that it loads, and for each source what is found of its lists."""
    try:
        profile = read_json(sys.argv[1])
        for name, kind in sorted(_encoders(profile)):
            get_encoder(name, kind, profile["max_tokens"])
            print(f"encoder {name}: loads", flush=True)
        said, fields = [], signature(wikipedia.find).parameters
        for name, corpus in profile["corpora"].items():
            source = corpus["source"]
            given = {k: v for k, v in source.items() if k in fields}
            if source.get("from", name) == "wikipedia" and given not in said:
                said.append(given)
                listed, found, _ = wikipedia.find(**given)
                print(_told(found.shares(listed.rows), given), flush=True)
    except M3LError as error:
        sys.exit(f"error: {error}")


def _encoders(profile: Mapping) -> set[tuple[str, str]]:
    """List the encoders of the model hub that a profile names, with what they read."""
    named = wanted({name: corpus["encoders"] for name, corpus in profile["corpora"].items()})
    kinds = {(name, "image" if view == PICTURES else "text") for _, view, name in named}
    return {(name, kind) for name, kind in kinds if is_of_hub(name)}


def _told(shares: Mapping[str, float], given: Mapping) -> str:
    texts = str(given.get("texts", "2023"))
    parts = " and ".join(f"{share:.1%} of the rows to {part}" for part, share in shares.items())
    other = next(name for name in wikipedia.TEXTS if name != texts)
    found = f"{wikipedia.TEXTS[texts]}: both articles are found for {parts}."
    return (
        f"{found} With texts: {other!r} they come from {wikipedia.TEXTS[other]}. Pictures follow."
    )


if __name__ == "__main__":
    main()
