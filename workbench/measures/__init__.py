"""Numbers about text, vectors and answers: NumPy in, numbers out."""
