"""The atlas: what is packed can be read back, what is wrong is refused, and the report carries every card."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import ipywidgets
import nbformat
import numpy as np
import pytest
from example_atlas import CLASSES, make_atlas
from example_run import IMAGE, SCRIPT
from nbformat.v4 import new_code_cell, new_notebook, new_output

from workbench.charts import atlas as _atlas
from workbench.charts.atlas import Atlas, Attention, Card, Cell, Strip
from workbench.charts.card import card_record
from workbench.charts.theme import PALETTE
from workbench.charts.view import MIME, WIDGET
from workbench.errors import UserError
from workbench.lab.report.page import write_report

HOSTILE = f"{SCRIPT}{IMAGE}"


@pytest.fixture
def headless(monkeypatch):
    monkeypatch.setenv("WORKBENCH_HEADLESS", "1")


@pytest.fixture
def live(monkeypatch):
    monkeypatch.delenv("WORKBENCH_HEADLESS", raising=False)


def attention(count, concentration=0.3, seed=0):
    weights = np.tril(np.random.default_rng(seed).dirichlet(np.full(count, concentration), count))
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)


def read_back(packed):
    """The weights as the JavaScript reads them."""
    count = len(packed["tokens"])
    rows, columns = np.tril_indices(count)
    codes = np.frombuffer(base64.b64decode(packed["weights"]), np.uint8)
    weights = np.zeros((count, count))
    weights[rows, columns] = np.asarray(packed["scales"])[rows] * (codes / 255) ** 2
    return weights


def card_of(weights):
    return card_record(Card("T", attention=Attention(["t"] * len(weights), weights)))["attention"]


@pytest.mark.parametrize("concentration", [0.01, 0.3, 100])
def test_weights_are_read_back_to_a_255th_of_the_largest_in_their_row(concentration):
    weights = attention(60, concentration)
    packed = card_of(weights)
    scales = np.asarray(packed["scales"])
    assert np.allclose(scales, weights.max(axis=1), rtol=1e-3)
    assert (np.abs(read_back(packed) - weights) <= scales[:, None] * (1 / 255 + 1e-3)).all()


def test_small_weights_beside_a_sink_are_kept_apart_from_nothing():
    weights = np.tril(np.full((100, 100), 0.02 / 99))
    weights[:, 0] = 0.98
    assert read_back(card_of(weights))[99, 50] == pytest.approx(0.02 / 99, rel=0.3)


def test_a_head_view_of_256_tokens_is_small():
    words = ["<|endoftext|>", *(f" token{n}" for n in range(255))]
    record = card_record(Card("T", attention=Attention(words, attention(256))))
    assert len(json.dumps(record)) < 60_000  # the goal was 300 kB


@pytest.mark.parametrize(
    ("shown", "error", "says"),
    [
        (Attention(["a", "b"], np.eye(3)), ValueError, "does not fit 2 tokens"),
        (Attention(["a"], np.array([[np.nan]])), UserError, "NaN"),
        (Attention(["a"], np.array([[-1.0]])), UserError, "negative"),
        (Attention([], np.zeros((0, 0))), UserError, "0 tokens"),
        (Attention(["a"] * 1025, np.zeros((1025, 1025))), UserError, "1,025 tokens"),
    ],
)
def test_attention_that_cannot_be_shown_is_refused(shown, error, says):
    with pytest.raises(error, match=says):
        card_record(Card("T", attention=shown))


def test_a_strip_needs_one_value_a_token_and_may_lack_some():
    (strip,) = card_record(Card("T", strips=[Strip("S", ["a", "b"], [np.nan, 1.23456])]))["strips"]
    assert strip["values"] == [None, 1.235]
    with pytest.raises(ValueError, match="1 values for 2 tokens"):
        card_record(Card("T", strips=[Strip("S", ["a", "b"], [1.0])]))


def one_cell(**changes):
    values = {"id": "0.0", "row": 0, "column": 0, "label": "L0", "class_": 0, "size": 0.5, "tip": "t"}
    return Cell(**{**values, **changes})


def small(*cells, card=lambda name: Card(name), **options):
    return Atlas(
        lambda **_: list(cells), card, "T", "S", rows=["r"], columns=["c", "d"], classes=["k"], **options
    )


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([one_cell(class_=1)], "1 is not one of 1 classes"),
        ([one_cell(class_=-1)], "-1 is not one of 1 classes"),
        ([one_cell(row=1)], "rows"),
        ([one_cell(size=float("nan"))], "size nan"),
        ([one_cell(size=1.5)], "size 1.5"),
        ([one_cell(), one_cell(column=1)], "same id"),
        ([one_cell(), one_cell(id="0.1")], "same place"),
    ],
)
def test_cells_off_the_map_are_refused(cells, says):
    with pytest.raises(ValueError, match=says):
        small(*cells)


def test_without_cells_the_reader_is_told_what_to_do():
    with pytest.raises(UserError, match="widen"):
        small()


def test_more_classes_than_colours_are_refused():
    with pytest.raises(ValueError, match="8 classes"):
        Atlas(lambda: [one_cell()], Card, "T", "S", rows=["r"], columns=["c"], classes=["k"] * 8)


def test_the_script_knows_every_shape_and_the_style_every_colour_of_the_theme():
    for color in PALETTE:
        assert f"light-dark({color.lower()}," in _atlas._Map._css
    assert "</script" not in _atlas._Map._esm
    outlines = re.search(r"SHAPES = \[(.*?)\];", _atlas._Map._esm, re.DOTALL)[1]
    assert len(re.findall(r'"M', outlines)) == len(PALETTE)


def test_the_most_important_cell_is_chosen_first_and_only_its_card_is_made(live):
    asked = []
    atlas = small(
        one_cell(), one_cell(id="big", column=1, size=1), card=lambda name: asked.append(name) or Card(name)
    )
    assert atlas.record["chosen"] == "big"
    assert asked == ["big"]
    data, _ = atlas._repr_mimebundle_()
    assert WIDGET in data
    assert data[MIME]["cards"].keys() == {"big"}


def test_without_a_front_end_every_card_is_made_and_no_widget(headless):
    atlas = make_atlas()
    data, _ = atlas._repr_mimebundle_()
    assert set(data) == {MIME, "text/html", "text/plain"}
    assert data[MIME]["cards"].keys() == {f"{row}.{column}" for row in range(4) for column in range(4)}
    assert data[MIME]["controls"] == {"threshold": "0.1"}
    assert "map" not in atlas.__dict__
    nbformat.validate(new_notebook(cells=[new_code_cell(outputs=[new_output("display_data", data=data)])]))


def test_a_click_draws_the_card_and_a_control_draws_the_map(live):
    atlas = make_atlas()
    atlas.map.chosen = "2.1"
    assert atlas.map.card["id"] == "2.1"
    assert atlas.map.card["title"].startswith("L2 H1")
    assert atlas.map.status == ""
    before = [cell["class"] for cell in atlas.map.record["cells"]]
    atlas.controls["threshold"].value = 1.0
    assert {cell["class"] for cell in atlas.map.record["cells"]} == {CLASSES.index("diffuse")}
    assert ["class", "diffuse"] in atlas.map.card["facts"]
    assert atlas.map.chosen == "2.1"
    assert [cell["class"] for cell in atlas.record["cells"]] == before  # the twin keeps its first view


def test_a_cell_that_is_gone_gives_way_to_the_most_important(live):
    def cells(count):
        return [one_cell(id=str(n), column=n, size=0.5) for n in range(count)]

    made = []
    atlas = Atlas(
        cells, lambda name, count: made.append(name) or Card(name), "T", "S",
        rows=["r"], columns=["c", "d"], classes=["k"], count=ipywidgets.IntSlider(2, 0, 2),
    )  # fmt: skip
    atlas.map.chosen = "1"
    atlas.controls["count"].value = 1
    assert (atlas.map.chosen, atlas.map.card["id"], made) == ("0", "0", ["0", "1", "0"])
    atlas.controls["count"].value = 0
    assert atlas.map.status.startswith("'T' has no cells")
    assert atlas.map.card["id"] == "0"


def test_an_exception_becomes_one_sentence_and_the_next_click_works(live):
    def card(name):
        if name == "bad":
            raise RuntimeError(f"two\nlines {IMAGE}")
        return Card(name)

    atlas = small(one_cell(size=1), one_cell(id="bad", column=1), card=card)
    atlas.map.chosen = "bad"
    assert atlas.map.status.startswith("RuntimeError: two lines <img")
    assert "\n" not in atlas.map.status
    assert atlas.map.card == {}
    atlas.map.chosen = "0.0"
    assert (atlas.map.status, atlas.map.card["id"]) == ("", "0.0")


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.cdata_elem == "script":
            self.scripts.append((self.elements[-1][1], data))
        else:
            self.text += data


def report_of(tmp_path, atlas):
    data, metadata = atlas._repr_mimebundle_()
    notebook = new_notebook(
        cells=[new_code_cell("x", outputs=[new_output("display_data", data, metadata=metadata)])]
    )
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"schema": 1, "notebook": "heads", "title": "Heads"}))
    (folder / "notebook.ipynb").write_text(json.dumps(notebook))
    return write_report(folder, tmp_path / "r.html").read_text(encoding="utf-8")


def test_the_report_carries_every_card_and_allows_exactly_its_own_scripts(headless, tmp_path):
    atlas = make_atlas()
    page = Page(report_of(tmp_path, atlas))
    record = next(json.loads(text) for attrs, text in page.scripts if attrs.get("class") == "record")
    assert record["cards"] == json.loads(json.dumps(atlas.record["cards"]))  # nothing cut, nothing rounded
    codes = [text for attrs, text in page.scripts if attrs.get("type") in (None, "module")]
    policy = next(attrs["content"] for _, attrs in page.elements if attrs.get("http-equiv"))
    digests = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in codes]
    assert sorted(re.findall(r"'sha256-([^']+)'", policy)) == sorted(digests)
    assert "Figure 1" in page.text


def test_without_scripts_the_report_shows_the_cells_as_a_table(headless, tmp_path):
    page = Page(report_of(tmp_path, make_atlas()))
    assert ("details", {"class": "rows", "open": None}) in page.elements
    assert all(f"L{row} H{column}" in page.text for row in range(4) for column in range(4))


def test_hostile_text_stays_text(headless, tmp_path):
    atlas = make_atlas(2, hostile=HOSTILE)
    table = Page(atlas._repr_mimebundle_()[0]["text/html"])
    page = Page(report_of(tmp_path, atlas))
    assert not {"script", "img"} & {tag for tag, _ in table.elements}
    assert HOSTILE in table.text
    assert "img" not in {tag for tag, _ in page.elements}
    assert not [text for _, text in page.scripts if "window.hacked" in text and "<" in text]


def test_a_record_saved_with_one_card_is_still_a_page(live, tmp_path):
    page = Page(report_of(tmp_path, make_atlas()))
    record = next(json.loads(text) for attrs, text in page.scripts if attrs.get("class") == "record")
    assert list(record["cards"]) == [record["chosen"]]


def test_an_interval_on_a_card_stays_in_one_line():
    record = card_record(Card("Head 1", facts=[("distance", "39.4 tokens [37.4, 41.3]")]))
    assert record["facts"] == [["distance", "39.4 tokens [37.4,\u00a041.3]"]]
