"""`python -m loadwatch` is the `loadwatch` command."""

from loadwatch.cli import main

if __name__ == "__main__":
    main()
