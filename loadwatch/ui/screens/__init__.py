"""The dashboard and what opens above it."""
