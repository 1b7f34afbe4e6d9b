"""One spelling of what is written in many: digits of all scripts, dashes, spaces, fractions, simple LaTeX."""

import re
from unicodedata import category, decimal, normalize

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_SAME = {
    "−": "-", "➖": "-", "⁃": "-", "˗": "-", "—": "—", "―": "—", "﹘": "—", "〜": "~", "～": "~", "⁓": "~",
    "·": "×", "⋅": "×", "∙": "×", "•": "×", "✕": "×", "✖": "×", "⨯": "×", "∶": ":", "⁄": "/", "∕": "/",
    "’": "'", "‘": "'", "ʼ": "'", "′": "'", "＇": "'", "“": '"', "”": '"', "″": '"', "…": "...", "⋯": "...",
    "٫": ".", "٬": ",", "٪": "%", "،": ",", "。": ". ", "｡": ". ", "।": ".", "、": ", ", "∗": "*", "⩽": "≤",
    "≦": "≤", "⩾": "≥", "≧": "≥", "≃": "≈", "≅": "≈", "≒": "≈", "º": "°", "⇒": "→", "⟹": "→", "➡": "→",
    "℃": "°C", "℉": "°F", "\t": "\t", "\n": "\n",
}  # fmt: skip


class _Spelling(dict[int, str]):
    """What `str.translate` puts for a character; each is looked up once."""

    def __missing__(self, code: int) -> str:
        self[code] = _spelled(chr(code))
        return self[code]


def _spelled(sign: str) -> str:
    kind = category(sign)
    if sign in _SAME:
        return _SAME[sign]
    if kind == "Nd":
        return str(decimal(sign))
    if "！" <= sign <= "～":  # as wide as a Chinese character
        return chr(ord(sign) - 0xFEE0)
    if kind == "No" and "⁄" in (fraction := normalize("NFKC", sign)):
        return " " + fraction.replace("⁄", "/")
    by_kind = {"Zs": " ", "Zl": "\n", "Zp": "\n", "Pd": "-", "Cf": "", "Mn": sign, "Sc": "$", "Cs": "\ufffd"}
    return by_kind.get(kind, sign)


_ONE = _Spelling()
_RAISED = re.compile(rf"[{_SUPERSCRIPTS}]+")
_LOWER = str.maketrans(_SUPERSCRIPTS, "0123456789+-")
_MINUS = re.compile(r"(?<![0-9)\]] )[−－﹣➖]\s+(?=[\d.$])|(?<!\S)⁻(?=\d)")


def one_spelling(text: str) -> str:
    """A text with the digits, dashes, spaces, quotes and fractions of ASCII; 10² is 10^2, 3½ is 3 1/2."""
    if text.isascii():
        return text
    text = _RAISED.sub(lambda raised: "^" + raised[0].translate(_LOWER), _MINUS.sub("-", text))
    return text.translate(_ONE)


# ------------------------------------------------------------------------------- LaTeX
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|math(?:bf|rm|it|sf|tt|normal)|mbox|hbox|bm|underline|emph)"
    r"\s*\{([^{}]*)\}"
)
_SIGN = {
    "times": "×", "cdot": "×", "ast": "×", "div": "÷", "approx": "≈", "simeq": "≈", "pm": "±", "mp": "±",
    "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "lt": "<", "gt": ">",
    "ne": "≠", "neq": "≠", "pi": "π", "infty": "∞", "sqrt": "√", "degree": "°", "degrees": "°", "colon": ":",
    "Omega": "Ω",
    "ldots": "...", "dots": "...", "cdots": "...", "to": "→", "rightarrow": "→", "implies": "→",
    "Rightarrow": "→", "left": "", "right": "", "displaystyle": "", "textstyle": "", "quad": " ",
    "qquad": " ", "pounds": "$", "euro": "$", "texteuro": "$", "textsterling": "$", "textdollar": "$",
    "yen": "$", "rupee": "$", "lbrace": r"\{", "rbrace": r"\}", "limits": "", "boldsymbol": "", "big": "",
    "Big": "", "bigl": "", "bigr": "", "Bigl": "", "Bigr": "", "bf": "", "rm": "", "it": "",
    "tfrac": r"\frac", "dfrac": r"\frac", "cfrac": r"\frac", "nicefrac": r"\frac", "sfrac": r"\frac",
}  # fmt: skip
_COMMAND = re.compile(r"\\([A-Za-z]+)(?:\s+(?![A-Za-z])|\s+)?")
_DIGITS = r"-?\s*(?:[0-9][0-9., ']*|\.[0-9]+)"
_NUMBERS = re.compile(rf"\\frac\s*\{{\s*({_DIGITS})\}}\s*\{{\s*([0-9][0-9., ']*)\}}")
_NUMERALS = re.compile(r"\\frac\s*([0-9])\s*(?:([0-9])|\{([0-9]+)\})")
_UNITS = re.compile(r"\\frac\s*\{\s*([A-Za-z]+\.?)\s*\}\s*\{\s*([A-Za-z]+\.?)\s*\}")
_RAISED_BRACES = re.compile(r"\^\s*\{\s*([-+]?[0-9]+)\s*\}")
_BRACES = re.compile(r"(?<![A-Za-z}\]_^\\√0-9])\{\s*([-+]?[0-9][0-9.,]*)\s*\}")
_FACTORIAL = re.compile(r"(?<=[0-9)])!\s*(?=\$|\\\))")
_CURRENCY = re.compile(r"(?<![A-Za-z])(?:US|AU|CA|NZ|HK|NT|S|R|A|C)?\$|(?<![A-Za-z])Rs\.?(?=\s?[0-9])")
_MONEY = re.compile(r"(?<=[$])(\s?[0-9][0-9.,]*)\s?([mMbBK])\b(?!\$|[A-Za-z])")
_LETTERS = {"m": " million", "M": " million", "b": " billion", "B": " billion", "K": "k"}


