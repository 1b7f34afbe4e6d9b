"""The world simulator: stories for small children in which everything is known, and their exact grader."""

from workbench.corpora.stories.habits import BROAD, NARROW, PLAIN, Habits
from workbench.corpora.stories.oracle import Grade, grade
from workbench.corpora.stories.probes import Probe, make_lures, make_probes, previous_only
from workbench.corpora.stories.scenes import PLOTS
from workbench.corpora.stories.story import WORDS, Story, draw_condition, story_at, write_stories, write_story
from workbench.corpora.stories.writer import FEATURES

__all__ = [
    "BROAD",
    "FEATURES",
    "NARROW",
    "PLAIN",
    "PLOTS",
    "WORDS",
    "Grade",
    "Habits",
    "Probe",
    "Story",
    "draw_condition",
    "grade",
    "make_lures",
    "make_probes",
    "previous_only",
    "story_at",
    "write_stories",
    "write_story",
]
