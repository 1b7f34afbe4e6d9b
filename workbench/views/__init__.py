"""Pictures and widgets, one file per study."""
