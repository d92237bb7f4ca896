"""How models word a final answer, whatever its kind: what surrounds it, and the phrases that announce it.

`final_part` takes a text apart once: thinking, left-over tokens of a chat template, HTML, and the characters of other
scripts that stand for ASCII. `announced` finds where an answer is announced, in some twenty languages.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque

THINKING = r"think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|seed:think"
MARKED = re.compile(r"[<◁]|\[/?[A-Z]")  # before any of what follows
CLOSED = re.compile(
    rf"</(?:{THINKING})\s*>|◁/think▷|\[/THINK\]|<\|end_of_thought\|>|<\|channel\|>\s*final\s*<\|message\|>",
    re.IGNORECASE,
)
OPENED = re.compile(
    rf"<(?:{THINKING})\s*>|◁think▷|\[THINK\]|<\|begin_of_thought\|>|<\|channel\|>\s*analysis\s*<\|message\|>",
    re.IGNORECASE,
)
TEMPLATE = re.compile(
    r"<[|¦｜][A-Za-z][\w▁ -]{2,40}[|¦｜]>|</s>|\A\s*<s>|<(?:eos|bos|pad|end_of_turn|start_of_turn)>|\[/?INST\]"
)
ROLE = re.compile(r"\s*(?:assistant|model|user|system)?\s*\n?", re.IGNORECASE)
HTML = (
    "b|i|u|em|strong|mark|span|font|p|div|center|code|pre|big|small|h[1-6]|ul|ol|li|td|tr|table|result|final|solution"
)
END_TAG = re.compile(rf"</({HTML})\s*>", re.IGNORECASE)
LINE_BREAK = re.compile(r"<(?:br|hr)\s*/?>", re.IGNORECASE)
RAISED = re.compile(r"<sup>\s*([^<>\n]{1,20}?)\s*</sup>", re.IGNORECASE)
ANSWER_TAG = re.compile(r"</?(?:final_)?answer\s*>", re.IGNORECASE)

NOUNS = (
    "answers?|antwort(?:en)?|r[ée]ponses?|respuestas?|rispost[ae]|respostas?|antwoord(?:en)?|odpowied[źz]|odpov[ěe][ďd]"
    "|svar(?:et)?|vastaus|cevap|cevabı|yanıt|r[ăa]spuns(?:ul)?|v[áa]lasz|jawaban(?:nya)?|đáp án|đáp số|câu trả lời"
    "|ответ|відповідь|απάντηση|उत्तर|উত্তর|คำตอบ|תשובה|התשובה|الجواب|الإجابة|الاجابة|پاسخ|جواب"
)
RESULTS = "lösung|ergebnis|soluci[óo]n|resultado|soluzione|risultato|solução|r[ée]sultat|wynik|результат|kết quả"
VERBS = (
    r"is|are|was|would\ be|must\ be|should\ be|ist|lautet|sind|est|sont|es|son|è|é|sono|são|zijn|to|jest|je|är|er|on"
    r"|adalah|là|este|הוא|היא|هو|هي|है|হল|คือ|είναι"
)
EAST_ASIAN = re.compile(
    r"(?:答案|答え|解答|正解|정답|答|답)(?:[*_\s]*(?:应该是|應該是|应为|應為|就是|等于|是|为|為|は|은|는|이|:|=))+"
)


def _spelled(words: str) -> re.Pattern[str]:
    """Return the words in small letters, with a capital, and in capitals; much faster than to ignore the case."""
    return re.compile("|".join(f"{word}|{word[0].upper()}{word[1:]}|{word.upper()}" for word in words.split("|")))


ANNOUNCING = (  # a noun, and what has to follow it
    (
        _spelled(NOUNS),
        re.compile(
            rf"""(?![^\W_]) ["'”»)\]*_]*
            (?: \s+(?:correct[eao]?|corrett[ao]|corret[ao]|finale?|exacte|juste)(?![^\W_]) )?
            (?: \s+(?:to|for|of|in|à|de|del|della|zu|auf)\s[^.\n:=]{{1,80}}? | \s*\([^()\n]{{1,40}}\) )? [*_]*
            (?: \s+(?:{VERBS})(?![^\W_]) | \s*[:=] | \s+[-–—](?=\s) | \s*["'*_]*\n ) (?: \s*[:=] )?""",
            re.IGNORECASE | re.VERBOSE,
        ),
    ),
    (
        _spelled(RESULTS),
        re.compile(rf"(?: \s+(?:{VERBS})(?![^\W_]) | \s*: ) (?=\s*[-−$\\(]*\d)", re.IGNORECASE | re.VERBOSE),
    ),
)
INVERTED = re.compile(  # «ist die Antwort 12»
    r"\b(?:ist|lautet|est|es|è|é)\s+(?:die|das|la|le|el|il|a|o)\s+(?:\w+\s+)?$", re.IGNORECASE
)
VALUE = re.compile(r"(?=\s+[-−$\\(]*\d)")
NOT_IT = re.compile(
    r"(?:\b(?:wrong|incorrect|other|another|false|initial|previous|first)|n't|not|不)\s*(?:the\s+|an?\s+)?$", re.I
)
REASON = re.compile(
    r"\s+(?:since|as)\s+(?:it|he|she|they|this|that|we|I)(?![^\W_])|\s+due\s+to\s"
    r"|,?\s+(?:because|denn|weil|car|parce\ que|puisque|porque|perch[ée]|poich[ée]|omdat|want|потому)(?![^\W_])"
    r"|,\s*(?:since|as|so|which|who|where|for|given|due|considering|因为|因為|なぜなら)(?![A-Za-z])",
    re.IGNORECASE,
)


