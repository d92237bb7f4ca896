"""Judges programs by their tests, outside of the programs' own process."""
