"""Arithmetic word problems of one to four steps, drawn from a grammar that knows every solution."""

from workbench.corpora.problems.drawing import draw, templates, twin
from workbench.corpora.problems.problem import Problem, Step, Strategy

__all__ = ["Problem", "Step", "Strategy", "draw", "templates", "twin"]
