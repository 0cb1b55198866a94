"""``python -m m3l_book`` is ``m3l-book``."""

import sys

from .own.command import main

if __name__ == "__main__":
    sys.exit(main())
