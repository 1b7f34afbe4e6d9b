"""10: how alike many models answer (Artificial Hivemind)."""
