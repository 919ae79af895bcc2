"""``python -m greenfield``."""

from greenfield.cli.main import main

main()
