"""Reward models, and generating models that are asked to be one.

`formats` knows how the public reward models want to read an answer, `transformers` runs them here. `asking` is what
`p_true` and `expected_score` share.
"""
