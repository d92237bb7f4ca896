"""How alike texts are: by their words, or by a sentence-embedding model. Known to selectors and metrics."""
