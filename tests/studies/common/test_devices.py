"""Every training of every study happens on the device that is asked for.

The device is torch's `meta`, which computes nothing: a training that would begin elsewhere is caught, and
so is one that is sent to processes of its own, as those of the CPU are.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from workbench.corpora.open_ended import library
from workbench.corpora.problems import draw
from workbench.corpora.stories import write_stories
from workbench.engine import loading, models
from workbench.studies.arithmetic import data as arithmetic_data
from workbench.studies.arithmetic import experiment as arithmetic
from workbench.studies.arithmetic import settings as arithmetic_settings
from workbench.studies.attention_heads import data as heads_data
from workbench.studies.attention_heads import induction
from workbench.studies.curriculum import data as curriculum_data
from workbench.studies.curriculum import experiment as curriculum
from workbench.studies.hivemind import collapse
from workbench.studies.hivemind import models as hivemind
from workbench.studies.lego import method as lego
from workbench.studies.lego import settings as lego_settings
from workbench.studies.lego import story_models
from workbench.studies.pluralism import experiment as pluralism
from workbench.studies.pluralism import spectrum, tuning
from workbench.studies.prismatic import students, tasks
from workbench.studies.rlp import experiment as rlp
from workbench.studies.rlp import language
from workbench.studies.rlp.plan import make_plan
from workbench.studies.siked import data as siked_data
from workbench.studies.siked import embedded as siked_embedded
from workbench.studies.siked import experiment as siked
from workbench.studies.siked import method as siked_method
from workbench.studies.tiny_models import ladder

DEVICE = "meta"


class Begun(Exception):
    """A training has begun."""


@pytest.fixture
def devices(monkeypatch):
    """Where trainings begin; each ends at once."""
    seen, load = [], loading.load

    def begin(model, *_, **__):
        seen.append(model.device.type)
        raise Begun

    places = [
        induction,
        tasks,
        students,
        hivemind,
        collapse,
        language,
        spectrum,
        tuning,
        curriculum,
        arithmetic,
        story_models,
    ]
    for module in [*places, siked_method, siked_embedded, ladder, rlp]:
        monkeypatch.setattr(module, "train", begin)
    for module, name in ((lego, "learn_chains"), (lego, "mimic"), (rlp, "reinforce"), (rlp, "rlp")):
        monkeypatch.setattr(module, name, begin)
    monkeypatch.setattr(tuning, "master_weights", begin)  # of DPO
    monkeypatch.setattr(loading, "pick_device", lambda device: device)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)  # as many processes, on the CPU

    def loaded(source, device="auto"):
        model, tokenizer = load(source, "cpu")
        return model.to(device), tokenizer

    monkeypatch.setattr(loading, "load", loaded)
    return seen


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A model that all studies can go on from."""
    texts = [problem.question for problem in draw(40, 0)] + [
        "".join(pair) for pair in library("south", 40, 0)
    ]
    texts += [story.text for story in write_stories(400, seed=0)]  # whose names LEGO needs
    tokenizer = models.train_tokenizer(texts, 1200)
    folder = tmp_path_factory.mktemp("source") / "model"
    loading.save(models.build(models.config("tiny:0.1M", len(tokenizer), context=160), 0), tokenizer, folder)
    return folder


def quiet(**_):
    """Logs nothing."""


def params(**given):
    """A notebook's parameters."""
    common = {"profile": "quick", "seed": 0, "model": "embedded", "data": "embedded", "device": DEVICE}
    common |= {"seeds": None, "placebo": False}
    return SimpleNamespace(**common | given)


def head_control(folder, source):
    induction.fit(folder, replace(heads_data.SIZES["quick"].induction, tokens=1_000), [0], quiet, DEVICE)


def rungs(folder, source):
    rungs = [ladder.Rung("a", "tiny:0.1M")]
    sizes = replace(ladder.SIZES["quick"], rungs=rungs, context=64, tokens=100)
    settings = {"architecture": "llama", "device": DEVICE, "seeds": [0], "log": quiet}
    ladder.fit_ladder(loading.load(source, "cpu")[1], ["a"], ["b"], sizes, folder, **settings)


def lego_arm(arm, *given):
    def train(folder, source):
        sources = story_models.StoryModels(str(source), given and (str(source),))
        lego.train_all(folder, sources, lego_settings.SIZES["quick"], 0, quiet, arms=[arm], device=DEVICE)

    return train


def siked_base(folder, source):
    given = {"mixture": "adaptive", "alpha": None, "iterations": None, "samples": None, "bias": "none"}
    given |= {"teacher": "embedded", "test": None, "tuning": "full", "restart": "merged"}
    siked.base(folder, siked_data.plan(params(**given)), quiet)


