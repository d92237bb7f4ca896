"""Metrics: what did the compute buy?"""
