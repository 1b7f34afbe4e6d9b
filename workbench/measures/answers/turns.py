"""Where a completion ends although the text goes on: with a token of the template, or another's turn."""

import re

# Tokens of chat templates by their shape: <|eot|>, <｜User｜>, [|end|], <start_of_turn>, </s>, [INST].
_TOKEN = re.compile(
    r"<[|｜][^<>|｜\n]{1,40}[|｜]?>|\[\|[^\[\]|\n]{1,40}\|\]|<<\s?/?\s?[A-Z]{3,}\s?>>"
    r"|</?(?:[A-Za-z0-9]+[_▁])*(?:s|eos|bos|pad|eod|eot|eom|unk|sep|cls|sop|turn|\|?turn|user|human|bot"
    r"|assistant|system|im_?(?:start|end|sep)|end|start|begin|stop|utterance|extra|special|reserved|header"
    r"|EOS|BOS|PAD|EOD|EOT|EOM|UNK|SEP|CLS|SPECIAL|USER|HUMAN|END|BOT|ASSISTANT|SYSTEM)"
    r"(?:[_▁][A-Za-z0-9]+)*\|?>"
    r"|\[/?(?:s|INST|SYS|BOS|EOS|EOT|EOM|SEP|CLS|PAD|UNK|END|USER|HUMAN|ASSISTANT|SYSTEM_PROMPT|gMASK"
    r"|AVAILABLE_TOOLS|TOOL_[A-Z]+)\]"
)
_WITHIN = re.compile(r"(?i)thought|think|reason|solution|answer|channel|message|image|fim_|box|python|step")
_SAME_TURN = re.compile(r"<\|(?:end|start)\|>\s*(?:<\|start\|>)?assistant\b")

# Roles and new questions that begin a line. Hard ones end any text, soft ones what gave an answer before.
_HARD = (
    r"user|human|(?:next|new|another|follow-?up|bonus)\s+(?:question|problem)|usuario|benutzer|nutzer"
    r"|utilisateur|utente|usuário|пользователь|用户|ユーザー|사용자|المستخدم|instruction"
)
_HARD_QUESTION = r"question|problem|input|q"
_SOFT = (
    r"[a-z' ]{0,24} (?:next|new|another)\s+(?:question|problem)"
    r"|assistant|ai|bot|model|chatbot|system|customer|student|teacher|me|you|person|interviewer|exercise|prompt"
    r"|query|example|task|puzzle|word problem|助手|问题|题目|问|प्रश्न|सवाल|pregunta|frage|aufgabe|domanda"
    r"|pergunta|вопрос|задача|سؤال|質問|問題|문제|질문"
)
_LINE = re.compile(
    r"(?i)(?:(?P<line>\n)[ \t>]*|[.!?。0-9][*_)\"]*[ \t]+)(?P<heading>[#(\[<=]+[ \t]*)?[*_]{0,3}"
    rf"(?:(?P<hard>{_HARD})|(?P<question>{_HARD_QUESTION})|(?P<soft>{_SOFT}))"
    r"(?P<number>[ \t]*(?:no\.?[ \t]*|\#)?[0-9]{1,3})?[*_#\])]{0,3}[ \t]*=*"
    r"(?:(?P<colon>[:：>])|(?P<dot>[.)])(?=[\s*_])|(?P<alone>(?<=user|uman|odel|tant|stem)(?=\n))|(?=[\s]|\Z))"
)
_GIVEN = re.compile(r"(?i)(?:####|\banswer\b|boxed\s*\{)[^\n0-9]{0,40}[0-9]")
_GIVEN_FINALLY = re.compile(r"(?i)(?:####|\bfinal answer\b|boxed\s*\{)[^\n0-9]{0,40}[0-9]")


def first_turn(text: str, asks_itself: bool = False) -> str:
    """A completion up to where it goes on to another turn or question.

    It ends at a token of a chat template, known by its shape, and at a line that begins with a role or a new
    question ("Human:", "Q:"); at numbered questions, headings and within a line only after an answer.

    Args:
        asks_itself: the format has questions of its own, which end it only after a "final answer".
    """
    begun = len(text) - len(text.lstrip())
    if "<" in text or "[" in text:
        text = _to_token(text, begun)
    given = None
    for stop in _LINE.finditer(text):
        if stop.start() < begun or not _may_end(stop):
            continue
        question = stop["question"] and not stop["number"] and not asks_itself
        if not (stop["line"] and stop["colon"] and (stop["hard"] or question)):
            if given is None:
                answer = (_GIVEN_FINALLY if asks_itself else _GIVEN).search(text)
                given = answer.end() if answer else len(text)
            if given > stop.start() + (not stop["line"]):
                continue
        return text[: stop.start() + (not stop["line"])]
    return text


def _may_end(stop: re.Match[str]) -> bool:
    """Whether a role or a question stands as such: with a colon, or alone on its line."""
    if stop["colon"]:
        return True
    return bool(
        stop["line"] and (stop["dot"] or stop["heading"] or stop["number"] or stop["alone"] is not None)
    )


def _to_token(text: str, begun: int) -> str:
    for stop in _TOKEN.finditer(text):
        if stop.start() > begun and not (_WITHIN.search(stop[0]) or _SAME_TURN.match(text, stop.start())):
            return text[: stop.start()]
    return text
