"""What is measured of a model: retrieval, divergence and coherence (Section 4.2), and, beyond the
paper, diversity, recovery, uncertainty and spaces.
"""

from .coherence import npmi, topic_diversity, topic_recovery
from .ranking import (
    chance,
    cosine_matrix,
    jensen_shannon,
    jensen_shannon_matrix,
    modality_gap,
    nearest_both_ways,
    neighbour_overlap,
    rank_scores,
    relevance,
    retrieval,
    retrieval_from,
    unit_rows,
)
from .uncertainty import Estimate, estimate, holm, interval_of_mean

__all__ = [
    "Estimate",
    "chance",
    "cosine_matrix",
    "estimate",
    "holm",
    "interval_of_mean",
    "jensen_shannon",
    "jensen_shannon_matrix",
    "modality_gap",
    "nearest_both_ways",
    "neighbour_overlap",
    "npmi",
    "rank_scores",
    "relevance",
    "retrieval",
    "retrieval_from",
    "topic_diversity",
    "topic_recovery",
    "unit_rows",
]
