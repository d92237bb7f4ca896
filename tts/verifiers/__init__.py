"""Verifiers: extract, group and judge answers; one kind of answer each."""
