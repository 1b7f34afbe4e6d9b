"""Notebook 11's language, what it reads, its measures, and its path for a given model and text."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.corpora import thoughts
from workbench.corpora.thoughts import Chain, Count, Who
from workbench.engine import models
from workbench.engine.tokens import encode, word_tokenizer
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.studies.rlp import asking, checks, claims, experiment, language, problems, results
from workbench.studies.rlp.data import HELD_OUT, Embedded, FileTexts, Problem
from workbench.studies.rlp.language import Language
from workbench.studies.rlp.method import Thinking
from workbench.studies.rlp.plan import make_plan

PARAMS = {
    "profile": "quick", "seed": 0, "model": "embedded", "text": "embedded", "tuning": "full", "group": 4,
    "next_token_weight": 0.5, "data": None, "test": None, "loss": "grpo", "temperature": 1.0,
    "learning_rate": None,
    "steps": None, "seeds": None, "placebo": False, "tag": "think",
    "thought_tokens": 8, "horizon": 1, "device": "cpu",
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


def test_many_names_are_right_where_there_are_so_many():
    for who in thoughts.all_who():
        right = [name for name in thoughts.NAMES if Count(name, who.thing).right(f" {who.number}")]
        assert len(right) >= 8
        assert [name for name in thoughts.NAMES if who.right(f" {name} .")] == right
    assert not who.right(f" {right[0]} {right[0]}")
    assert not who.right("")
    assert thoughts.parse_question(who.question) is None


def test_a_count_is_the_same_for_all_names_of_a_house():
    counts = thoughts.all_counts()
    assert len({count.question for count in counts}) == len(counts) == 256
    by_house = {}
    for count in counts:
        by_house.setdefault((count.house, count.thing), set()).add(count.answer)
        assert thoughts.parse_question(count.question) == count
    assert len(by_house) == 32
    assert all(len(answers) == 1 for answers in by_house.values())
    one = Count("ann", "hats")
    assert thoughts.worked_document(one) == f"ann hats = <t> {one.house} </t>{one.answer}"
    assert one.right(f" <t> {one.house} </t>{one.answer}")
    assert not one.right(f" <t> {one.house} </t>")


def test_chains_that_are_asked_are_never_read():
    source = Embedded(3)
    asked = {chain.question for chain in source.chains(100, HELD_OUT)}
    learnt = {chain.question for seed in range(3) for chain in source.chains(500, seed)}
    assert not asked & learnt
    assert 0.05 < np.mean([chain.held_out for chain in _all_short(3)]) < 0.15
    assert Chain(3, ("+4",), 2).held_out == Chain(3, ("+4",), 5).held_out


def _all_short(slots):
    return [Chain(start, (one,), slots) for start in range(10) for one in thoughts.OPERATIONS]


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
    documents, positions = list(map("".join, source.documents(50, 7))), source.positions(50, 7)
    for text, (before, after) in zip(documents, positions, strict=True):
        assert text.startswith(before)
        assert text.endswith(after)
    assert 0.3 < np.mean(["<t>" in text for text in documents]) < 0.7  # the base's share
    at_random = source.positions(50, 7, at_random=True)
    assert list(map("".join, at_random)) == list(map("".join, positions))
    assert len({before for before, _ in at_random}) > 40
    assert source.documents(50, 8) != source.documents(50, 7)
    assert source.kinds(4) == ["chain", "count"] * 2


def test_the_names_that_are_asked_are_never_rewarded():
    source = Embedded(5)
    asked = [item for item in source.test_items(10) if isinstance(item, Who)]
    learnt = [item for item in source.training_items(500, 0) if isinstance(item, Who)]
    assert len(asked) == 13
    assert len(learnt) == 125
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
            item=item, seed=0, arm="base", kind="who"
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
        "arm": ["text"] * 4 + ["RLP"] * 4, "kind": "chain", "item": [0, 1, 2, 3] * 2,
        "nats": [1.0, 2, 1, 2, 3, 3, 0, 0], "nats_with": [4.0, 1, 4, 1, 0.5, 1, 2, 2],
    })  # fmt: skip
    # Of RLP each half of the places says otherwise, and chooses for the other.
    assert claims.better(frame).tolist() == [1, 2, 1, 2, 3, 3, 2, 2]


KINDS = ("chain", "count")
RIGHT = {
    "base": 0.25, "GRPO": 0.5, "GRPO, equal compute": 0.5, "text, then GRPO": 0.625, "RLP, then GRPO": 0.75
}  # fmt: skip
NATS = {"RLP": [0.7, 0.8, 1.3, 0.7, 0.8], "text, equal compute": [1.4] * 5, "text, equal tokens": [2.2] * 5}


def asked(arm, seed, right, nats):
    """An arm's answers to 20 chains, 20 counts and 8 questions for names, and its nats at 40 places."""
    rows = [(kind, item, draw < 8 * right, draw % 2 == 0, "x")
            for kind in KINDS for item in range(20) for draw in range(8)]  # fmt: skip
    rows += [
        ("who", item, True, False, str(draw % (2 if arm == "GRPO" else 4)))
        for item in range(8) for draw in range(8)
    ]  # fmt: skip
    replies = pd.DataFrame(rows, columns=["kind", "item", "right", "thinks", "answer"])
    places = pd.DataFrame({"item": range(40), "kind": KINDS * 20, "nats": nats, "nats_with": nats + 1})
    return replies.assign(arm=arm, seed=seed), places.assign(arm=arm, seed=seed)


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


