"""Plans from what people already have: one file a format, each of which makes a `Draft`."""
