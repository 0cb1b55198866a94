"""Frozen encoders: by name, with a cache of what they computed."""
