"""Watches the servers: SSH, guards, probes."""
