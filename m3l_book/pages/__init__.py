"""Pages to explore: the topic-space explorer and the topic browser."""
