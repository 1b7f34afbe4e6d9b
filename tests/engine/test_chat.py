"""Questions through a model's chat template: as transformers writes them, one beginning, safe data."""

import sys
import time

import pytest
from families import CHATML, with_chat
from test_models import TEXTS
from tokenizers import AddedToken

from workbench.engine import loading, models
from workbench.engine.templates import rendered
from workbench.engine.tokens import encode, encode_pairs, framed
from workbench.engine.training.packing import IGNORED, pack
from workbench.errors import UserError

QUESTION = "How many cats sat?"
ASKED = [{"role": "user", "content": QUESTION}]
INST = "{{ bos_token }}{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}"


@pytest.fixture(scope="module")
def base():
    return models.train_tokenizer(TEXTS, 300)


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False).input_ids


def test_a_base_model_reads_question_and_reply_as_ever(base, tmp_path):
    model = models.build(models.config("tiny:0.1M", len(base)), 0)
    loading.save(model, base, tmp_path / "m")
    _, again = loading.load(tmp_path / "m", "cpu")
    bare = models.train_tokenizer(TEXTS, 300)
    bare.chat_template = None
    for tokenizer in (base, again, bare):
        assert framed(tokenizer, QUESTION, " [cot] Two.") == (QUESTION, " [cot] Two.")
        assert encode(tokenizer, [sum_of(tokenizer, " [cot]")])[0] == tokenizer(QUESTION + " [cot]").input_ids


def sum_of(tokenizer, reply):
    prompt, reply = framed(tokenizer, QUESTION, reply)
    return prompt + reply


@pytest.mark.parametrize(("template", "space"), [(CHATML, ""), ("{{ bos_token }}" + CHATML, ""), (INST, " ")])
def test_an_instruct_model_is_asked_with_the_tokens_of_its_template(base, template, space):
    tokenizer = with_chat(base, template)
    wanted = tokenizer.apply_chat_template(ASKED, add_generation_prompt=True, return_dict=False)
    prompt, reply = framed(tokenizer, QUESTION, " [cot] Two.")
    assert reply == f"{space}[cot] Two."
    assert encode(tokenizer, [prompt]) == [wanted]
    assert wanted.count(tokenizer.bos_token_id) == ("bos_token" in template)
    assert encode(tokenizer, [sum_of(tokenizer, " [cot]")]) == [wanted + ids(tokenizer, f"{space}[cot]")]
    ((before, after),) = encode_pairs(tokenizer, [(prompt, reply)])
    assert (before, after) == (wanted, ids(tokenizer, f"{space}[cot] Two."))
    # what is learnt: the reply and the end of the assistant's turn
    targets = pack(tokenizer, [(prompt, reply)], 64).targets[0]
    assert [token for token in targets if token != IGNORED] == [*after, tokenizer.eos_token_id]


def test_framed_and_plain_texts_keep_their_order(base):
    tokenizer = with_chat(base)
    prompt, _ = framed(tokenizer, QUESTION, "")
    plain = [base.bos_token_id, *ids(base, "The cat.")]
    asked = tokenizer.apply_chat_template(ASKED, add_generation_prompt=True, return_dict=False)
    assert encode(tokenizer, ["The cat.", prompt, "The cat."]) == [plain, asked, plain]


@pytest.mark.parametrize("role", ["extra_special_tokens", None])
def test_no_question_spells_out_a_special_token(base, role):
    tokenizer = with_chat(base)
    if role:
        tokenizer.add_special_tokens({role: ["<|turn|>"]})
    else:  # as the marks of Llama 3's chats
        tokenizer.add_tokens([AddedToken("<|turn|>", special=True, normalized=False)])
    with pytest.raises(UserError, match="turn"):
        framed(tokenizer, "How many?<|turn|>", " Two.")
    prompt, reply = framed(tokenizer, QUESTION, " Two.<|turn|> Three.")
    ((_, after),) = encode_pairs(tokenizer, [(prompt, reply)])
    assert tokenizer.convert_tokens_to_ids("<|turn|>") not in after
    assert tokenizer.decode(after) == reply


def test_data_can_neither_end_a_turn_nor_begin_one(base):
    tokenizer = with_chat(base)
    with pytest.raises(UserError, match="im_end"):
        framed(tokenizer, "How many?<|im_end|>", " Two.")
    prompt, reply = framed(tokenizer, QUESTION, " Two.<|im_end|> Three.")
    ((_, after),) = encode_pairs(tokenizer, [(prompt, reply)])
    assert tokenizer.eos_token_id not in after
    assert tokenizer.decode(after) == reply


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"rag": "y", "tool_use": "x"}, "multiple chat templates"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ raise_exception('\x1b[31mred\nmore') }}", r"\x1b[31mred)"),
        ("{% for message in messages %}{{ message.content }{% endfor %}", "unexpected"),
        ("{{ nobody.knows.this }}", "undefined"),
        ("{{ messages[0]['content'] }}{{ 5 / 0 }}", "division by zero"),
        ("{{ ().__class__.__base__.__subclasses__() }}", "unsafe"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "recursion"),
        ("{% include 'other' %}", "no loader"),
        (
            "{% for m in messages %}{% for part in m['content'] %}{{ part['text'] }}{% endfor %}{% endfor %}",
            "leaves out",
        ),
        ("{{ messages[0]['content'] | upper }}", "leaves out what the user says"),
        ("", "leaves out"),
        (" " * 300_000, "characters"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "does not end"),
        (
            "{% for i in range(99999) %}{{ messages | tojson | length | string | list }}{% endfor %}" * 50,
            "does not end",
        ),
    ],
)
def test_a_template_that_fails_is_one_sentence(base, template, said):
    tokenizer, traced, begin = with_chat(base, template), sys.gettrace(), time.process_time()
    with pytest.raises(UserError) as error:
        framed(tokenizer, QUESTION, " Two.")
    assert said in str(error.value)
    assert str(error.value).endswith("or take the base model.")
    assert "\n" not in str(error.value)
    assert sys.gettrace() is traced
    assert time.process_time() - begin < 5


def test_a_template_may_write_a_question_in_its_own_way(base):
    for template in ("{{ messages[0]['content'] | trim }}", "{{ messages[0]['content'] | tojson }}"):
        prompt, _ = framed(with_chat(base, template), ' "Ü"  or\n\nnot? ', "")
        assert "or" in prompt
    with pytest.raises(UserError, match="leaves out what the system says"):
        rendered(
            with_chat(base, "{{ messages[-1]['content'] }}"),
            [{"role": "system", "content": "Be kind."}, *ASKED],
        )


@pytest.mark.parametrize("blanks", ["", "  ", "\n\n", "\n  "])
def test_it_is_the_same_day_for_every_template(base, blanks):
    template = (
        blanks + "{% if strftime_now is defined %}\n  {{ strftime_now('%d %b %Y') }}\n{% endif %}"
        "{% macro day() %}{{ strftime_now('%Y-%m-%d')[:4] }}{% endmacro %}"
        "{{ day() + strftime_now('%-d %B, %A') }}"
        "\n{{ messages[0]['content'] }}"
    )
    literal = template.replace("strftime_now is defined", "true").replace(
        "strftime_now('%d %b %Y')", "'26 Jul 2024'"
    )
    literal = literal.replace("strftime_now('%Y-%m-%d')", "'2024-07-26'")
    literal = literal.replace("strftime_now('%-d %B, %A')", "'26 July, Friday'")
    prompt, _ = framed(with_chat(base, template), QUESTION, "")
    assert prompt == with_chat(base, literal).apply_chat_template(ASKED, tokenize=False)
    assert "202426 July, Friday" in prompt
