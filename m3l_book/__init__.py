"""What makes the book: data, encoders, records, tables, figures and pages.

It uses `m3l`, which knows nothing of it.
"""
