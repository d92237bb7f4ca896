"""Selectors: which candidate do we hand in? Pure functions of the ballot."""
