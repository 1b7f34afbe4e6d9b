"""06_curriculum: walks and their truth, pages in their orders, answers, and claims from known numbers."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.corpora import facts, homes, walks
from workbench.engine import loading, models
from workbench.engine.training.common import TrainConfig
from workbench.engine.training.packing import IGNORED
from workbench.engine.training.train import train
from workbench.errors import UserError
from workbench.studies.curriculum import asking, data, experiment, results, views

torch.set_num_threads(1)
PARAMS = SimpleNamespace(
    profile="quick", seed=0, seeds=1, model="embedded", facts="embedded", device="cpu", n_facts=24,
    n_updates=16, placebo=False,
)  # fmt: skip
SMALL = replace(data.settings(PARAMS), batch_size=8, n_people=10, n_test=24, shapes=((1, 16), (2, 16)))


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return experiment.start(tmp_path_factory.mktemp("start") / "start", SMALL)


@pytest.fixture(scope="module")
def task(start):
    return data.tasks(start, SMALL, [0])[0]


@pytest.fixture(scope="module")
def right(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return folder, experiment.train_all(folder, start, SMALL, lambda **row: None)


# Facts and walks


def test_a_question_has_one_answer_and_no_value_is_the_likely_one():
    drawn = facts.draw(400, np.random.default_rng(0))
    assert len({(fact.entity, fact.attribute) for fact in drawn}) == 400
    assert all(fact.value in facts.VALUES[fact.attribute] for fact in drawn)
    assert facts.majority_accuracy(drawn) < 0.3
    assert len({fact.entity for fact in facts.draw(5000, np.random.default_rng(0))}) > 500


def test_the_place_after_each_step_is_where_the_ways_lead():
    town = walks.town(6, 3, np.random.default_rng(1))
    drawn = walks.draw(town, 50, 5, np.random.default_rng(2))
    for start, ways, ends in zip(drawn.starts, drawn.ways, drawn.ends, strict=True):
        for way, end in zip(ways, ends, strict=True):
            start = town.leads[way, start]
            assert start == end
    assert all(sorted(way) == list(range(6)) for way in town.leads)
    assert not (town.leads == np.arange(6)).any()


def test_no_walk_that_is_learnt_begins_as_one_of_the_test():
    town = walks.town(5, 3, np.random.default_rng(3))

    def beginnings(held_out, steps):
        drawn = walks.draw(town, 2000, steps, np.random.default_rng(4), held_out=held_out)
        return {
            (start, *ways[: walks.BEGINNING])
            for start, ways in zip(drawn.starts, drawn.ways.tolist(), strict=True)
        }

    tested = beginnings(True, 4)
    assert len(tested) == round(walks.HELD_OUT * 5 * 3**walks.BEGINNING)
    assert not tested & (beginnings(False, 4) | beginnings(False, 3))


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_facts_of_a_file_are_read_whatever_the_format(tmp_path):
    rows = [{"entity": f"Land {i}", "attribute": "capital", "value": f"Town {i}"} for i in range(30)]
    table = tmp_path / "capitals.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    assert facts.load(write(tmp_path / "a.jsonl", rows)) == facts.load(str(table))
    known = data.draw_facts(replace(SMALL, facts=str(table)), 0)
    assert len(set(known)) == 24
    assert known[0].pair()[0].endswith("'s capital is")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"entity": "A", "attribute": "b"}], "line 1 needs a text in each of entity, attribute, value"),
        ([{"entity": "A", "attribute": "b", "value": " "}], "line 1 needs"),
        (["A"], "line 1 is no object with fields"),
        ([{"entity": "A", "attribute": "b", "value": v} for v in "cd"], "line 2: A's b is d, and c"),
        ([{"entity": "A", "attribute": "b", "value": 1}] * 30, "holds 1 facts: give 20"),
        ([{"entity": f"A{i}", "attribute": "b", "value": 1} for i in range(30)], "one value"),
    ],
)
def test_files_that_cannot_be_learnt_are_one_sentence(tmp_path, rows, says):
    with pytest.raises(UserError, match=says):
        facts.load(write(tmp_path / "facts.jsonl", rows))


def test_what_cannot_be_trained_is_one_sentence(tmp_path):
    rows = [{"entity": "A " * 40 + str(i), "attribute": "b", "value": i} for i in range(30)]
    long = replace(SMALL, facts=write(tmp_path / "long.jsonl", rows))
    with pytest.raises(UserError, match="takes 45 tokens, and a page holds 32"):
        data.tasks(experiment.start(tmp_path / "long", long), long, [0])
    bytes_only = models.train_tokenizer(["a b"], 257)
    with pytest.raises(UserError, match="breaks park, school, shop, north, east into pieces"):
        walks.words(bytes_only, 3, 2)


def test_a_model_that_reads_less_than_a_walk_is_refused(tmp_path):
    short = replace(SMALL, context=5)
    with pytest.raises(UserError, match="Walks of 4 steps take 6 tokens, and this model reads 5 at once"):
        data.tasks(experiment.start(tmp_path / "short", short), short, [0])


# Homes


def test_a_question_leads_one_way_from_a_home_and_every_kind_is_there():
    town = walks.town(5, 3, np.random.default_rng(0))
    people = homes.draw(20, 5, np.random.default_rng(1))
    asked = homes.questions(people, town, np.random.default_rng(2))
    assert len({home.person for home in people}) == 20
    assert set(np.bincount([home.place for home in people])) == {4}
    assert len({question.pair()[0] for question in asked}) == 60
    for question in asked:
        assert question.end == town.leads[question.way, question.home.place]
        assert question.pair()[1].strip() == walks.PLACES[question.end]
    counts = pd.Series([question.kind for question in asked]).value_counts()
    assert counts.to_dict() == {homes.NEW_PERSON: 30, homes.READ: 20, homes.NEW_STEP: 10}
    of_kind = {kind: {q.home.person for q in asked if q.kind == kind} for kind in homes.KINDS}
    assert of_kind[homes.READ] == of_kind[homes.NEW_STEP]
    assert not of_kind[homes.READ] & of_kind[homes.NEW_PERSON]


def test_only_the_questions_to_be_read_are_read_and_only_where_they_are_asked_for(task):
    def read(combined):
        rows = task.pages(0.5, "shuffled", combined).ids
        return " ".join(task.tokenizer.decode(row) for row in rows)

    alone, beside = read(0.0), read(0.125)
    for question in task.questions:
        assert question.pair()[0] not in alone
        assert (question.pair()[0] in beside) == (question.kind == homes.READ)
    assert all("".join(home.fact().pair()) in alone for home in task.homes)
    assert len(task.pages(0.5, "shuffled", 0.125).ids) == SMALL.n_pages


def test_combined_answers_stand_beside_their_parts(task, monkeypatch):
    """A model that knows all homes but the first person's and every step, and stays at home when asked."""
    first = task.homes[0].person

    def completed(_, task, pairs):
        facts = [home.fact().pair() for home in task.homes]
        return np.array([pair in facts and not pair[0].startswith(first) for pair in pairs])

    monkeypatch.setattr(asking, "completed", completed)
    places = np.array([question.home.place for question in task.questions])
    monkeypatch.setattr(asking, "_place_after", lambda *_: places)
    monkeypatch.setattr(asking, "places_named", lambda model, task, asked: asked.ends)
    rows = asking.combined(None, task)
    assert len(rows) == len(task.questions) == 30
    assert (rows["home"] == [question.home.person != first for question in task.questions]).all()
    assert rows["step"].all()
    assert rows["stays"].all()
    assert not rows["right"].any()  # no way leads back to where it begins
    assert not rows["luck"].any()


