"""What several chapters share of their tables."""
