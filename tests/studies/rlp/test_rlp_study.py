"""Notebook 11's language, what it reads, its measures, and its path for a given model and text."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import workbench.engine  # noqa: F401
from workbench.corpora import thoughts
from workbench.corpora.thoughts import Aim, Chain
from workbench.engine import models
from workbench.engine.tokens import encode, word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.studies.rlp import checks, experiment, language, results
from workbench.studies.rlp.data import HELD_OUT, Embedded, FileTexts
from workbench.studies.rlp.language import Language
from workbench.studies.rlp.method import Thinking
from workbench.studies.rlp.plan import make_plan

PARAMS = {
    "profile": "quick", "seed": 0, "model": "embedded", "text": "embedded", "tuning": "full", "group": 4,
    "next_token_weight": 0.5, "baseline": "group", "loss": "grpo", "temperature": 1.0, "learning_rate": None,
    "steps": None, "seeds": None, "placebo": False, "tag": "think",
    "thought_tokens": 8, "horizon": 1, "batch_size": None, "device": "cpu",
}  # fmt: skip


def planned(**given):
    return make_plan(SimpleNamespace(**PARAMS | given))


# --------------------------------------------------------------------------------- the language
def test_a_chain_is_worked_out_and_judged_by_its_last_word():
    chain = Chain(3, ("+4", "*7"), 3)
    assert chain.question == "3 +4 *7 _ ="
    assert thoughts.worked_document(chain) == "3 +4 *7 _ = <t> 7 9 </t> 9 ."
    assert thoughts.parse_question(chain.question) == chain
    assert chain.right(" 9")
    assert chain.right(" <t> 1 2 </t> 9 .")
    assert not chain.right(" <t> 7 9 </t> 8")
    assert not chain.right("")
    assert not chain.right(" .")


def test_an_aim_has_many_right_answers_and_each_step_counts():
    aim = Aim(3, 9)
    right = [
        f" {first} {thoughts.apply(3, first)} {second}"
        for first in thoughts.OPERATIONS
        for second in thoughts.OPERATIONS
        if thoughts.apply(thoughts.apply(3, first), second) == 9
    ]
    assert len(right) > 10
    assert all(map(aim.right, right))
    assert not aim.right(" +4 8 *7")  # leads there, but 3 + 4 is not 8
    assert not aim.right(" +4 7")
    assert not aim.right(" +4 7 *3")
    assert thoughts.parse_question(aim.question) is None


def test_documents_as_found_think_half_of_the_time_and_seldom_to_a_purpose():
    rng = np.random.default_rng(0)
    chains = thoughts.draw(2_000, [3], 5, rng)
    found = [thoughts.raw_document(chain, 0.3, 0.0, rng) for chain in chains]
    thinking = [(chain, text) for chain, text in zip(chains, found, strict=True) if "<t>" in text]
    assert len(thinking) / 2_000 == pytest.approx(0.5, abs=0.05)
    useful = np.mean([text == thoughts.worked_document(chain) for chain, text in thinking])
    assert useful == pytest.approx(0.3, abs=0.06)
    assert all(chain.right(text.partition("=")[2]) for chain, text in zip(chains, found, strict=True))


def test_the_words_of_the_language_are_tokens():
    tokenizer = word_tokenizer(thoughts.VOCABULARY)
    text = thoughts.worked_document(Chain(3, ("+4", "*7"), 3))
    ids = encode(tokenizer, [text])[0]
    assert len(ids) == 1 + len(text.split())
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


# --------------------------------------------------------------------------------- what is read
def test_rlp_thinks_about_the_documents_that_the_others_read():
    source = Embedded(5)
    documents = source.documents(50, 7)
    assert ["".join(position) for position in source.positions(50, 7)] == documents
    assert ["".join(position) for position in source.positions(50, 7, at_random=True)] == documents
    assert len({before for before, _ in source.positions(50, 7, at_random=True)}) > 40
    assert source.documents(50, 8) != documents


def test_the_aims_that_are_asked_are_never_rewarded():
    source = Embedded(5)
    _, asked = source.test_items(10)
    learnt = [item for item in source.training_items(500, 0) if isinstance(item, Aim)]
    assert len(asked) == 50
    assert not set(asked) & set(learnt)


def test_texts_are_held_out_and_repeated_only_when_all_were_read():
    texts = FileTexts.of([f"text {n}" for n in range(30)], Thinking(), 0)
    assert len(texts.held_out) == 3
    assert not set(texts.held_out) & set(texts.train)
    assert sorted(texts.documents(27, 1)) == sorted(texts.train)
    assert set(texts.documents(9, HELD_OUT)) == set(texts.held_out)
    with pytest.raises(UserError, match="20 or more"):
        FileTexts.of(["one"], Thinking(), 0)


# --------------------------------------------------------------------------------- measures
def test_pass_at_k_by_hand():
    assert results.pass_at(10, 3, 1) == pytest.approx(0.3)
    assert results.pass_at(10, 3, 5) == pytest.approx(1 - 21 / 252)
    assert results.pass_at(4, 4, 4) == 1
    assert results.pass_at(4, 0, 4) == 0
    with pytest.raises(ValueError, match="pass@5"):
        results.pass_at(4, 1, 5)


def test_different_answers_do_not_depend_on_how_many_are_right():
    def replies(item, answers, wrong):
        rows = [(answer, True) for answer in answers] + [("no", False)] * wrong
        return pd.DataFrame(rows, columns=["answer", "right"]).assign(
            item=item, seed=0, arm="base", kind="aim"
        )

    frame = pd.concat([
        replies(0, ["a"] * 4 + ["b"] * 4, 0), replies(1, ["a"] * 4 + ["b"] * 4, 8),
        replies(2, ["a", "b", "c", "d"], 0), replies(3, ["a"] * 3, 5),
    ])  # fmt: skip
    found = results.different(frame).set_index("item")["different"]
    assert found[0] == found[1] == pytest.approx(2 - 2 * 1 / 70)  # one letter alone: 2 of C(8, 4) choices
    assert found[2] == pytest.approx(4)
    assert np.isnan(found[3])


def test_no_arm_is_held_to_thinking_when_it_is_better_without():
    frame = pd.DataFrame({
        "arm": ["text"] * 2 + ["RLP"] * 2, "nats": [1.0, 2, 3, 3], "nats_with": [4.0, 1, 0.5, 1]
    })  # fmt: skip
    assert results._better(frame).tolist() == [1, 2, 0.5, 1]


def asked(arm, seed, right, nats):
    """An arm's answers to 40 chains and 8 aims, and its nats at 40 places, with one seed."""
    rows = [("chain", item, draw < 8 * right, "x") for item in range(40) for draw in range(8)]
    rows += [
        ("aim", item, True, str(draw % (2 if arm == "GRPO" else 4))) for item in range(8) for draw in range(8)
    ]
    replies = pd.DataFrame(rows, columns=["kind", "item", "right", "answer"])
    places = pd.DataFrame({"item": range(40), "nats": nats, "nats_with": nats + 1})
    return replies.assign(arm=arm, seed=seed), places.assign(arm=arm, seed=seed)


