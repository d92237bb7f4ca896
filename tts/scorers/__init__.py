"""Scorers: how good does a candidate look, without the answer?"""
