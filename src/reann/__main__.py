"""`python -m reann` is the command line, also under torchrun."""

from reann.cli import main

if __name__ == "__main__":
    main()
