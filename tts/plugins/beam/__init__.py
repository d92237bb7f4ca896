"""Beam search, plain and diverse: the beams of a problem are decoded together, and the likeliest texts are kept.

The files here know no engine: `search` holds the choice of what goes on and of what is handed in.
"""
