"""What several studies share: arms and seeds, word problems, contamination."""
