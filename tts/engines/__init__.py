"""Engines: what would this model write?"""
