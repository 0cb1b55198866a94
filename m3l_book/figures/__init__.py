"""Figures, their style and their captions."""