def test_an_answer_that_takes_no_notice_of_the_way_is_right_as_often_by_luck(task, monkeypatch):
    answers = {home.person: number % SMALL.n_places for number, home in enumerate(task.homes)}
    said = np.array([answers[question.home.person] for question in task.questions])
    monkeypatch.setattr(asking, "_place_after", lambda *_: said)
    monkeypatch.setattr(asking, "most_likely", lambda model, ids, among=None: ids)
    rows = asking.combined(None, task)
    assert rows["right"].any()
    assert rows["right"].sum() == pytest.approx(rows["luck"].sum())


def test_the_place_after_a_prompt_is_the_likeliest_of_the_places(task, monkeypatch):
    """Whatever its length: what the stub likes after a token is the token's own number."""
    prompts = [task.questions[0].pair()[0], "Tom's home"]
    monkeypatch.setattr(asking, "most_likely", lambda model, ids, among: ids)
    tokens = task.tokenizer.convert_tokens_to_ids([prompts[0].split()[-1], "home"])
    assert asking._place_after(None, task, prompts).tolist() == tokens


# Pages


def kinds(task, blocks):
    """0 for a page of facts, else the steps of its walks."""
    place = set(task.words.places.tolist())
    is_walk = [int(row[1]) in place for row in blocks.ids]
    rows = zip(blocks.positions, is_walk, strict=True)
    lengths = [(np.flatnonzero(row == 0)[1] if walk else 0) for row, walk in rows]
    return np.array([length - 2 if length else 0 for length in lengths])


