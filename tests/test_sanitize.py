"""What gives access is blanked, whatever wrote it; what only looks a little like it stays."""

import time

import pytest

from workbench.sanitize import redact, redact_keys

LONG = "Zx9" + "q7Rt" * 10


@pytest.mark.parametrize(
    "text",
    [
        f"https://host/v1?key={LONG}&x=1",
        f"https://host/blob?sv=1&sig={LONG}",
        f"https://s3/x?X-Amz-Signature={LONG}",
        f"Authorization: Bearer {LONG}",
        f"{{'Authorization': 'Bearer {LONG}'}}",
        f"bad header: bearer {LONG}",
        f'{{"api_key": "{LONG}"}}',
        f'{{\\"api_key\\": \\"{LONG}\\"}}',
        f"{{'apiKey': '{LONG}'}}",
        f'OpenAI(api_key="{LONG}")',
        f"password={LONG}",
        f"https://me:{LONG}@host/x",
        f"x-api-key: {LONG}",
        f"OPENAI_API_KEY={LONG}",
        *(
            f"refused: {prefix}{LONG}."
            for prefix in (
                "sk-ant-",
                "sk-proj-",
                "hf_",
                "ghp_",
                "gho_",
                "github_pat_",
                "gsk_",
                "xai-",
                "nvapi-",
            )
        ),
        "key xoxb-123456789012-Zx9q7RtZx9q7Rt",
        f"wandb_api_key: {LONG}",
        f'{{"aws_session_token": "{LONG}"}}',
        f"-----BEGIN RSA PRIVATE KEY-----\n{LONG}\n-----END RSA PRIVATE KEY-----",
        f"refused: tgp_v1_{LONG}, fw_{LONG}",
        "AKIAZX9Q7RTZX9Q7RTZX",
        f"AIza{LONG[:35]}",
        "eyJhbGciOiJI.eyJzdWIiOiIx.Zx9q7RtZx9q7Rt",
    ],
)
def test_keys_are_known_by_their_form(text):
    blanked = redact(text)
    assert "Zx9" not in blanked
    assert "ZX9" not in blanked
    assert "***" in blanked
    assert redact(blanked) == blanked


@pytest.mark.parametrize(
    "text",
    [
        "The standard bearer approached the gate.",
        "tokenizer.pad_token=tokenizer.eos_token; max_tokens=64; n_tokens: 12",
        '{"token": " cat", "logprob": -1.5}',
        "sort(key=len), d[key]=value",
        "a scikit-learn-pipeline-of-many-steps and xai-explains-what-a-model-does",
        "The password: nobody knew it. A secret is a secret.",
        "iVBORw0KGgo/AKIAABCDEFGHIJKLMNOP+AIza0123456789012345678901234567890123/x",
    ],
)
def test_what_only_looks_like_a_key_stays(text):
    assert redact(text) == text


def test_the_actual_keys_are_blanked_whatever_their_form(monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", "my own 7 words")
    monkeypatch.setenv("OPENAI_API_KEY", "anything")  # a word may stand in an answer
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false-false-9")
    text = "I was told 'my own 7 words', abc-12345 and anything, false-false-9 and hf_ABCDEFGHIJKLMNOPQRST."
    assert redact_keys(text, "abc-12345") == (
        "I was told '***', *** and anything, false-false-9 and hf_ABCDEFGHIJKLMNOPQRST."
    )
    assert "hf_" not in redact(text)


@pytest.mark.parametrize(
    "piece",
    ["a", " ", "sk-", "bearer ", "://", "api_key", "api_key = ", 'api_key":"', "?key", "eyJ", "eyJaaaaaaaa."],
)
def test_blanking_takes_time_in_proportion(piece):
    begin = time.process_time()
    redact(piece * (200_000 // len(piece)))
    assert time.process_time() - begin < 1
