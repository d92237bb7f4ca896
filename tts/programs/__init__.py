"""Programs that a model wrote: finding them in a text, running them, judging them by what they do."""
