"""`python -m sb3port`."""

from sb3port.cli.app import main

main()
