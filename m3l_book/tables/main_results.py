"""Names of `m3l_book.tables.shared` that two chapters ask for here."""

from .shared import quality_line, score_table, topic_table

__all__ = ["quality_line", "score_table", "topic_table"]