def test_all_orders_read_the_same_pages_and_differ_as_they_say(task):
    read = {order: task.pages(0.5, order) for order in data.ORDERS}
    same = {tuple(sorted(map(bytes, blocks.ids))) for blocks in read.values()}
    assert len(same) == 1
    seen = {order: kinds(task, blocks) for order, blocks in read.items()}
    half = SMALL.n_pages // 2
    assert not seen["facts first"][:half].any()
    assert not seen["walks first"][half:].any()
    assert (np.diff(seen["easy to hard"][seen["easy to hard"] > 0]) >= 0).all()
    assert (seen["easy to hard"] == 0)[:half].sum() == pytest.approx(half / 2, abs=half / 4)
    changes = {order: int((np.diff(steps == 0) != 0).sum()) for order, steps in seen.items()}
    assert changes["facts first"] == 1 < changes["interleaved"] == 15 < changes["shuffled"]


@pytest.mark.parametrize("share", data.SHARES)
def test_every_share_reads_equally_many_pages(task, share):
    blocks = task.pages(share, "shuffled")
    read = kinds(task, blocks)
    assert len(read) == SMALL.n_pages
    assert (read == 0).sum() == share * SMALL.n_pages
    counts = [(read == steps).sum() for steps in range(1, SMALL.n_steps + 1)]
    assert max(counts) - min(counts) <= 1


def test_at_each_way_the_place_is_learnt_and_nothing_else_of_a_walk(task):
    blocks = task.pages(0.0, "shuffled")
    number = {int(token): way for way, token in enumerate(task.words.ways)}
    name = {int(token): place for place, token in enumerate(task.words.places)}
    for ids, targets in zip(blocks.ids, blocks.targets, strict=True):
        at = None
        for token, target in zip(ids.tolist(), targets.tolist(), strict=True):
            if token in name:
                at = name[token]
            learnt = token in number
            assert learnt == (target != IGNORED)
            if learnt:
                at = task.town.leads[number[token], at]
                assert name[target] == at


@pytest.mark.parametrize("order", ["facts first", "walks first"])
def test_rows_laid_out_already_are_read_in_their_own_order(task, tmp_path, order):
    model = experiment.new_model((1, 16), len(task.tokenizer), SMALL.context, 0)
    blocks, read = task.pages(0.5, order), []
    model.register_forward_pre_hook(lambda _, __, given: read.append(given["input_ids"]), with_kwargs=True)
    config = TrainConfig(steps=SMALL.updates, batch_size=SMALL.batch_size, context=SMALL.context)
    train(model, task.tokenizer, blocks, config, folder=tmp_path / "model")
    assert np.array_equal(torch.cat(read).numpy(), blocks.ids)


# Answers


