"""Pages to walk about in: the topic-space explorer and the topic browser."""
