"""Samplers: which candidates shall we draw? One algorithm a file."""
