"""What parameters that are left open become is what the studies' own settings make of them."""

from importlib import import_module
from typing import get_args

import pytest
from repository import ROOT

from workbench.lab import project
from workbench.lab.defaults import defaults
from workbench.lab.params import check
from workbench.studies.common.profiles import REAL

SETTINGS = {  # what makes settings of parameters
    "01_stories": "stories.method.sizes",
    "02_tiny_models": "tiny_models.ladder.sizes",
    "03_attention_heads": "attention_heads.data.choose_sizes",
    "04_neurons": "neurons.method.sizes",
    "05_lego": "lego.settings.choose_sizes",
    "06_curriculum": "curriculum.data.settings",
    "07_arithmetic": "arithmetic.settings.plan",
    "08_siked": "siked.data.plan",
    "09_prismatic": "prismatic.data.choose_sizes",
    "10_hivemind": "hivemind.data.plan",
    "11_rlp": "rlp.plan.make_plan",
    "12_pluralism": "pluralism.experiment.plan",
    "13_instruct": "instruct.data.settings",
    "14_loop": "loop.data.settings",
}
# Only with a given model do these say anything.
OF_GIVEN = {("11_rlp", "thought_tokens"), ("12_pluralism", "limit")}
MODELS = {"model": "starter", "generator": "transformers:starter", "models": "transformers:starter"}


@pytest.fixture(scope="module", params=SETTINGS)
def notebook(request):
    return project.find_notebook(ROOT, request.param)


def test_every_parameter_that_a_profile_sets_says_what_it_becomes(notebook):
    named = {
        name for name, field in notebook.model.model_fields.items()
        if field.default is None and "the profile's" in (field.description or "")
    }  # fmt: skip
    became = defaults(notebook, check(notebook.model, {}, notebook.name))
    assert {(notebook.name, name) for name in named - became.keys()} <= OF_GIVEN


def test_what_it_becomes_changes_nothing_when_it_is_given(notebook):
    module, _, name = f"workbench.studies.{SETTINGS[notebook.name]}".rpartition(".")
    make = getattr(import_module(module), name)
    profiles = get_args(notebook.model.model_fields["profile"].annotation)
    compared = 0
    for profile in profiles:
        named = {"profile": profile} | (of_user(notebook) if profile == REAL else {})
        values = defaults(notebook, check(notebook.model, named, notebook.name))
        for parameter, value in values.items():
            several = isinstance(value, str) and parameter == "seeds"  # which one number cannot replace
            if not several:
                left_open, given = (
                    make(check(notebook.model, named | more, notebook.name))
                    for more in ({}, {parameter: value})
                )
                assert left_open == given, (profile, parameter)
                compared += 1
    assert compared >= 3


def of_user(notebook):
    """The parameters that name a model of the user's."""
    return {name: value for name, value in MODELS.items() if name in notebook.model.model_fields}