def test_what_is_asked_is_right_where_the_model_says_it(task, monkeypatch):
    """A model that knows all but one fact, and the way but for the last step."""
    asked = task.test_walks()
    said = task.words.places[asked.ends]
    said[:, -1] = task.words.ways[0]
    answers = {
        tuple(row): place for row, place in zip(walks.tokens(asked, task.words).tolist(), said, strict=True)
    }
    pairs = [fact.pair() for fact in task.facts[: SMALL.n_test]]
    known = {prompt: value.strip() for prompt, value in pairs[1:]}

    def most_likely(_, ids):
        result = np.roll(ids, -1, 1)
        for row, words in enumerate(ids):
            if tuple(words) in answers:
                result[row, 2:] = answers[tuple(words)]
            elif task.tokenizer.decode(words[1:6]) not in known:
                result[row] = -1
        return result

    monkeypatch.setattr(asking, "most_likely", most_likely)
    assert asking.completed(None, task, pairs).tolist() == [False] + [True] * (SMALL.n_test - 1)
    named = asking.places_named(None, task, asked)
    assert (named[:, :-1] == asked.ends[:, :-1]).all()
    assert (named[:, -1] == -1).all()


def test_every_arm_is_trained_and_asked_and_a_second_call_only_reads(right, start):
    folder, frame = right
    arms = experiment.arms(SMALL)
    assert len({arm.name for arm in arms}) == 11
    ended = frame[frame["update"] == SMALL.updates]
    assert len(ended) == len(arms) * (1 + SMALL.n_steps) * SMALL.n_test
    a_block_before_the_end = 15
    assert set(frame["update"]) == {*range(0, 17, 2), a_block_before_the_end}
    combined = experiment.kept(folder, SMALL, "combined")
    assert len(combined) == len(arms) * SMALL.n_people * SMALL.n_ways
    assert len(experiment.kept(folder, SMALL, "losses")) == len(arms)
    only = ended[(ended["share"] == 0) & (ended["measure"] == "facts")]
    assert (only["value"] == 0).all()  # what was never read is not known
    logged = []
    again = experiment.train_all(folder, start, SMALL, lambda **row: logged.append(row))
    pd.testing.assert_frame_equal(again, frame)
    assert logged == []


def trained(folder, arm, start, settings):
    """The share that one arm answers rightly."""
    experiment.train_arm({"a": arm}, start, settings, folder, "a", 0, log=lambda row: None)
    frame = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("right-*"))])
    return frame.groupby(["update", "measure"])["value"].mean()


def test_facts_that_are_read_often_are_known(start, tmp_path):
    arm = experiment.Arm(1.0, "shuffled", (1, 32))
    known = trained(tmp_path, arm, start, replace(SMALL, updates=60, learning_rate=1e-2))
    assert known[0, "facts"] < 0.3
    assert known[60, "facts"] > 0.9


def test_a_given_model_learns_in_its_own_shape_and_no_shapes_are_compared(start, task, tmp_path):
    given = replace(SMALL, model=start)
    assert experiment.start(tmp_path / "none", given) == start
    arms, task = experiment.arms(given), replace(task, settings=given)
    assert {arm.shape for arm in arms} == {None}
    assert len(arms) == len(data.SHARES) + len(data.ORDERS)
    assert experiment.parameter_counts(task).empty
    shares = trained(tmp_path, arms[2], start, given).reset_index()
    assert loading.load(tmp_path / "model")[0].config.hidden_size == 16
    as_given = results.at_end(shares).assign(layers=0, width=0)
    rows = results.summary(as_given, ["layers", "width", "measure"])
    assert "as given" in json.dumps(views.shapes(rows).spec)


def test_the_pictures_can_be_drawn(right, task):
    folder, frame = right
    last = results.of_base(results.at_end(results.scores(frame)))
    shuffled = results.summary(last.query("order == 'shuffled'"), ["share", "score"])
    assert views.mixtures(shuffled, 0.2).spec
    shares = results.by_measure(results.at_end(frame))
    steps = results.summary(shares, ["layers", "width", "measure"])
    assert "1 × 16" in json.dumps(views.shapes(steps).spec, ensure_ascii=False)
    explorer = views.try_questions(experiment.load(folder, SMALL), task)
    record = explorer.draw("50% facts, shuffled, combined questions", 20).record
    assert "of 4 steps right" in record["sentence"]
    assert "of 4 questions about homes right" in record["sentence"]
    pairs = results.together(experiment.kept(folder, SMALL, "combined"))
    assert len(pairs) == 2 * len(task.questions)
    parts = results.parts(pairs)
    assert set(parts["arm"]) == {results.APART, results.TOGETHER}
    assert len(parts) == 6
    assert views.combined_parts(parts).record["rows"]
    scores = results.summary(parts.rename(columns={"step": "value"}), ["arm", "kind"])
    assert "another person" in json.dumps(views.combined(scores, 0.2).spec)
    assert "learnt" in views.pages(task).record["kinds"]


