"""The domain: no I/O, no clock reads, no screen."""
