"""Real files: texts, problems, solutions, generations and opinions, from disk or hub."""
