"""Remembers: the session file, its recorder and its exporters."""

from loadwatch.session.excerpt import Excerpt, Selection
from loadwatch.session.exporters.csv import export_beside
from loadwatch.session.library import resolve
from loadwatch.session.places import default_path
from loadwatch.session.player import Player
from loadwatch.session.recorder import Recorder
from loadwatch.session.store import Session, is_session, open_session

__all__ = [
    "Excerpt",
    "Player",
    "Recorder",
    "Selection",
    "Session",
    "default_path",
    "export_beside",
    "is_session",
    "open_session",
    "resolve",
]
