"""The world simulator: stories for small children in which everything is known, and their exact grader."""

from workbench.corpora.stories.oracle import Grade, grade
from workbench.corpora.stories.probes import Probe, make_probes
from workbench.corpora.stories.scenes import PLOTS
from workbench.corpora.stories.story import WORDS, Story, draw_condition, story_at, write_stories, write_story
from workbench.corpora.stories.writer import FEATURES

__all__ = [
    "FEATURES",
    "PLOTS",
    "WORDS",
    "Grade",
    "Probe",
    "Story",
    "draw_condition",
    "grade",
    "make_probes",
    "story_at",
    "write_stories",
    "write_story",
]
