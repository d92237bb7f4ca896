"""What is on disk: run folders and their lines, and the candidate files of other tools."""