MARKS = dict(zip("\u00a0\u2009\u202f\u3000【】「」『』", '    []""""', strict=True))


def final_part(text: str) -> str:
    """Return what a text says to its reader, in its last part that is written in full.

    Left out: thinking sections, closed or not; what follows an end token; HTML around the words. Decimal digits of all
    scripts and full-width characters become ASCII.
    """
    if MARKED.search(text):
        closed = deque(CLOSED.finditer(text), maxlen=1)
        text = text[closed[0].end() :] if closed and text[closed[0].end() :].strip() else text
        opened = OPENED.search(text)
        text = text[: opened.start()] if opened else text
        if TEMPLATE.search(text):
            turns = (ROLE.sub("", turn, count=1) for turn in TEMPLATE.split(text))
            text = next((turn for turn in turns if turn.strip()), "")
        text = RAISED.sub(r"^{\1}", LINE_BREAK.sub("\n", text))
        names = "|".join(sorted({name.lower() for name in END_TAG.findall(text)}))
        if names:  # a < b > c has no end tag
            text = re.sub(rf"</?(?:{names})(?:\s[^<>\n]{{0,200}})?>", "", text, flags=re.IGNORECASE)
    return text if text.isascii() else "".join(map(_as_ascii, text))


def _as_ascii(character: str) -> str:
    if "！" <= character <= "～":  # the full-width forms of ! to ~
        return chr(ord(character) - 0xFEE0)
    if character.isdecimal() and character > "9":
        return str(unicodedata.decimal(character))
    if "Ⓐ" <= character <= "Ⓩ":
        return chr(ord(character) - ord("Ⓐ") + ord("A"))
    return MARKS.get(character, character)


def announced(text: str) -> list[int]:
    """Return where the words end that announce an answer, the last one first; at most 50 of them.

    «The wrong answer is» and «the answer is not» announce none.
    """
    ends = deque((words.end() for words in EAST_ASIAN.finditer(text)), maxlen=50)
    for nouns, behind in ANNOUNCING:
        for noun in nouns.finditer(text):
            start = noun.start()
            after = None if text[start - 1 : start].isalnum() else behind.match(text, noun.end())
            if not after and INVERTED.search(text, max(0, start - 30), start):
                after = VALUE.match(text, noun.end())
            if after and not NOT_IT.search(text, max(0, start - 30), start):
                ends.append(after.end())
    return sorted(ends, reverse=True)


def last_tag(text: str) -> str:
    """Return the content of the last complete `<answer>…</answer>` that is not blank, "" if there is none."""
    found, start = "", None
    for tag in ANSWER_TAG.finditer(text):
        if not tag.group().startswith("</"):
            start = tag.end()
        elif start is not None:
            found, start = text[start : tag.start()].strip() or found, None
    return found