# Claims


def predicted(effect, seeds=5):
    """Answers in which everything is as it was predicted, times `effect`, on 20 questions."""
    frames, rng = [], np.random.default_rng(6)
    for seed in range(seeds):
        for arm in experiment.arms(SMALL):
            for update in (8, 15, 16):
                ends = 0.2 * effect * (update > 8)
                facts_ = 0.6 + (arm.shape == (1, 16)) * 0.1 * effect
                walked = 0.6 + (arm.shape == (2, 16)) * 0.1 * effect
                facts_ -= ends * (arm.order == "facts first")
                walked -= ends * (arm.order == "walks first")
                walked += ends * (arm.order in ("easy to hard", "interleaved"))
                about = {**experiment._about(arm), "seed": seed, "update": update}
                for name, value in {"facts": facts_, "1": 1, "2": 1, "3": walked, "4": walked}.items():
                    noisy = value + rng.normal(0, 0.02, 20)
                    frames.append(
                        pd.DataFrame({"measure": name, "item": range(20), "value": noisy}).assign(**about)
                    )
    return pd.concat(frames, ignore_index=True)


def predicted_combined(effect, seeds=5, home=True):
    """Likewise of combined questions, of which guessing gets .2 right."""
    frames, rng = [], np.random.default_rng(7)
    for seed in range(seeds):
        for arm in experiment.arms(SMALL):
            for kind in homes.KINDS:
                right = 0.2 + 0.1 * effect * (1 + (arm.combined > 0))
                right = 0.9 if arm.combined and kind != homes.NEW_PERSON else right
                rows = {"kind": kind, "item": range(20), "home": home, "step": True, "stays": False}
                rows |= {"right": right + rng.normal(0, 0.02, 20), "luck": 0.2}
                frames.append(pd.DataFrame(rows).assign(**experiment._about(arm), seed=seed))
    return pd.concat(frames, ignore_index=True)


def claimed(effect, seeds=5, right=None, combined=None, **about):
    right = predicted(effect, seeds) if right is None else right
    combined = predicted_combined(effect, seeds) if combined is None else combined
    return {claim.name: claim for claim in results.claims(right, combined, 5, **about)}


def test_claims_are_positive_where_the_prediction_holds_and_negative_where_its_reverse_does():
    claims = claimed(1)
    assert len(claims) == 10
    assert all(claim.low > 0 for claim in claims.values()), claims
    assert {(claim.n, claim.over, claim.trainings) for claim in claims.values()} == {(5, "trainings", 5)}
    assert {claim.verdict for claim in claims.values()} == {"reproduced"}
    assert [name for name, claim in claims.items() if claim.headline] == ["apart-combines"]
    turned = {name: claim.high for name, claim in claimed(-1).items()}
    assert all(high < 0 for high in turned.values()), turned
    assert claimed(0)["apart-combines"].verdict == "no effect"


def test_one_training_is_told_over_its_questions():
    claims = claimed(1, seeds=1)
    assert len(claims) == 10
    claim = claims["mixing-keeps-facts"]
    assert (claim.n, claim.over, claim.verdict_text) == (20, "questions", "seen in one training")
    assert claims["apart-combines"].n == 60


def test_few_trainings_are_told_by_their_own_means():
    """Question 3 of one seed is not question 3 of another."""
    claim = claimed(1, seeds=3)["mixing-keeps-facts"]
    assert (claim.n, claim.over, claim.verdict_text) == (3, "trainings", "seen in 3 trainings")


