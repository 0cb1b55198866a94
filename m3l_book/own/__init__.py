"""A user's own corpus: what is in her table, the profile that is made for it, the commands."""
