"""Static files: what a browser keeps, and a web server sends without the application."""

from __future__ import annotations

_SUFFIXES = (
    ".avif", ".bmp", ".css", ".eot", ".gif", ".ico", ".jpeg", ".jpg", ".js", ".map", ".mjs",
    ".mp3", ".mp4", ".otf", ".png", ".svg", ".ttf", ".wasm", ".webm", ".webmanifest", ".webp",
    ".woff", ".woff2",
)  # fmt: skip
_TYPES = ("image/", "font/", "audio/", "video/", "text/css", "text/javascript",
          "application/javascript", "application/x-javascript", "application/wasm",
          "application/font", "application/manifest+json")  # fmt: skip


def is_static(path: str, content_type: str = "") -> bool:
    """Whether a file is static, by its name or its content type."""
    return path.lower().endswith(_SUFFIXES) or content_type.lower().startswith(_TYPES)
