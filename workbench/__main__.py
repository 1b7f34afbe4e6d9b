"""`python -m workbench` is the command `workbench`."""

from workbench.cli.app import main

main()
