"""`python -m crnnocr`."""

from crnnocr.cli import main

if __name__ == "__main__":
    main()
