"""What runs inside an engine for a sampler: a folder a plugin."""