def plain(text: str) -> str:
    r"""Signs in one spelling and simple LaTeX as plain characters, without signs of currency.

    "\frac{1}{2}" is "1/2", "1{,}000" is "1,000", "2^{10}" is "2^10", "5\text{ cm}" is "5 cm"; what is left
    of LaTeX is no plain number.
    """
    text = one_spelling(text)
    if "!" in text:
        text = _FACTORIAL.sub(r"\\factorial ", text)
    if "\\" in text or "{" in text or "~" in text:
        text = _without_latex(text)
    if "%" in text:
        text = re.sub(r"(?<![0-9])%\s?([0-9]+(?:[.,][0-9]+)*)(?![0-9%])", r"\1%", text)
    if "$" in text or "Rs" in text:
        text = re.sub(r"(?<=\$)\s*-\s+(?=[0-9])", "-", text)
        text = _MONEY.sub(lambda money: money[1] + _LETTERS[money[2]], text)
        text = _CURRENCY.sub("", text)
    return text


def _without_latex(text: str) -> str:
    text = re.sub(r",\s*\\!\s*", ",", text).replace(r"\!", "").replace(r"\$", "$")
    text = re.sub(r"\\[,;:> ]|(?<=[0-9])~(?=[0-9]{3}\b|\\)|\\[hv]space\*?\{[^{}]*\}", " ", text)
    text = re.sub(r"\\mu(?![A-Za-z])", "μ", text)
    for _ in range(3):
        text, n = _TEXT.subn(r"\1", text)
        if not n:
            break
    text = re.sub(r"\s*\{\s*,\s*\}\s*(?=[0-9])", ",", text)
    text = re.sub(r"\^\s*\{?\s*\\(?:circ|degrees?)\b\s*\}?", "°", text)
    text = _COMMAND.sub(_sign, _ENDLESS.sub(_fraction, text) if "\\overline" in text else text)
    text = re.sub(r"(?<=[0-9])\s*(?=\\frac)", " ", text)  # 3\frac{1}{2} is 3 1/2
    text = _NUMBERS.sub(lambda frac: f"{frac[1].strip().replace(' ', '')}/{frac[2].strip()}", text)
    text = _NUMERALS.sub(lambda frac: f"{frac[1]}/{frac[2] or frac[3]}", text)
    text = _UNITS.sub(r"\1/\2", text)
    text = _BRACES.sub(r"\1", _RAISED_BRACES.sub(r"^\1", text))
    return re.sub(r"\\[()\[\]]", " ", text).replace("\\%", "%").replace("\\&", "&").replace("\\#", "#")


_ENDLESS = re.compile(r"([0-9]*)\.([0-9]{0,30})\\overline\s*\{?\s*([0-9]{1,30})\s*\}?")


def _fraction(decimals: re.Match[str]) -> str:
    """What 0.1\\overline{6} is: 15/90."""
    whole, fixed, repeated = decimals.groups()
    bottom = (10 ** len(repeated) - 1) * 10 ** len(fixed)
    return f"{int((whole or '0') + fixed + repeated) - int((whole or '0') + fixed)}/{bottom}"


def _sign(command: re.Match[str]) -> str:
    """The sign that a command stands for, or the command."""
    return _SIGN.get(command[1], command[0])


# ------------------------------------------------------------------------------- for math-verify
_ROOT = re.compile(r"√\s*(\([^()]*\)|[0-9]+(?:\.[0-9]+)?|[A-Za-z])")
_LATEX = {
    "√": r"\sqrt", "π": r"\pi ", "×": r"\cdot ", "÷": r"\div ", "±": r"\pm ", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\ne ", "∞": r"\infty ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "→": r"\to ",
    "°": r"^\circ ", "∅": r"\emptyset ", "θ": r"\theta ", "⌊": r"\lfloor ", "⌋": r"\rfloor ",
    "⌈": r"\lceil ", "⌉": r"\rceil ",
}  # fmt: skip


def latex(text: str) -> str:
    """A formula as LaTeX: √25 is \\sqrt{25}, 2π is 2\\pi, 10² is 10^{2}."""
    text = re.sub(r"\^([-+]?[0-9]+)", r"^{\1}", one_spelling(text))
    text = _ROOT.sub(lambda root: rf"\sqrt{{{root[1].strip('()')}}}", text)
    return "".join(_LATEX.get(sign, sign) for sign in text)
