"""A benchmark: what it is to be (`settings`), and the folder that holds it (`folder`)."""
