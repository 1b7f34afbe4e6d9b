"""07: arithmetic before and among word problems."""
