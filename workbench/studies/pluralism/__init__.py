"""12: whose values a model answers with."""
