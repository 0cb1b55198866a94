"""Runs: their plan, their records, and the choice among them."""
