"""The values that a text says the answer is not: `not 12`, `12 is wrong`, `12? No, 13`, in some twenty languages."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from functools import cache

from tts.verifiers.math.formulas import TELLING, Formula, formulas
from tts.verifiers.math.wording import announced

DENIED = "\ufffc"
"""What stands for a denied value."""

NEAR = 200  # characters in which the value of a denial stands
MAX_DENIALS = 50
MAX_PLACES = 4
CLOSE = 10  # characters between «not» and its value, such as `$`
BE = (  # between «not» and its value
    r"(?:può|possono|pode|podem|puede|pueden|kan|może|може[тм]?|be|been|equal to|equals?"
    r"|exactly|simply|just|merely|possibly|really|necessarily|actually|the (?:number"
    r"|value|answer)"
    r"|gleich|genau|die|der Wert|die Zahl|être|égale?s? à|de|es|son|ser|sea|è|sono|essere|uguale a|é|são"
    r"|igual a|zijn|jest|być"
    r"|este|e|ole|av|là|равн[оаы]|равен|является|быть|дорівнює|είναι)"
)
THAT = (  # between «not» and a sentence that states its value
    r"(?:(?:think|believe|say|mean|sure|convinced|certain|clear|the case|true|claim)\s+)?(?:that\s+)?"
    r"(?:(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|result|value|solution|it|this|[a-z])\s*(?:is|was|are|['’]s|=)\s+)"
    r"|(?:,\s+dass|que|che)\s+\w+\s+\w+\s+(?:ist\s+|est\s+|sea\s+|sia\s+|seja\s+)?"
)
NOT = (
    r"(?:\b(?:not|never|cannot|n?either|nor|hardly|by no means|anything but|no longer|other than|different from"
    r"|differs from"
    r"|unlikely to|false that|wrong that|doubt that|doubt|no way|nicht|keine?|keinesfalls|keineswegs|niemals"
    r"|pas|jamais|nunca|non"
    r"|nem|niet|geen|inte|ikke|nie|není|bukan|ei ole|ni|no (?:es|son|puede ser|pueden ser|vale|igual a)"
    r"|nu (?:este|e|poate fi)"
    rf"|não|nao|не|δεν|όχι|לא|אינ[הו]|ليست?|không phải|nie może)|n['’]t)(?![^\W_])[\s:]*(?:{THAT}|{BE}[\s:]+)*"
    r"|(?:不(?:可能|应该|应|應該|会|會)?(?:是|等于|等於|为|為)|[并並绝絕]?非|ไม่ใช่)\s*"
)
WRONG = r"(?:wrong|incorrect|false|a mistake|impossible|an error|invalid)\b"
RIGHT = (
    r"(?:right|correct|answer|result|solution|valid|possible|it\b|richtig|korrekt|antwort|lösung|bonne"
    r"|correcte?|réponse"
    r"|juiste?|antwoord|svaret|riktigt?|rätt)"
)
IS_WRONG = (
    r"\s+(?:is|was|would be|must be|seems|ist|war|n?['’]?est|était|es|era|è|é|jest|je|är|er)\s+(?:therefore "
    r"|clearly |also |definitely )?"
    rf"(?:{WRONG}|(?:not|n['’]t|nicht|pas|niet|inte|ikke)\s+(?:the |a |die |das |la |le |het )?\s*{RIGHT}"
    rf"|not\s*(?:[.,;!]|$)"
    r"|falsch|fals[oae]|errad[oa]|incorrect[oae]|faux|fausse|błędn[aey]|špatně|fel\b|feil\b|fout\b|onjuist"
    r"|sbagliat[oa])"
    rf"|\s+(?:isn|wasn|can|couldn)['’]t\s+(?:be\s+)?(?:the\s+)?{RIGHT}|\s+(?:cannot|can not)\s+be\s+(?:the\s+)?{RIGHT}"
    r"|\s+no\s+es\s+(?:la\s+)?(?:respuesta|correct[oa])|\s+non\s+è\s+(?:la\s+)?(?:risposta|corrett[oa])"
    r"|\s+não\s+é\s+(?:a\s+)?(?:resposta|corret[oa])|\s+nie\s+jest|\s+není|\s+(?:[-—–]\s+)?(?:это\s+)?(?:неверн"
    r"|неправильн)\w*"
    r"|\s+değil|\s+नहीं|\s+নয়|\s+نیست|不是(?:答案|正确|解)"
    r"|(?:[是为為]|は)?(?:错|錯|不对|不對|不正确|不正確|間違|誤り)|(?:では|じゃ)(?:ない|な|あり)|[은는이가]?\s*(?:아니|아닙|아닌|틀[리렸린])"
)
PAUSE = r"(?:[.,:;!…—–]|-+(?=\s)|$)"
NO = (  # what takes back the value in front of it
    r"[?.!,;…()\]—–*-]\s*[—–-]*\s*(?:(?:hm+|wait|oh|oops|ah|hold on|actually|but|moment|attends?|espera|aspetta"
    r"|стоп)[\s,.!…—–-]+)*"
    r"(?:(?:no|nope|nein|non|não|nee|nej|nei|nie|нет|ні|hayır|bukan|tidak|không|όχι|sorry|oops|correction"
    r"|korrektur|pardon|perdón"
    r"|falsch|faux|corrección|mejor dicho|scusa|correzione|desculpe?|correção|извините|or rather|besser gesagt"
    r"|ou plutôt|scratch that|make that)"
    rf"(?:(?=\s+(?:wait|actually|sorry)\b)|(?!\.\s*\d)\s*{PAUSE}(?:[\s,]*(?:wait|sorry"
    rf"|actually)\s*[,.!…—–-]+)?)|I mean(?:t)?\b|wrong\s*[).,;!]"
    rf"|(?:this|that|it|which|the answer|das|c['’]|eso|ciò|isso)\s*(?:is|was|ist|est|es|è|é|['’]s|isn"
    rf"|wasn)\s*(?:{WRONG}|falsch|faux|falso"
    rf"|errado|(?:not|n['’]t|nicht|pas)\s*(?:(?:the\s+)?{RIGHT}|[.,;!]|$)))"
    r"|[?？。,，;!]\s*(?:等等[,，]?)?(?:不(?=[，,。:!])|不对|不對|错了|錯了|更正|いいえ|いや|違(?:う|い)|아니(?:요|야)?(?=[,.\s])|틀렸)[,，。:]?"
)
DENYING = re.compile(  # before any of these; in small letters
    r"n[oie]|ikke|inte|nicht|n['’]t|anything but|keine|unlikely|hardly|doubt|other than|different from|differs"
    r"|pas|jam|não|nao|не|δεν|όχι|לא|אינ"
    r"|ليس|không|wrong|incorrect|false|fals|faux|fausse|impossible|mistake|invalid|error|errad|błędn|špatně"
    r"|fe[li]|fout|onjuist|sbagl"
    r"|bukan|nu|incorrect|değil|नह|নয়|نیست|不|非|错|錯|間違|誤|では|じゃ|아니|아닙|아닌|틀|ไม่|hay|tidak|sorry|oops|corr|korr|pard|perd"
    r"|scus|desculp|besser|rather|plut|scratch|make that|i mean|更正|いいえ|いや|違|ei ole|нет|ні|изв|mejor"
)
CHAIN = re.compile(r"\s*,?\s*(?:n?or|oder|noch|ou|ni|o|или|або|lub|eller|或)\s*", re.IGNORECASE)
SENTENCE = re.compile(r"[.?!]\s")
WORDS = re.compile(r"[*_ }$)\\]*[^\W\d_]*(?:\s+[^\W\d_]+){0,2}\s*")
COMPARED = re.compile(r"\b(?:than|als|que|except|besides|but)\s+$", re.IGNORECASE)


@cache  # compiled once a text may deny something: it takes 30 ms
def _behind() -> re.Pattern[str]:
    return re.compile(NOT, re.IGNORECASE)


@cache
def _before() -> re.Pattern[str]:
    return re.compile(rf"(?P<no>{NO})|{IS_WRONG}", re.IGNORECASE)


def may_deny(text: str, value: str) -> bool:
    """Tell whether there is a denial near one of the last places where a text has the value, or it is nowhere."""
    at = text.rfind(value)
    if at < 0:
        return True
    for _ in range(MAX_PLACES):
        if at < 0:
            return False
        before, behind = text[max(0, at - NEAR // 2) : at], text[at + len(value) : at + len(value) + NEAR // 2]
        if DENYING.search(before.lower()) and any(len(before) - no.end() <= CLOSE for no in _behind().finditer(before)):
            return True
        words = WORDS.match(behind)
        if (
            words
            and DENYING.search(behind.lower())
            and any(no.start() <= words.end() for no in _before().finditer(behind))
        ):
            return True
        at = text.rfind(value, 0, at)
    return False


def without_denied(text: str) -> tuple[str, dict[str, int]]:
    """Return `text` without the values that it denies, and for each of these where it is denied last.

    DENIED stands for each of them, and for the words that take it back.
    """
    kept, end, size = [], 0, 0
    denied: dict[str, int] = {}
    for start, stop, value in sorted(_denied(text)):
        if start >= end:
            kept += [text[end:start], DENIED]
            size += start - end + 1
            end = stop
        denied[value] = size
    return "".join([*kept, text[end:]]), denied


def _denied(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each denied value begins, where it and its denial end, and the value."""
    for mark in deque(_behind().finditer(text), maxlen=MAX_DENIALS):
        at: int | None = mark.end()
        while at is not None:  # not 12 or 13
            found = next(formulas(text[at : at + NEAR]), None)
            if not found or text[at : at + found.start].strip(" *_\"'`(“"):
                break
            yield at + found.start, at + found.end, found.text
            further = CHAIN.match(text, at + found.end)
            at = further.end() if further else None
    for mark in deque(_before().finditer(text), maxlen=MAX_DENIALS):
        begin = max(text.rfind("\n", 0, mark.start()) + 1, mark.start() - NEAR)
        before = text[begin : mark.start()]
        told = [one for one in formulas(before) if one.delimited or TELLING.search(one.text)]
        if told and _is_denied(before, told[-1], taken_back=bool(mark["no"])):
            end = mark.end() if mark["no"] else begin + told[-1].end
            yield begin + told[-1].start, end, told[-1].text


def _is_denied(before: str, value: Formula, *, taken_back: bool) -> bool:
    """Tell whether what is said behind `before` is said of its last value, which may have a unit."""
    between = before[value.end :].strip("*_ ")
    if COMPARED.search(before[: value.start]) or not WORDS.fullmatch(between):
        return False
    return not between or not taken_back or bool(announced(SENTENCE.split(before[: value.start])[-1]))
