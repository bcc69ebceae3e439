"""loadwatch: fire an open-loop load, watch the server over SSH, see both on one screen."""
