"""ESamp (Exploratory Sampling, arXiv 2604.24927): decode towards what a small online learner cannot yet predict.

The files here know no engine. `distiller` holds the mathematics, `fusion` the mixing, `core` what an engine calls.
"""
