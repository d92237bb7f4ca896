"""The code that runs on the sandbox's side. It imports the standard library and itself, and nothing of the host's."""
