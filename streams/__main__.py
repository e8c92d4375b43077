"""Make `python -m streams` the same as `trailstreams`."""

from streams.cli import main

if __name__ == "__main__":
    main()
