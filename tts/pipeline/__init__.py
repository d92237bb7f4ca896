"""What happens to a problem: it is taken in, drawn, judged and handed out."""
