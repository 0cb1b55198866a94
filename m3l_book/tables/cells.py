"""The name that `m3l_book.tables.shared` had."""

from .shared import names_of, own_direction, score_cell, shorten, spread, styled

__all__ = ["names_of", "own_direction", "score_cell", "shorten", "spread", "styled"]
