"""Shows: the Textual dashboard."""
