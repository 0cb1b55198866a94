"""What is measured of a model: retrieval, divergence and coherence (Section 4.2), and, beyond the
paper, diversity, recovery, stability, uncertainty and spaces.
"""

from .coherence import npmi, topic_diversity, topic_recovery
from .quality import (
    cross_lingual_npmi,
    embedding_coherence,
    image_coherence,
    image_similarity,
    inverted_rbo,
    reliability,
    transfer,
)
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
    "cross_lingual_npmi",
    "embedding_coherence",
    "estimate",
    "holm",
    "image_coherence",
    "image_similarity",
    "interval_of_mean",
    "inverted_rbo",
    "jensen_shannon",
    "jensen_shannon_matrix",
    "modality_gap",
    "nearest_both_ways",
    "neighbour_overlap",
    "npmi",
    "rank_scores",
    "relevance",
    "reliability",
    "retrieval",
    "retrieval_from",
    "topic_diversity",
    "topic_recovery",
    "transfer",
    "unit_rows",
]
