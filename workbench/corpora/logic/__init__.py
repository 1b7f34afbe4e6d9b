"""Relational and rule problems about a house of eighty people, with answers that cannot be guessed.

Who lives right of, above or behind whom is a fixed world of some 370 facts, which a model has to know; a
question asks for three or four steps through it, said outright (*relational*) or by rules that the question
defines (*rule*). Relations commute, so every problem has at least six valid paths.
"""

from workbench.corpora.logic.checking import Check, check
from workbench.corpora.logic.drawing import draw, rule_sets, twin
from workbench.corpora.logic.problem import LogicProblem
from workbench.corpora.logic.wordings import N_WORDINGS
from workbench.corpora.logic.world import PEOPLE, PRELUDE, RELATIONS, facts, follow

__all__ = [
    "N_WORDINGS",
    "PEOPLE",
    "PRELUDE",
    "RELATIONS",
    "Check",
    "LogicProblem",
    "check",
    "draw",
    "facts",
    "follow",
    "rule_sets",
    "twin",
]
