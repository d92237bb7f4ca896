"""What a recipe can name: the base of every component, the slots that hold others, and who is called what."""