def named(tables):
    return {claim.name: claim for claim in claims.claims(tables)}


def test_claims_are_over_seeds_where_there_are_five_and_over_what_was_asked_with_fewer():
    few, many = named(tables(2)), named(tables(5))
    text, headline = "rlp-beats-text-at-equal-compute", "rlp-helps-grpo"
    assert few[text].effect == pytest.approx(0.65)
    assert (few[text].n, few[text].over, few[text].trainings) == (20, "places in the text", 2)
    assert few[text].verdict_text == "seen in 2 trainings"
    assert (many[text].n, many[text].over, many[text].trainings) == (5, "trainings", 5)
    assert many[text].effect == pytest.approx(1.4 - 0.86)
    assert many[text].low < 0.5 < many[text].high  # one seed has much less of it
    assert [claim.name for claim in many.values() if claim.headline] == [headline]
    assert "random-positions-do" not in many  # that arm was not trained
    assert many[headline].effect == many["grpo-sharpens-counts"].effect == 0.25
    assert many["rlp-prepares-better-than-text"].effect == many["text-helps-grpo"].effect == 0.125
    assert many["grpo-loses-range"].effect == 0  # both find all of them in eight replies
    assert many["grpo-narrows"].effect > 1


def test_what_has_no_room_or_taught_nothing_cannot_be_tested():
    made = named(tables(2))
    assert made["rlp-beats-the-same-text-counts"].is_tested  # text at equal compute saves .6 nats
    full = tables(2)
    replies = full["replies"]
    replies.loc[replies["arm"] == "GRPO, equal compute", "right"] = True
    replies.loc[replies["arm"] == "text, equal compute", "thinks"] = False
    made = named(full)
    assert made["rlp-helps-grpo"].verdict == "not testable here"
    assert made["rlp-prepares-better-than-text"].verdict == "not testable here"  # it no longer thinks
    nats = full["predictions"]
    nats.loc[nats["arm"] == "text, equal compute", ["nats", "nats_with"]] += 1.0
    made = named(full)
    gates = [made[f"rlp-beats-text-at-equal-compute{task}"].failed_gates[-1] for task in ("", "-counts")]
    assert [gate.value for gate in gates] == pytest.approx([0.4, -0.4])  # it has unlearnt, and not learnt
    replies.loc[replies["arm"] == "RLP", "right"] = False
    made = named(full)
    assert made["rlp-narrows"].verdict == "not testable here"
    assert np.isnan(made["rlp-narrows"].effect)


def test_text_must_still_think_on_either_side_of_a_claim():
    full = tables(2)
    replies = full["replies"]
    replies.loc[replies["arm"] == "text, equal compute", "thinks"] = False
    made = named(full)
    for name in ("text-helps-grpo", "rlp-prepares-better-than-text"):
        failed = made[name].failed_gates
        assert [gate.name for gate in failed] == ["thoughts left after text, of the base's"]
    assert made["rlp-helps-grpo"].is_tested  # it has no text on either side
    assert made["grpo-sharpens"].is_tested


