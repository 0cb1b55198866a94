"""The paper's own data: where they are, how they are fetched, and what their files look like."""
