"""A benchmark: what it is to be (`plan`), and the folder that holds it (`folder`)."""
