"""Where a Hugging Face model comes from, for engines, scorers and metrics."""
