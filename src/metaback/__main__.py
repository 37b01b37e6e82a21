"""`python -m metaback` is the command `metaback`."""

from metaback.cli import main

if __name__ == "__main__":
    main()
