"""The gradient of every example, sketched, kept and clustered."""