def test_seeds_that_have_not_learnt_are_left_out_and_said():
    frames = tables(2)
    replies = frames["replies"]
    assert results.learnt(frames) == (frames, [])
    poor = (replies["arm"] == "base") & (replies["kind"] == "chain") & (replies["seed"] == 1)
    replies.loc[poor, "right"] = False
    kept, said = results.learnt(frames)
    assert set(kept["replies"]["seed"]) == set(kept["predictions"]["seed"]) == {0}
    assert said[0].startswith("1 of 2 seeds")
    replies.loc[replies["arm"] == "base", "right"] = False
    with pytest.raises(UserError, match="No base"):
        results.learnt(frames)


def test_what_could_not_learn_is_said():
    history = pd.DataFrame([
        (arm, 0, step, reward, degenerate)
        for arm, reward, degenerate in
        [("GRPO", 0.0, 1.0), ("RLP, then GRPO", 1.0, 1.0), ("RLP", 0.4, 1.0), ("text, then GRPO", 0.4, 0.9)]
        for step in (1, 2)
    ], columns=["arm", "seed", "step", "reward", "degenerate_groups"])  # fmt: skip
    frames = tables(1)
    said = results.notes(history, frames)
    assert len(said) == 3
    assert "every reply was wrong" in said[0]
    assert "every reply was right" in said[1]
    assert "rewards of every group were equal" in said[2]
    frames["replies"]["thinks"] = False
    assert "never begins" in results.notes(history[:0], frames)[0]


def test_the_examples_come_out_as_they_do_by_hand():
    table = checks.identities()
    same = table[table["by hand"] != "no change"]
    assert (same["by hand"] == same["here"]).all()
    assert table["here"][1] == table["here"][0]


