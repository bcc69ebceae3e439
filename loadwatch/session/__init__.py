"""Remembers: the session file, its recorder and its exporters."""

from loadwatch.session.exporters.csv import export as export_csv
from loadwatch.session.exporters.csv import export_beside
from loadwatch.session.places import default_path, resolve
from loadwatch.session.recorder import Recorder
from loadwatch.session.store import Session, open_session

__all__ = [
    "Recorder",
    "Session",
    "default_path",
    "export_beside",
    "export_csv",
    "open_session",
    "resolve",
]
