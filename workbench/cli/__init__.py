"""The command line: run, sweep, sketch, generate, list, show, compare, report, doctor, clean."""
