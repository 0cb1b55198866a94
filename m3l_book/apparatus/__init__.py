"""What surrounds the chapters: openings, exercises for students, pages that are made from the code
and the notebooks, and the book as slides.
"""
