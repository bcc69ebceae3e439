"""Remembers: the session file, its recorder and its exporters."""
