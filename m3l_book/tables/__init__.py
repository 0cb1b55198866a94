"""Every table of the book, made from run records."""