def siked_student(folder, source):
    rows = pd.DataFrame([("A?", "cot", "B.")], columns=["question", "strategy", "text"])
    config = siked_data.SIZES["quick"].lesson
    siked_method._train(folder, str(source), rows, config, 0, 1, 0, DEVICE, quiet)


def prismatic_student(folder, source):
    task, student = tasks.LogicTask(), tasks.Student("tiny:0.1M", 2, 2, 2, 2)
    students.train_students(folder, str(source), {("a", 0): [("A?", " B.")]}, task, student, device=DEVICE)


def prismatic_base(folder, source):
    student = tasks.Student("tiny:0.1M", 2, 2, 2, 2)
    tasks.train_base(folder, tasks.LogicTask(), student, "embedded", 0, quiet, DEVICE)


def members(folder, source):
    hivemind.train_all(folder, hivemind.SIZES["quick"], 0, DEVICE)


def taught_member(folder, source):
    members = {"south": hivemind.Member("south"), "b": hivemind.Member("b", parent="south", reads="best")}
    loading.save(*loading.load(source, "cpu"), folder / "seed-0" / "south")
    arguments = (members, folder, None, hivemind.SIZES["quick"], DEVICE)
    hivemind.train_arm(*arguments, folder / "b", "b", 0, log=quiet)


def chains(folder, source):
    collapse.chains(folder, {0: source}, hivemind.SIZES["quick"], DEVICE)


def rlp_plan(**given):
    asked = {
        "steps": None,
        "learning_rate": None,
        "seeds": 1,
        "group": 4,
        "temperature": 1.0,
        "tag": "t",
    }
    asked |= {"loss": "grpo", "tuning": "full", "next_token_weight": 0.0, "data": None, "test": None}
    asked |= {"text": "embedded", "thought_tokens": 8, "horizon": 1}
    return make_plan(params(**asked | given))


def imitator(folder, source):
    rlp.train_all(folder, rlp_plan(), quiet)


def population(folder, source):
    asked = {"tuning_rate": None, "tuning_steps": None, "samples": None, "limit": None, "beta": 0.1}
    asked |= {"populations": 1, "kl": None}
    plan = pluralism.plan(params(questions="embedded", persona="", tune=True, tuning=None, **asked))
    pluralism.train_all(folder, plan)


def preferred(imitates):
    def train(folder, source):
        rows = [tuning.Preference("A?", " b", " c")]
        config = tuning.TrainConfig(epochs=1, batch_size=1)
        if imitates:
            tuning.imitate(folder / "m", str(source), rows, config, DEVICE)
        tuning.prefer(folder / "m", str(source), rows, config, DEVICE, 0.1)

    return train


def people(folder, source):
    config = tuning.TrainConfig(epochs=1, batch_size=1)
    spectrum.tune(folder / "m", str(source), [[("A?", " b")]], config, DEVICE)


def pages(folder, source):
    asked = {"facts": "embedded", "n_facts": 8, "n_updates": 16, "seeds": 1, "placebo": False}
    settings = replace(curriculum_data.settings(params(**asked)), n_test=4)
    begin = curriculum.start(folder / "start", settings)
    curriculum.evaluate = lambda *_: pd.DataFrame({"value": [0.0]})
    curriculum.train_all(folder / "models", begin, settings, quiet)


def routes(folder, source):
    plan = arithmetic_settings.plan(params(test=None, tuning="full", first="arithmetic"))
    sizes = replace(plan.sizes, problems=20, exercises=40, seeds=1, n_test=2, task_tokens=200)
    plan = replace(plan, sizes=replace(sizes, extra_tokens=100))
    task = arithmetic_data.task(plan)
    begin = arithmetic.start(folder / "start", plan, task)
    arithmetic.train_all(folder / "routes", begin, plan, task, quiet)


@pytest.mark.parametrize(
    "train",
    [
        rungs, head_control, lego_arm("scratch"), lego_arm("stories"), lego_arm("stories", "given"),
        lego_arm("mimicking"), lego_arm("causal"),
        pages, routes, siked_base, siked_student, prismatic_base, prismatic_student, members, taught_member,
        chains, imitator, population, preferred(imitates=True), preferred(imitates=False), people,
    ],
)  # fmt: skip
def test_trainings_happen_on_the_device_asked_for(devices, source, tmp_path, monkeypatch, train):
    monkeypatch.setattr(curriculum, "evaluate", curriculum.evaluate)  # what one changes is put back
    with pytest.raises(Begun):
        train(Path(tmp_path), source)
    assert devices == [DEVICE]
