"""10_hivemind: what is measured of answers whose likeness is known, from training to the linked view."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from workbench.corpora import open_ended
from workbench.corpora.loaders.generations import COLUMNS
from workbench.engine import loading
from workbench.engine.sampling.sampler import SamplingParams
from workbench.engine.sampling.transformers_sampler import TransformersSampler
from workbench.errors import UserError
from workbench.measures.calibration import calibration
from workbench.studies.hivemind import (
    asking,
    data,
    decoding,
    decoding_results,
    evaluators,
    excess,
    method,
    prompt_map,
    results,
    views,
)
from workbench.studies.hivemind import models as hivemind_models
from workbench.studies.hivemind.data import INVALID, PEOPLE
from workbench.studies.hivemind.models import Member
from workbench.studies.hivemind.prompts import read_prompts

ASKED = open_ended.requests(0)[::6]
PARAMS = {
    "profile": "quick",
    "seed": 0,
    "seeds": None,
    "placebo": False,
    "generations": "embedded",
    "models": "embedded",
    "prompts": "embedded",
    "encoder": "embedded",
    "temperature": 1.0,
    "top_p": 0.9,
    "min_p": 0.0,
    "samples": None,
    "iterations": None,
    "device": "cpu",
    "verbalized": False,
}


def plan(**params):
    return data.plan(SimpleNamespace(**PARAMS | params))


SIZES = plan().sizes
EVERY_KIND = replace(SIZES, kinds=hivemind_models.EVERY_KIND)


def of_seeds(answers, seeds=(0,)):
    """Both tables of likeness, as often as there are seeds."""
    sets = [replace(answers, seed=seed) for seed in seeds]
    measures = method.intra_model_repetition, method.inter_model_homogeneity
    return [method.every_seed(sets, measure) for measure in measures]


def says(model, answers_of, n=12):
    """Answers of a made-up model: what `answers_of` gives for a request, as often as asked for."""
    rows = [
        (request.id, request.prompt, request.kind, model, number, text, "stop")
        for request in ASKED
        for number, text in enumerate(answers_of(request, n))
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def drawn(seed):
    return lambda request, n: [answer.text for answer in open_ended.answers(request, n, seed)]


def copied(request, n):
    return [open_ended.answers(request, 1, 7)[0].text] * n


def broken(request, n):
    return [*drawn(3)(request, n // 2), *["I do not know."] * (n - n // 2)]


@pytest.fixture(scope="module")
def answers():
    """Two models that answer like people, two that always copy one answer, one that fails half the time."""
    made = {"free-a": drawn(1), "free-b": drawn(2), "copy-a": copied, "copy-b": copied, "broken": broken}
    generations = pd.concat([says(name, answers_of) for name, answers_of in made.items()], ignore_index=True)
    return method.answer_set(generations, replace(plan(samples=12), sizes=EVERY_KIND))


def test_the_scale_lies_between_other_prompts_and_paraphrases(answers):
    assert 0 <= answers.floor < answers.ceiling < 1
    assert answers.models == ["free-a", "free-b", "copy-a", "copy-b", "broken"]
    assert len(answers.frame) - len(answers.of_models) == 36 * 12  # people answer everything
    assert answers.notes == ["360 answers of 5 models to 6 prompts"]


def test_a_model_that_copies_itself_repeats_itself_wholly(answers):
    table = method.intra_model_repetition(answers).query(
        "prompt_id in @ids", local_dict={"ids": [a.id for a in ASKED]}
    )
    means = table.groupby("model")[["value", "rescaled", "same", "meanings", "valid"]].mean()
    assert means.loc["copy-a", "value"] == pytest.approx(1)
    assert means.loc["copy-a", "same"] == means.loc["copy-a", "meanings"] == 1
    assert means.loc["copy-a", "rescaled"] > 1 > means.loc["free-a", "rescaled"]
    assert means.loc["broken", "valid"] == 0.5
    assert means["valid"].drop("broken").eq(1).all()
    assert abs(means.loc["free-a", "same"] - means.loc[PEOPLE, "same"]) < 0.1


def test_pairs_are_symmetric_in_what_they_measure(answers):
    met = method.inter_model_homogeneity(answers)
    means = met.groupby(["first", "second"])[["value", "same"]].mean()
    assert len(means) == 15  # unordered, with each model's own
    assert means.loc[("copy-a", "copy-b")].tolist() == pytest.approx([1, 1])
    assert means.loc[("free-a", "free-b"), "same"] < 0.4


def test_agreement_is_the_chance_of_one_meaning():
    first, second = pd.Series({"a": 3, "b": 1}), pd.Series({"a": 1, "c": 1})
    assert method.agreement(first, second) == pytest.approx(0.75 * 0.5)
    assert np.isnan(method.agreement(first, pd.Series(dtype=float)))


def test_copies_mix_and_separate_models_do_not(answers):
    found, baselines = method.source_mixing(answers)
    assert found.groupby("nearest").size().eq(6).all()
    assert (found.groupby("nearest")["value"].mean() < baselines.set_index("nearest")["exchangeable"]).all()
    assert baselines.set_index("nearest")["separated"][5] == 1


def test_rarefaction_counts_valid_meanings_only(answers):
    curves = method.rarefied(answers).pivot(index="k", columns="model", values="value")
    assert curves.loc[1, "free-a"] == pytest.approx(1)
    assert curves.loc[1, "broken"] == pytest.approx(0.5)
    assert curves["copy-a"].dropna().to_numpy() == pytest.approx(np.ones(12))
    own = method.intra_model_repetition(answers).groupby("model")["meanings"].mean()
    assert curves.loc[12, "broken"] == pytest.approx(own["broken"])
    assert (curves[method.POOLED] < curves["free-a"]).iloc[1:12].all()
    assert len(curves) == 12  # nobody gave more: beyond, all together would be compared with none


def test_the_nearest_answer_is_another_models(answers):
    points = method.answer_map(answers, 4)
    assert len(points) == 5 * 6 * 4
    by_id = points.set_index("id")
    partner = by_id.loc[points["partner"]]
    assert (partner["model"].to_numpy() != points["model"].to_numpy()).all()
    assert (partner["prompt_id"].to_numpy() == points["prompt_id"].to_numpy()).all()
    copies = points[points["model"] == "copy-a"]
    assert (by_id.loc[copies["partner"], "text"].to_numpy() == copies["text"].to_numpy()).all()


def named(answers, *names):
    """The same answers, of models of these names."""
    return replace(
        answers, frame=answers.frame.replace({"model": dict(zip(answers.models, names, strict=True))})
    )


def claims_of(answers, seeds=(0,)):
    table, met = of_seeds(answers, seeds)
    agreed = excess.agreements(met, hivemind_models.MEMBERS, open_ended.requests(0))
    return results.claims(table, met, agreed)


MIXED = ["north-a", "south", "south-taught", "north-best", "west"]


def test_claims_leave_out_models_that_descend_from_others(answers):
    own = named(answers, *MIXED)
    effects = {claim.name: claim.effect for claim in claims_of(own)}
    _, met = of_seeds(own)
    apart = ["north-a", "south", "west"]
    free = met[(met["first"] != met["second"]) & met["first"].isin(apart) & met["second"].isin(apart)]
    assert effects["models-agree-more-than-chance"] == pytest.approx(free["rescaled"].mean())
    assert effects["teacher-lowers-diversity"] > 0.4
    assert effects["best-answers-lower-diversity"] > 0.4


def test_excess_is_agreement_less_the_libraries_overlap(answers):
    _, met = of_seeds(named(answers, *MIXED))
    agreed = excess.agreements(met, hivemind_models.MEMBERS, open_ended.requests(0))
    assert agreed.groupby("kind").size().to_dict() == {excess.ITSELF: 18, excess.APART: 18}
    assert (agreed["same"] - agreed["overlap"]).to_numpy() == pytest.approx(agreed["excess"].to_numpy())
    request = ASKED[0]
    north, south = (open_ended.shares(request, open_ended.LIBRARIES[name]) for name in ("north", "south"))
    row = agreed.query("first == 'north-a' and second == 'south'").set_index("prompt_id").loc[request.id]
    assert row["overlap"] == pytest.approx(sum(north[meaning] * south[meaning] for meaning in north))
    assert excess.overlap(request, "north", "south") == excess.overlap(request, "south", "north")


def test_models_that_draw_from_their_libraries_have_no_excess():
    rng, request = np.random.default_rng(0), ASKED[0]
    laws = [pd.Series(open_ended.shares(request, people)) for people in open_ended.LIBRARIES.values()]
    drawn = [pd.Series(rng.choice(law.index, 4_000, p=law / law.sum())).value_counts() for law in laws]
    assert method.agreement(*drawn[:2]) == pytest.approx(excess.overlap(request, "north", "south"), abs=0.01)


def test_a_teacher_unites_its_students_if_they_agree_more_than_what_they_began_from(answers):
    own = named(answers, "south", "west", "south-taught", "west-taught", "north-a")
    effects = {each.name: each.effect for each in claims_of(own)}
    _, met = of_seeds(own)
    before = met[(met["first"] == "south") & (met["second"] == "west")]["same"].mean()
    assert effects["teacher-unites-students"] == pytest.approx(1 - before)  # both students copy one answer
    assert "best-answers-lower-diversity" not in effects


def test_one_answer_each_leaves_claims_of_agreement_and_none_of_repetition(answers):
    frame = named(answers, *MIXED).frame
    first = (frame["sample"] == 0).to_numpy()
    few = replace(answers, frame=frame[first].reset_index(drop=True), vectors=answers.vectors[first])
    found = claims_of(few)
    assert [each.name for each in found] == ["models-agree-more-than-chance", "agreement-beyond-libraries"]
    assert all(np.isfinite(each.effect) for each in found)


def test_claims_of_trained_models_count_trainings_and_one_leads(answers):
    few, many = (claims_of(named(answers, *MIXED), range(n)) for n in (2, 5))
    assert {(each.over, each.trainings) for each in few} == {("prompts", 2)}
    assert {(each.n, each.over, each.trainings) for each in many} == {(5, "trainings", 5)}
    assert [each.name for each in many if each.headline] == ["agreement-beyond-libraries"]


def test_agreement_of_models_that_answer_nonsense_cannot_be_tested(answers):
    table, met = of_seeds(named(answers, *MIXED))
    agreed = excess.agreements(met, hivemind_models.MEMBERS, open_ended.requests(0))
    found = results.claims(table.assign(valid=0.3), met, agreed)[:3]
    assert {each.verdict for each in found} == {"not testable here"}
    assert "share of valid answers: 0.3" in repr(found[0])


def test_a_seed_that_has_not_learnt_is_left_out_unless_all_are():
    good, bad = drawn(1), lambda request, n: ["I do not know."] * n
    small = replace(plan(), sizes=replace(SIZES, kinds=hivemind_models.EVERY_KIND))

    def of(*seeds):
        made = [
            pd.concat([says("north-a", good), says("south", answers_of)]).assign(seed=seed)
            for seed, answers_of in enumerate(seeds)
        ]
        return pd.concat(made, ignore_index=True)

    kept, out, said = results.learnt(of(good, bad, good), small)
    assert (sorted(kept["seed"].unique()), out) == ([0, 2], [1])
    assert said.endswith("has not learnt: 1")
    assert results.learnt(of(good, good), small)[1:] == (
        [], "seeds left out because a model has not learnt: none",
    )  # fmt: skip
    kept, out, said = results.learnt(of(bad, bad), small)
    assert (sorted(kept["seed"].unique()), out) == ([0, 1], [])
    assert said.startswith("In no seed have all models learnt")
    assert results.learnt(of(bad), plan(generations="a.jsonl"))[1:] == ([], "")


def test_every_picture_is_drawn(answers):
    table, met = method.intra_model_repetition(answers), method.inter_model_homogeneity(answers)
    swept = sweep_frame()
    drawn_views = [
        views.models(SIZES.members),
        views.sample(answers.frame, ASKED[0].id),
        views.repetition(results.repetitions(table)),
        views.agreement(met, answers.models),
        views.mixing(*method.source_mixing(answers)),
        views.rarefied(method.rarefied(answers)),
        views.wording(method.wording(answers)),
        views.spelled(method.verbatim_overlap(answers)),
        views.decoding(decoding_results.frontier(swept), 0.14),
        prompt_map.explorer(table, method.answer_map(answers, 10)),
    ]
    for view in drawn_views:
        bundle, _ = view.bundle()
        assert len(view.record["sentence"]) > 40
        assert "image/png" in bundle or view.record["kind"] != "chart"


def test_the_map_sorts_prompts_by_what_colours_them_and_opens_where_most_is_said(answers):
    table = method.intra_model_repetition(answers)
    record = prompt_map.explorer(table, method.answer_map(answers, 10)).record
    likeness = [np.nanmean(np.asarray(row, float)) for row in record["sheets"]["values"]]
    assert likeness == sorted(likeness, reverse=True)
    points = record["points"]
    said = pd.Series(points["group"]).groupby(points["sheet"]).value_counts()
    several = (said[said > 1]).groupby(level=0).size()
    assert points["sheet"][record["chosen"]] == several.idxmax()
    pairs = zip(points["title"], points["beside"], strict=True)
    beside = [(model, points["title"][at]) for model, at in pairs if at is not None]
    assert beside
    assert all(model != other for model, other in beside)
    quiet = {group["name"] for group in record["groups"] if group["rank"] == 99}
    assert quiet <= {INVALID}


# ------------------------------------------------------------------------------- from elsewhere
def answers_of(path):
    """The answers of a file, ready to be compared."""
    from_file = plan(generations=str(path))
    return method.answer_set(data.generations(path.parent, from_file), from_file)


def test_answers_from_a_file_have_classes_and_no_oracle(tmp_path):
    texts = ["Apple", "apple!", "A ripe pear", "Fig"]
    rows = [
        {"prompt": p, "model": m, "text": t}
        for p in ("Name a fruit.", "Say a word.")
        for m in "ab"
        for t in texts
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = answers_of(path)
    assert read.frame["valid"].all()
    assert read.frame.groupby("prompt_id")["meaning"].nunique().tolist() == [3, 3]
    table, met = of_seeds(read)
    (claim,) = results.claims(table, met)
    assert claim.headline
    assert (claim.n, claim.over, claim.trainings) == (2, "prompts", None)
    prompt_map.explorer(table, method.answer_map(read, 10)).bundle()


@pytest.mark.parametrize(
    ("models", "text"), [("a", "{} indeed"), ("aabb", "always the same"), ("aab", "{} again")]
)
def test_single_and_identical_answers_are_still_shown(tmp_path, models, text):
    rows = [
        {"prompt": p, "model": m, "text": text.format(p)} for p in ("One", "Two", "Three") for m in models
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = answers_of(path)
    table, met = method.intra_model_repetition(read), method.inter_model_homogeneity(read)
    assert table["value"].isna().all() == (models == "a")
    assert len(results.claims(table, met)) == (text == "{} again")
    for view in (
        views.repetition(results.repetitions(table)),
        views.agreement(met, read.models, "rescaled"),
        views.mixing(*method.source_mixing(read)),
        views.rarefied(method.rarefied(read)),
        prompt_map.explorer(table, method.answer_map(read, 10)),
    ):
        view.bundle()


def test_one_prompt_alone_is_measured_and_makes_no_claim(tmp_path):
    texts = ["an apple a day is good", "the apple a day is good", "a pear or two for all of us here"]
    path = tmp_path / "a.jsonl"
    rows = [
        {"id": number, "prompt": "Fruit?", "model": m, "text": t}
        for m in "ab"
        for number, t in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = answers_of(path)
    assert read.floor == 0 < read.ceiling < 1
    assert read.notes[1:] == ["there is one prompt only, so that 0 stands for a cosine of 0"]
    table = method.intra_model_repetition(read)
    assert table["rescaled"].to_numpy() == pytest.approx(table["value"].to_numpy() / read.ceiling)
    assert results.claims(table, method.inter_model_homogeneity(read)) == []
    views.wording(method.wording(read)).bundle()


def test_prompts_come_from_lines_or_rows(tmp_path):
    lines, rows = tmp_path / "a.txt", tmp_path / "a.jsonl"
    lines.write_text("Name a fruit.\nSay a word.\n")
    rows.write_text('{"id": "c-0", "category": "x", "prompt": "Name a fruit."}\n')
    of = [read_prompts(str(path)) for path in (lines, rows)]
    assert [each["prompt"].tolist() for each in of] == [["Name a fruit.", "Say a word."], ["Name a fruit."]]
    assert of[1]["prompt_id"].tolist() == ["c-0"]
    same, other = '{"id": 0, "prompt": "Fruit?"}\n', '{"id": 0, "prompt": "Word?"}\n'
    rows.write_text(same * 2)
    assert read_prompts(str(rows))["prompt_id"].tolist() == ["0"]
    rows.write_text(same + other)
    with pytest.raises(UserError, match="two prompts with the id 0"):
        read_prompts(str(rows))
    rows.write_text('{"id": "c-0"}\n')
    with pytest.raises(UserError, match="line 1 has no prompt"):
        read_prompts(str(rows))


# ------------------------------------------------------------------------------- training and sampling
@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    members = (
        Member("north-large", "tiny:0.1M"),
        Member("south", "tiny:0.1M", library="south", seed=2),
        Member("south-taught", library="south", parent="south", reads="teacher"),
        Member("north-best", parent="south", reads="best"),
    )
    sizes = replace(SIZES, members=members, pairs=60, polls=12, steps=2, more_steps=3, batch_size=4, swept=1)
    small = replace(plan(samples=2), sizes=replace(sizes, temperatures=(0.5, 2.0)))
    folder = tmp_path_factory.mktemp("hivemind")
    return folder, small, data.trained(folder, small)


def test_members_are_trained_into_folders_of_their_own(trained):
    folder, small, folders = trained
    files = [path / "model.safetensors" for path in folders[0].values()]
    assert len({file.read_bytes() for file in files}) == 4
    before = [file.stat().st_mtime_ns for file in files]
    assert data.trained(folder, small) == folders
    assert [file.stat().st_mtime_ns for file in files] == before


def test_in_a_placebo_models_that_go_on_are_what_they_would_go_on_from():
    own = {member.name: member for member in hivemind_models.MEMBERS}
    placebo = {member.name: member for member in hivemind_models.placebo_members(hivemind_models.MEMBERS)}
    assert list(placebo) == list(own)
    for name, member in placebo.items():
        parent = own[own[name].parent or name]
        assert (member.library, member.preset) == (parent.library, parent.preset)
        assert not member.parent
    assert len({(member.library, member.preset, member.seed) for member in placebo.values()}) == len(own)


def test_models_are_asked_with_random_numbers_of_their_own(trained):
    folder, small, folders = trained
    generations = data.generations(folder, small)
    assert generations.groupby(["seed", "model"]).size().tolist() == [12] * 4
    (only,) = method.answer_sets(generations, small)
    assert only.seed == 0
    sampler = TransformersSampler(*loading.load(folders[0]["south"], "cpu"))
    prompts, sampling = read_prompts("embedded").head(3), SamplingParams(n=4, max_tokens=8)
    first, second = (asking.ask(sampler, name, prompts, sampling, 0)["text"].tolist() for name in "ab")
    assert first != second


def test_every_request_has_one_best_answer():
    pairs = dict(hivemind_models.best_answers())
    known = {each.prompt: each for each in hivemind_models.every_request()}
    assert set(pairs) == set(known)
    prompt = "Name a gift for Mia, who likes the garden."
    meaning = open_ended.grade(known[prompt], pairs[prompt]).meaning
    shares = open_ended.shares(known[prompt])
    assert shares[meaning] > 0.8 * max(shares.values())


# ------------------------------------------------------------------------------- decoding
def sweep_frame():
    """A made-up sweep: heat costs validity and brings diversity; with a filter it costs less."""
    rows = [
        (0, t, cut, f"p{i}", 1 - 0.3 * t * (cut == "nothing cut off"), 0.5, 0.3 / t + 0.01 * i)
        for t in hivemind_models.HEATS
        for cut in decoding.FILTERS
        for i in range(6)
    ]
    return pd.DataFrame(
        rows, columns=["seed", "temperature", "cut", "prompt_id", "valid", "within", "between"]
    )


def test_the_best_setting_is_as_valid_as_the_usual_one():
    frame = sweep_frame()
    same = pd.Series(0.1, index=[f"p{i}" for i in range(6)])
    plain, best, hot = decoding_results.decoding_claims(frame, same)
    assert plain.effect == pytest.approx(0.3 + 0.025 - 0.1)
    assert best.effect == pytest.approx(0.15 + 0.025 - 0.1)  # temperature 2, where filters keep all valid
    assert hot.effect == pytest.approx(0.15 + 0.025 - 0.1)


def test_the_sweep_asks_every_model_with_every_setting(trained, tmp_path, monkeypatch):
    _, small, folders = trained
    monkeypatch.setattr(decoding, "SWEPT", ("south", "south-taught"))
    found = decoding.sweep(tmp_path, folders, small)
    assert found.groupby(["temperature", "cut"]).size().eq(6).all()
    assert found[["temperature", "cut"]].drop_duplicates().shape[0] == 10
    assert (found["valid"] < 0.5).all()  # two steps teach nothing
    assert len(decoding_results.frontier(found)) == 10


# ------------------------------------------------------------------------------- evaluators
def test_annotations_of_a_file_are_checked(tmp_path):
    path = tmp_path / "a.csv"
    rows = [(i, i // 2, a, (i + a) % 5 + 1, i * i * 0.5, 20 + a, "note") for i in range(20) for a in range(4)]
    names = ["item", "prompt", "annotator", "rating", "judge", "age", "remark"]  # of the annotator's age
    frame = pd.DataFrame(rows, columns=names)
    frame.to_csv(path, index=False)
    found = evaluators.annotations(str(path), 0)
    assert list(found) == ["item", "prompt", "annotator", "rating", "judge"]
    followed = evaluators.calibrations(found, 0)
    assert followed["scorer"].unique().tolist() == ["judge"]
    over_items = evaluators.calibrations(found.drop(columns="prompt"), 0)
    assert followed["value"][0] == over_items["value"][0]
    assert followed["low"][0] != over_items["low"][0]  # prompts are drawn, not items
    frame.astype({"rating": object}).assign(
        rating=lambda rows: rows["rating"].where(rows.index > 0, "")
    ).to_csv(path, index=False)
    assert (
        evaluators.calibrations(evaluators.annotations(str(path), 0), 0)["n"][0] == 20
    )  # a missing rating is left out
    path.write_text("item,annotator\n1,2,3\n")
    with pytest.raises(UserError, match="row 1 has more entries"):
        evaluators.annotations(str(path), 0)
    frame.drop(columns="judge").to_csv(path, index=False)
    with pytest.raises(UserError, match="no column of scores"):
        evaluators.annotations(str(path), 0)
    frame.drop(columns="annotator").to_csv(path, index=False)
    with pytest.raises(UserError, match="no column annotator"):
        evaluators.annotations(str(path), 0)


def test_controls_tell_the_scorer_that_fails_where_people_disagree(monkeypatch):
    monkeypatch.setattr("workbench.measures.calibration.ALIKE", ())
    monkeypatch.setattr("workbench.measures.calibration.DISPUTED", (0.16, 0.1))
    frame = evaluators.simulated(0, 750)
    scores = frame.groupby("item").first()
    rows = []
    for name in (evaluators.EVEN, evaluators.UNEVEN):
        found = calibration(frame, scores[name]).assign(scorer=name)
        whole, most = found.iloc[0], found.iloc[1]
        assert most["value"] < whole["value"] - 0.1  # both fall
        assert (most["extra"] < -0.1) == (name == evaluators.UNEVEN)
        rows.append(found)
    chart = views.evaluators(pd.concat(rows))
    chart.bundle()
    (points,) = chart.spec["datasets"].values()
    assert {point["at"] for point in points} == {1, 0.16, 0.1}  # what all items show is where a fall begins
    views.evaluators(calibration(frame[frame["item"] < 30], scores[name]).assign(scorer=name)).bundle()