RIGHT = {"base": 0.25, "GRPO": 0.5, "RLP, then GRPO": 0.75}
NATS = {"RLP": [0.7, 0.8, 1.3, 0.7, 0.8], "text, equal compute": [1.4] * 5, "text, equal tokens": [2.2] * 5}


def tables(n_seeds):
    arms = [*RIGHT, *NATS]
    made = [
        asked(arm, seed, RIGHT.get(arm, 0.5), NATS.get(arm, [2.0] * 5)[seed])
        for arm in arms for seed in range(n_seeds)
    ]  # fmt: skip
    return {
        name: pd.concat(part)
        for name, part in zip(("replies", "predictions"), zip(*made, strict=True), strict=True)
    }


def test_claims_are_over_seeds_where_there_are_five_and_over_what_was_asked_with_fewer():
    few, many = ({claim.name: claim for claim in results.claims(tables(n))} for n in (2, 5))
    headline = "rlp-beats-text-at-equal-compute"
    assert few[headline].effect == pytest.approx(0.65)
    assert (few[headline].n, few[headline].over, few[headline].trainings) == (40, "places in the text", 2)
    assert few[headline].verdict_text == "seen in 2 trainings"
    assert (many[headline].n, many[headline].over, many[headline].trainings) == (5, "trainings", 5)
    assert many[headline].effect == pytest.approx(1.4 - 0.86)
    assert many[headline].low < 0.5 < many[headline].high  # one seed has much less of it
    assert [claim.name for claim in many.values() if claim.headline] == [headline]
    assert "random-positions-do" not in many  # that arm was not trained
    assert many["grpo-sharpens"].effect == many["rlp-helps-grpo"].effect == 0.25
    assert many["grpo-narrows"].effect > 1


