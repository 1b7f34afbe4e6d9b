"""09: gradient diversity (G-Vendi, Prismatic Synthesis)."""
