"""The paper's claims, the rule that decides each, and what would change a decision."""
