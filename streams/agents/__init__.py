"""Faust agents: shells that take a chunk, call pure code and hand over what follows."""
