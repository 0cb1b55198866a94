"""Snakemake's plugin ``--logger book``: it finds packages by such names, and `progress` has it."""

from progress import LogHandler

__all__ = ["LogHandler"]