def test_what_has_no_room_or_taught_nothing_cannot_be_tested():
    made = {claim.name: claim for claim in results.claims(tables(2))}
    assert made["rlp-beats-the-same-text"].verdict == "not testable here"  # text is at chance, ln 10
    full = tables(2)
    full["replies"].loc[full["replies"]["arm"] == "GRPO", "right"] = True
    made = {claim.name: claim for claim in results.claims(full)}
    assert made["rlp-helps-grpo"].verdict == "not testable here"
    none = tables(2)
    none["replies"].loc[none["replies"]["arm"] == "RLP", "right"] = False
    made = {claim.name: claim for claim in results.claims(none)}
    assert made["rlp-narrows"].verdict == "not testable here"
    assert np.isnan(made["rlp-narrows"].effect)


def test_the_examples_come_out_as_they_do_by_hand():
    table = checks.identities()
    same = table[table["by hand"] != "no change"]
    assert (same["by hand"] == same["here"]).all()
    assert table["here"][1] == table["here"][0]


# --------------------------------------------------------------------------------- arms
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"text": "stories.txt"}, "give both"),
        ({"steps": 0}, "above 0"),
        ({"learning_rate": -1.0}, "above 0"),
        ({"group": 1}, "group=2"),
        ({"model": "nowhere/at-all/here", "text": "stories.txt"}, "no folder"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(given, says):
    with pytest.raises(UserError, match=says):
        planned(**given)


def test_a_given_model_and_text_go_through_every_arm(tmp_path):
    texts = [f"Tom has {n} red balls and {n + 1} blue balls in the box ." for n in range(40)]
    texts[0] = texts[0] * 20  # longer than the model's context
    (tmp_path / "texts.txt").write_text("\n<|endoftext|>\n".join(texts))
    tokenizer = models.train_tokenizer(texts, 300)
    shape = models.config(vocab_size=len(tokenizer), n_layers=1, hidden_size=16, context=96)
    model = models.build(shape, 0)
    train(
        model,
        tokenizer,
        texts,
        TrainConfig(steps=40, batch_size=8, context=32, learning_rate=1e-2),
        folder=tmp_path / "model",
    )
    plan = planned(
        model=str(tmp_path / "model"), text=str(tmp_path / "texts.txt"), tuning="lora", steps=2,
        seeds=1, batch_size=16,
    )  # fmt: skip
    plan = replace(plan, sizes=replace(plan.sizes, n_test=3, variants=True))
    tables = experiment.train_all(tmp_path / "out", plan, lambda **row: None)
    assert tables["predictions"].groupby("arm").size().to_dict() == dict.fromkeys(plan.arms, 3)
    assert len(tables["replies"]) == 0
    assert {"step", "thought"} <= set(tables["snapshots"])
    assert {claim.name for claim in results.claims(tables)} == {
        "rlp-beats-text-at-equal-compute", "rlp-beats-the-same-text", "random-positions-do"
    }  # fmt: skip
    history = experiment.history(tmp_path / "out", plan)
    assert history.groupby("arm").size().eq(2).all()


TINY = Language((1, 16), 2, 2, 2, rows=8)


def test_in_a_placebo_run_every_arm_reads_as_much_text_of_its_own(tmp_path):
    plan = planned(placebo=True, steps=2, seeds=1)
    sizes = replace(plan.sizes, language=TINY, prompts_per_step=4, n_test=4, draws=2)
    plan = replace(plan, sizes=sizes, source=Embedded(TINY.slots))
    found = experiment.train_all(tmp_path, plan, lambda **row: None)
    assert set(found["replies"]["arm"]) == set(plan.arms)
    assert len(found["snapshots"]) == 0
    models = {path.read_bytes() for path in tmp_path.glob("seed-0/*/model/model.safetensors")}
    assert len(models) == len(plan.arms)
    assert {claim.over for claim in results.claims(found)} >= {"places in the text", "chains"}


def test_a_beginning_that_is_there_is_not_made_again(tmp_path, monkeypatch):
    plan = planned()
    plan = replace(plan, sizes=replace(plan.sizes, language=TINY))
    folder = experiment.prepare(tmp_path, plan, 0)
    monkeypatch.setattr(language, "documents", lambda *_: pytest.fail("wrote its documents again"))
    assert experiment.prepare(tmp_path, plan, 0) == folder
    with pytest.raises(pytest.fail.Exception):
        experiment.prepare(tmp_path, plan, 1)
