"""Generic pictures: one object with a mimebundle each, and the charts that several studies use."""
