"""08: self-guided iterative distillation (SIKeD)."""
