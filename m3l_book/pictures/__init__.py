"""Pictures read from files, and the drawings of emoji."""
