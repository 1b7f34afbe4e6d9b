"""Is an answer right? Numbers, formulas and equations in model text."""
