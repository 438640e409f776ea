"""`python -m tailorbird` is the command line."""

from tailorbird.faces.cli import main

main()