# --------------------------------------------------------------------------------- arms


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A model, texts and problems of a user."""
    folder = tmp_path_factory.mktemp("given")
    texts = [f"Tom has {n} red balls and {n + 1} blue balls in the box ." for n in range(40)]
    texts[0] = texts[0] * 20  # longer than the model's context
    (folder / "texts.txt").write_text("\n<|endoftext|>\n".join(texts))
    rows = [
        {"question": f"How many balls has Tom, {n} and {n}?", "answer": f"#### {2 * n}"} for n in range(60)
    ]
    (folder / "problems.jsonl").write_text("\n".join(map(json.dumps, rows)))
    tokenizer = models.train_tokenizer(texts, 300)
    shape = models.config(vocab_size=len(tokenizer), n_layers=1, hidden_size=16, context=96)
    config = TrainConfig(steps=40, batch_size=8, context=32, learning_rate=1e-2)
    train(models.build(shape, 0), tokenizer, texts, config, folder=folder / "model")
    return {"model": str(folder / "model"), "text": str(folder / "texts.txt"), "seeds": 1, "steps": 2}


def test_a_given_model_and_text_go_through_every_arm(given, tmp_path):
    plan = planned(**given, tuning="lora")
    plan = replace(plan, sizes=replace(plan.sizes, n_test=3, variants=True))
    tables = experiment.train_all(tmp_path / "out", plan, lambda **row: None)
    assert tables["predictions"].groupby("arm").size().to_dict() == dict.fromkeys(plan.arms, 3)
    assert len(tables["replies"]) == 0
    assert {"step", "thought"} <= set(tables["snapshots"])
    made = named(tables)
    assert set(made) == {
        "rlp-beats-text-at-equal-compute", "rlp-beats-the-same-text", "rlp-as-published-beats-text",
        "random-positions-do",
    }  # fmt: skip
    assert [name for name, claim in made.items() if claim.headline] == ["rlp-beats-text-at-equal-compute"]
    history = experiment.history(tmp_path / "out", plan)
    assert history.groupby("arm").size().eq(2).all()


def test_problems_of_a_file_are_asked_before_and_after_grpo(given, tmp_path):
    data = str(Path(given["text"]).parent / "problems.jsonl")
    plan = planned(**given, data=data, thought_tokens=4)
    plan = replace(plan, sizes=replace(plan.sizes, n_test=3, prompts_per_step=2, draws=2))
    tables = experiment.train_all(tmp_path, plan, lambda **row: None)
    replies = tables["replies"]
    assert replies.groupby("arm").size().to_dict() == dict.fromkeys(plan.arms, 6)
    assert set(replies["kind"]) == {"problem"}
    found = named(tables)
    assert [name for name, claim in found.items() if claim.headline] == ["rlp-helps-grpo"]
    assert "grpo-narrows" not in found
    history = experiment.history(tmp_path, plan)
    assert set(history["arm"]) == {"RLP", "GRPO", "GRPO, equal compute", "text, then GRPO", "RLP, then GRPO"}
    costs = experiment.costs(tmp_path, plan).set_index("arm")["passes"]
    assert costs["GRPO, equal compute"] > costs["GRPO"]
    assert costs["RLP, then GRPO"] > costs["RLP"]
    summary = results.table(replies, tables["thought"], costs.reset_index())
    assert set(summary["thousands of passes"]) > {0}  # the base's are not counted
    longest = replace(plan.source, thinking=replace(plan.source.thinking, max_tokens=40))
    with pytest.raises(UserError, match="lower thought_tokens"):
        experiment.train_all(tmp_path / "long", replace(plan, source=longest), lambda **row: None)


def test_problems_are_read_once_and_judged_by_their_answer(given, tmp_path):
    data = str(Path(given["text"]).parent / "problems.jsonl")
    rewarded, asked = problems.load(data, None, 0)
    assert (len(rewarded), len(asked)) == (48, 12)
    assert not {one.question for one in rewarded} & {one.question for one in asked}
    one = Problem("How many?", "14")
    assert one.right("7 and 7 are 14. The answer is 14.")
    assert not one.right("The answer is 13.")
    graded = asking.grade(
        one, "\n<think> 7 </think> The answer is 14.", FileTexts((), (), _TAGS), ended=False
    )
    assert (graded["kind"], graded["thinks"], graded["right"]) == ("problem", True, True)
    few = tmp_path / "few.jsonl"
    few.write_text(Path(data).read_text().splitlines()[0])
    with pytest.raises(UserError, match="holds 1 problem"):
        problems.load(data, str(few), 0)


_TAGS = Thinking("\n<think>", "</think>\n")


TINY = Language((1, 16), 2, 2, 2, rows=8)


def test_in_a_placebo_run_every_arm_reads_as_much_text_of_its_own(tmp_path):
    plan = planned(placebo=True, steps=2, seeds=1)
    sizes = replace(plan.sizes, language=TINY, prompts_per_step=4, n_test=4, draws=2)
    plan = replace(plan, sizes=sizes, source=Embedded(TINY.slots))
    found = experiment.train_all(tmp_path, plan, lambda **row: None)
    assert set(found["replies"]["arm"]) == set(plan.arms)
    assert len(list(tmp_path.glob("seed-*/start"))) == 1  # all begin with one base
    assert len(found["snapshots"]) == 0
    models = {path.read_bytes() for path in tmp_path.glob("seed-0/*/model/model.safetensors")}
    assert len(models) == len(plan.arms)
    assert {claim.over for claim in claims.claims(found)} >= {"places in the text", "chains"}
    costs = experiment.costs(tmp_path, plan)  # what an arm is called does not tell what it took
    assert costs.empty
    assert "thousands of passes" not in results.table(found["replies"], found["thought"], costs)


def test_a_beginning_that_is_there_is_not_made_again(tmp_path, monkeypatch):
    plan = planned()
    plan = replace(plan, sizes=replace(plan.sizes, language=TINY))
    folder = experiment.prepare(tmp_path, plan, 0)
    monkeypatch.setattr(language, "documents", lambda *_: pytest.fail("wrote its documents again"))
    assert experiment.prepare(tmp_path, plan, 0) == folder
    with pytest.raises(pytest.fail.Exception):
        experiment.prepare(tmp_path, plan, 1)


def test_a_given_model_alone_reads_stories_and_solves_word_problems(tmp_path):
    plan = planned(profile="real-laptop", model="starter", tuning=None, thought_tokens=4, temperature=None)
    assert plan.lora
    assert plan.config.temperature == plan.sizes.asked_at == 0.6
    assert plan.arms == ("base", "RLP", "text, equal compute", "GRPO")
    assert not {one.question for one in plan.source.rewarded} & {one.question for one in plan.source.asked}
    (said,) = experiment.expected(plan)
    assert "Measured on this machine" in said
    plan = replace(plan, sizes=replace(plan.sizes, steps=1, n_test=3))
    tables = experiment.train_all(tmp_path, plan, lambda **row: None)
    assert tables["replies"].groupby("arm").size().to_dict() == dict.fromkeys(plan.arms, 6)
    found = named(tables)
    assert set(found) == {"grpo-sharpens", "grpo-loses-range", "rlp-beats-text-at-equal-compute"}
    assert [name for name, claim in found.items() if claim.headline] == ["rlp-beats-text-at-equal-compute"]
