"""A small site to try loadwatch on: home and wall, the story of 2008."""
