"""05: reasoning chains (LEGO)."""