def test_what_is_not_known_apart_cannot_be_combined():
    unknown = predicted_combined(1, home=False)
    claims = claimed(1, combined=unknown)
    assert {claims[name].verdict for name in ("apart-combines", "combining-carries-over")} == {
        "not testable here"
    }
    hard = predicted_combined(1)
    hard["right"] = hard["right"].mask((hard["combined"] > 0) & (hard["kind"] == homes.NEW_STEP), 0.3)
    claims = claimed(1, combined=hard)
    assert claims["apart-combines"].verdict == "not testable here"
    assert claims["combining-carries-over"].verdict == "reproduced"


def test_what_was_never_learnt_is_not_forgotten():
    right = predicted(1)
    right["value"] = right["value"].mask(right["measure"] == "facts", right["value"] - 0.5)
    claims = claimed(1, right=right)
    assert claims["sequential-forgets-facts"].verdict == "not testable here"
    assert claims["sequential-forgets-walks"].verdict == "reproduced"


def test_blocks_are_scored_after_both_kinds():
    """What rises and falls with the blocks gains nothing from which of them is last."""
    rows = [
        {"share": 0.5, "order": "interleaved", "combined": 0.0, "layers": 1, "width": 16, "seed": 0,
         "update": update, "score": score, "value": value}
        for update, score, value in [(8, "walks", 0), (15, "walks", 0.2), (16, "walks", 0.8)]
    ]  # fmt: skip
    assert results.settled(pd.DataFrame(rows))["value"].tolist() == [0.5]
    assert data.last_blocks(64) == (60, 64)


def test_seeds_that_do_not_train_are_left_out_and_counted():
    losses = pd.DataFrame({"seed": [0, 0, 1, 1, 2], "first": 5.0, "last": [1, 1, 1, 4.9, np.nan]})
    assert results.untrained(losses) == [1, 2]
    assert set(results.trained(losses, losses)["seed"]) == {0}
    assert "2 of 3 seeds (1, 2) are left out" in results.trainings(losses)
    assert "all 2 seeds" in results.trainings(losses.assign(last=1.0).query("seed < 2"))
    with pytest.raises(UserError, match="In no seed has every model trained"):
        results.untrained(losses.assign(last=5.0))


def test_a_placebo_compares_arms_that_read_alike(start, tmp_path):
    settings = replace(SMALL, placebo=True, shapes=((1, 16),))
    right = experiment.train_all(tmp_path, start, settings, lambda **row: None)
    ends = results.by_measure(results.at_end(right)).query("measure == 'facts' and share in [0, 1]")
    read = loading.load(tmp_path / "seed-0" / "0-shuffled-1x16" / "model", "cpu")
    assert read[0].config.num_hidden_layers == 1
    assert len(ends) == 2
    combined = experiment.kept(tmp_path, settings, "combined")
    assert {claim.name for claim in results.claims(right, combined, settings.n_places, placebo=True)} == {
        "combining-carries-over", "mixing-keeps-facts", "mixing-keeps-walks", "easy-to-hard-helps-walks",
        "interleaving-helps",
    }  # fmt: skip
    followed = right.groupby(["share", "order"])["update"].nunique()
    assert set(followed) == {experiment.CHECKS + 2}  # as the control is, which is asked all the time


def test_walks_score_only_questions_that_nobody_read():
    rows = [("facts", 0.4), ("1", 1.0), ("2", 1.0), ("3", 0.5), ("4", 0.3)]
    frame = pd.DataFrame(rows, columns=["measure", "value"]).assign(
        share=0.5, order="shuffled", combined=0.0, layers=1, width=16, seed=0, update=8, item=0
    )
    found = results.scores(frame).set_index("score")["value"]
    assert found["walks"] == pytest.approx(0.4)
    assert found["smaller of the two"] == pytest.approx(0.4)
    assert found["mean of the two"] == pytest.approx(0.4)


def test_a_given_model_reads_half_facts_in_three_orders():
    about = {**vars(PARAMS), "profile": "real-laptop", "n_facts": None, "n_updates": None}
    settings = data.settings(SimpleNamespace(**about | {"model": "starter"}))
    arms = [(arm.order, arm.combined > 0, arm.shape) for arm in experiment.arms(settings)]
    assert arms == [
        ("shuffled", False, None), ("facts first", False, None), ("walks first", False, None),
        ("shuffled", True, None),
    ]  # fmt: skip
