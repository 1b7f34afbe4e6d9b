"""Make text safe to show and to keep: nothing invisible, no keys and passwords, no links that do more."""

import os
import re
from html import unescape

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe-\U0003ffff\U0010fffe\U0010ffff"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _escape(match: re.Match) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def sanitize(text: object, limit: int | None = None) -> str:
    """Return the text with invisible characters escaped as in Python, and a long tail cut off.

    Control characters, directional overrides, zero-width characters and lone surrogates can hide or
    reorder what a reader sees, and a lone surrogate cannot be written as UTF-8. Newlines and tabs stay.

    Args:
        text: anything; what is not a string is converted with `str`.
        limit: number of characters to keep; a note says how many were cut. None keeps all.
    """
    text = str(text)
    tail = f"… [{len(text) - limit:,} more characters]" if limit is not None and len(text) > limit else ""
    kept = text[:limit].replace("\r\n", "\n")
    return _INVISIBLE.sub(_escape, kept) + tail


_NAMES = (
    "api[_-]?key|access[_-]?key(?:[_-]?id)?|(?:access|auth|refresh|session)[_-]?token|client[_-]?secret"
    "|secret(?:[_-]?access)?[_-]?key|private[_-]?key|subscription[_-]?key|password|passwd"
)
_NAMED = "key token secret passw"
_FORMS = [  # some word that is there, the form behind it, what is left
    ("://", r"(://)[^/@\s\"']+@", r"\1***@"),
    # api_key="…", "api_key": "…", also where the quotes themselves are escaped
    (_NAMED, rf"((?:{_NAMES})\\?[\"']?\s*[:=]\s*\\?[\"'])[^\"'\\\n]{{4,}}", r"\1***"),
    # api_key: … of YAML; "password: nobody knew" is none
    (_NAMED, rf"((?:{_NAMES})\s*:\s*)(?=[^\s,\"']{{0,100}}\d)[^\s,\"']{{8,}}", r"\1***"),
    ("private key", r"(-----BEGIN [a-z ]{0,20}PRIVATE KEY-----)[^-]{0,20000}", r"\1***"),
    # api_key=…; a tokenizer's pad_token=… is no secret
    (_NAMED, rf"((?:{_NAMES}|(?<!pad_|eos_|bos_|unk_|sep_|cls_)token|secret)=)[^&\s\"'#]+", r"\1***"),
    (
        "key= sig sign auth x-",
        r"((?:[?&]|&amp;)(?:key|sig|signature|auth|x-(?:amz|goog)-[a-z-]+)=)[^&\s\"'#]+",
        r"\1***",
    ),
    (
        "authorization api-key",
        r"\b((?:authorization|(?:x-)?api-key)\\?[\"']?\s*[:=]\s*\\?[\"']?(?:(?:bearer|basic|token)\s+)?+)"
        r"[^\s\"'\\,}]{4,}",
        r"\1***",
    ),
    # A bearer of something else in a story is no key: keys have digits, or are long.
    ("bearer", r"\b(bearer\s+)(?:(?=\S*\d)[\w.~+/=-]{8,}|[\w.~+/=-]{24,})", r"\1***"),
    ("sk- nvapi- xox glpat- github_", r"\b(?:sk-|nvapi-|xox[a-z]-|glpat-|github_pat_)[\w-]{16,}", "***"),
    (
        "hf_ gh gsk_ r8_ npm_ sk_ tgp_ fw_",
        r"\b(?:hf|gh[a-z]|gsk|r8|npm|sk_live|sk_test|tgp_v1|fw)_[a-z0-9]{16,}",
        "***",
    ),
    ("xai- pplx-", r"\b(?:xai|pplx)-[a-z0-9]{16,}", "***"),
    # Not within base64, where a slash or a plus may stand before anything.
    ("akia asia aiza", r"(?<![\w+/])(?-i:(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,})", "***"),
    ("eyj", r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}", "***"),  # a JSON web token
]
_SECRETS = [(hints.split(), re.compile(f"(?i){form}"), blank) for hints, form, blank in _FORMS]
_KEY_VARIABLE = re.compile(r"(?:^|_)(?:API_?KEY|ACCESS_KEY|TOKEN|SECRET|PASSWORD|PASSWD)$")


def redact(text: str, *keys: str) -> str:
    """Blank what gives access: passwords in addresses, access tokens by their form, and the actual keys.

    Actual keys are those in the environment, in variables such as `OPENAI_API_KEY` and `HF_TOKEN`.

    Args:
        text: of an error, an answer or a cell.
        keys: more actual keys.
    """
    text = redact_keys(text, *keys)
    lower = text.lower()  # looking for a word takes a hundredth of looking for a form
    for hints, form, blank in _SECRETS:
        if any(hint in lower for hint in hints):
            text = form.sub(blank, text)
    return text


def redact_keys(text: str, *keys: str) -> str:
    """As `redact`, but the actual keys alone: for data, where a form of a key may be somebody's example."""
    for key in _actual_keys(keys):
        text = text.replace(key, "***")
    return text


def _actual_keys(more: tuple[str, ...]) -> list[str]:
    """Keys that nothing else is spelled like, the longest first: a short or all-letters one may be a word."""
    values = {value.strip() for name, value in os.environ.items() if _KEY_VARIABLE.search(name)} | set(more)
    return sorted((key for key in values if len(key) >= (12 if key.isalpha() else 8)), key=len, reverse=True)


# Browsers drop blanks and control characters from an address, and read a backslash as a slash.
_UNCLEAR = re.compile(r"[\x00-\x20\x7f\\]")
_SCHEME = re.compile(r"[^/?#]*:")


def safe_link(address: str) -> str | None:
    """Return an address that a page may link to, or None: https, http, mailto, a fragment, a relative path.

    Any other scheme (javascript, data, file) could run or fetch something, and `//host` leads to a stranger.

    Args:
        address: as written by anybody, with or without HTML entities.
    """
    link = unescape(address).strip()
    if not link or _UNCLEAR.search(link) or link.startswith("//") or _INVISIBLE.search(link):
        return None
    if _SCHEME.match(link) and not re.match(r"(?i)https?://[^/?#]|mailto:[^/]", link):
        return None
    return link
