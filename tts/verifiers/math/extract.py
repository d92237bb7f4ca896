r"""The final answer of a solution: in its tag or box, else what «the answer is» says, else its last formula or number.

No rule takes a piece of a formula or hands on a sentence whose value it can tell; none can raise or take more than
linear time.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from functools import lru_cache

from tts.types import Answer
from tts.verifiers.math.denials import DENIED, may_deny, without_denied
from tts.verifiers.math.formulas import ALPHA, CALLED, NAMES, RELATION, TELLING, Formula, delimited, formulas, last_side
from tts.verifiers.math.units import EAST_ASIAN_UNIT
from tts.verifiers.math.wording import REASON, announced, final_part, last_tag
from tts.verifiers.math.words import SCALE_BEHIND

REMEMBERED = 256
"""Texts whose answer is kept: the same candidates are read again when they are scored, selected and reported."""

BRACE = re.compile(r"\\\\?(?:boxed|fbox)\s*\{|\\\\?boxed[ \t]+(?P<bare>-?[\w./]*\w)|\\.|[{}]", re.DOTALL)
BLANK = re.compile(r"\s*")
BESIDE = re.compile(  # what may stand between boxes that are one answer
    r"(?:[\s,;&$*~]|\\[\\,;:!()\[\] ]|\([a-z]\)|\n\s*-|\\(?:quad|qquad)(?![a-zA-Z])|\\text\{|\}"
    r"|(?:\b(?:and|or|und|et|y|oder|ou|o)\b)|[A-Za-z](?:_\{?\w+\}?)?\s*=)*"
)
MAX_BESIDE = 300
PLACEHOLDER = re.compile(
    r"(?:\\text\{)?\s*(?:your |the |final )*(?:answer|result|\.\.\.|\\ldots|…|\?)\s*(?:here)?\s*\}?", re.I
)
EMPTY_BOX = re.compile(rf"\\(?:boxed|fbox)\s*\{{\s*(?:{PLACEHOLDER.pattern})?\s*\}}", re.IGNORECASE)
HALF_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
LABEL = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox|textnormal)\s*\{([^{}]*)\}\s*(?P<sign>[:=])?\s*(?=\S)")
COPULA = re.compile(r"\\text\s*\{\s*(?:is|equals|are)\s*\}")
TOLD = re.compile(  # a sentence around its number, unless it tells how to take the number
    r"\\text\s*\{(?![^{}]*\b(?:than|most|least|not|except|between)\b)\s*[^\s{}]+\s+[^{}]*\}\s*(?=[\d$]|\\\$|\\[dt]?frac)"
)
ENDS_LABEL = re.compile(r"(?:[:=]|\b(?:is|are|ist|est|es))\s*$")
ROWS = re.compile(
    r"\\begin\{(aligned|align\*?|split|gathered|gather\*?|cases|array)\}(?:\{[^{}]*\})?(.*?)\\end\{\1\}", re.DOTALL
)
ROW_MARK = re.compile(r"\\(begin|end)\b|\\\\(?:\[[^\]]*\])?")
ESCAPED_TWICE = re.compile(
    r"(?<!\\)\\\\(?=(?:left|right|[dt]?frac|sqrt|boxed|text|cup|infty|pi|cdot|times|in)(?![a-zA-Z]))"
)
REMARK = re.compile(
    r"\s*(?:\\text\{)?\s*\((?:correct|final|exact|verified|answer|approx)[^()]{0,40}\)\s*\}?\s*$"
    r"|(?<=\d)\s+\(\d[\d\s.]*[*+/×·÷=-][\d\s.*+/×·÷=-]*\)\s*$"  # 12 (3 * 4), re.IGNORECASE
)
ORNAMENTS = re.compile(r"(?:[\s\u2600-\u27bf\ufe0f\U0001f300-\U0001faff]|[:;]-?[)D](?!\w))+")
ORNAMENT = re.compile(rf"{ORNAMENTS.pattern}$")
EMPHASIS = re.compile(r"(?<![A-Za-z0-9)])(?:\*{2,3}|__)|(?:\*{2,3}|__)(?![A-Za-z0-9(])|`")
HEADING = re.compile(r"^[ \t>*]*\#{4}(?!\#)[ \t*:]*(?=[^\s#])", re.MULTILINE)
SECTION = re.compile(r"\(?\d{1,3}[.):]\)?[ \t]+\S|(?!\$|\\)[^\W\d_]{2,}[^\n]*(?::|\d)")
SENTENCE_END = re.compile(r"\n|(?<![ap]\.m)[.](?=\s|$|[^\x00-\x7f])|(?<!\\)[;!?](?=\s|$|[^\x00-\x7f])|。")
CLAUSE_END = re.compile(r",\s+(?=(?!and\b|or\b)[^\W\d_]{2,})|,(?=[^\x00-\x7f])")
FILLER = re.compile(
    r"(?:\([A-E]\)\s+(?=[-\d\\$])|(?:option|simply|just|therefore|thus|then|exactly|approximately|about|around|roughly|nearly|clearly|indeed|only|now"
    r"|also|equal to|given by|equals|found to be|that|the (?:number|value|integer|fraction)|a total of|total of)"
    r"(?![^\W_])[\s:,]*)+",
    re.IGNORECASE,
)
STATED = re.compile(
    r"(?:\b(?:is|are|was|be|equals?|has|have|had|gets?|gives?|costs?|takes?|makes?|needs?|pays?|earns?|spends?|weighs?|sold"
    r"|contains?|remains?|left|totals?|reads?|yields?|by|of exactly|ist|sind|est|sont|es|son|hat|a)\s+|[=:]\s*)"
    r"(?:(?:exactly|approximately|about|only|now|equal to|simply|just|a total of|then|also|therefore)\s+)*$",
    re.IGNORECASE,
)
AROUND = (
    r"(?:than|in|after|within|for|over|during|per|at|before|between|every|each|all|the|if|when|dans|en|après|pendant|pour|nach|seit"
    r"|für|dentro de|tras|durante|dopo|d['’]ici)"
)
CIRCUMSTANCE = re.compile(rf"(?<![^\W_]){AROUND}\s+$|^\W*{AROUND}\s+\d", re.IGNORECASE)
DESCRIBED = re.compile(
    r"\b(?:all|any|every|no)\s+(?:real|rational|positive|negative|integer|number|value)"
    r"|\b(?:except|roots? of|to the power|squared|cubed|factorial|divided by|multiplied by|less than|greater than"
    r"|at least|at most)\b",
    re.IGNORECASE,
)
SUBORDINATE = re.compile(r"\b(?:where|when|for|at|with|if|since|because)\s+(?:(?:all|every|any|each|the)\s+)?$", re.I)
NEGATED = re.compile(r"(?:not|unknown|unclear|none of)\b|n't\b", re.IGNORECASE)
UNIT = re.compile(rf"\s*{ALPHA}+(?:\^\{{?-?\d\}}?|[²³])?(?:/{ALPHA}+)?")
NO_UNIT = re.compile(
    r"\s*(?:left|remaining|in|on|at|of|for|from|to|that|who|which|than|after|before|each|total|altogether|when|where|with|by"
    r"|if|because|since|as|so|and|but|or|is|are|was|were|has|have|had|will|can|per|both|out|more|less|too|also|then|not"
    r"|old|rather|instead|car|denn|weil|pour|para|por|da|de|cada)",
    re.IGNORECASE,
)
MEASURED = re.compile(
    r"([-+−]?[\d.,]+)(?:\s[gmshLlNJWVAKt]|\s?m)(?:[²³23]|\^\{?-?\d\}?)?(?:[/ ][hsmJK](?:[²³]|\^\{?-?\d\}?)?)*"
)  # 5 m
EXPONENT = re.compile(r"\^ ?\{?-?\d\}?")  # of a unit in front: cm$^3$
FINAL = re.compile(r"\bfinal answer\W{0,5}(?:is\b|:)", re.IGNORECASE)
QUANTITY = re.compile(rf"[A-Za-z\s]*|{NAMES.pattern}|{CALLED.pattern}")  # what only names something
JOINED = re.compile(r"\s*[,;]?\s*(?:(?:and|or|und|et|oder|ou|или|и)\b|[或和、])?\s*")
ARE = re.compile(r"(?:\b(?:are|sind|sont|sono|são|zijn|är)|[解根][为為是]):?\s*$")
PHRASE_WINDOW = 1000
MAX_TIDIED = 10_000  # characters; who writes more than that in a formula has not found its answer
LAST_WORDS = 300


@lru_cache(REMEMBERED)
def extract(text: str) -> Answer | None:
    r"""Return the final answer of `text` and the rule that found it, or None.

    The rules, the surest first: `tag` (`<answer>…</answer>`), `boxed`, `phrase`, `last_formula`, `last_number`. A box
    whose braces never close is not an answer, nor is an empty one: the box before it counts. `\fbox` is a box. A value
    that is said to be the final answer behind the last box goes before it. What the text denies is no answer.
    """
    text = ESCAPED_TWICE.sub(r"\\", final_part(text))
    found = _extract(text)
    if found and may_deny(text, found.text):
        text, denied = without_denied(text)
        found = _extract(text) if denied else found
        if found and text.rfind(found.text) < denied.get(found.text, -1):
            return None
    return found


def _extract(text: str) -> Answer | None:
    tagged = last_tag(text)
    if tagged:
        found = last_box(tagged) or last_phrase(tagged) or _statement(tagged)
        if found:
            return Answer(found, "tag")
    rest = text[text.rfind("boxed") :] if "boxed" in text else ""
    final = last_phrase(rest) if FINAL.search(rest) else ""  # after boxes that held what was found on the way
    if TELLING.search(final):
        return Answer(final, "phrase")
    for rule, find in (("boxed", last_box), ("phrase", last_phrase)):
        found = find(text)
        if found:
            return Answer(found, rule)
    return _last_formula(text)


def last_box(text: str) -> str:
    r"""Return the content of the last `\boxed{…}` that is complete and not empty; "" where there is none.

    Boxes beside each other, with nothing but commas and «and» between, are one answer.
    """
    boxes = [box for box in _boxes(text) if not PLACEHOLDER.fullmatch(text, *box[1])]
    found: list[str] = []
    begin = len(text)
    for (start, end), inside in reversed(boxes):
        if found and end > begin:  # inside the one after it
            continue
        if found and (begin - end > MAX_BESIDE or not BESIDE.fullmatch(text, end, begin)):
            break
        found.append(_tidied(text[slice(*inside)]))
        begin = start
    return ", ".join(dict.fromkeys(reversed(found)))


def _boxes(text: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield the spans of each complete, non-empty box and of its content, in the order in which the boxes close."""
    opened: list[tuple[int, int] | None] = []  # where each open box and its content start; None for any other brace
    for token in BRACE.finditer(text):
        mark = token.group()
        if token["bare"]:
            yield token.span(), token.span("bare")
        elif mark == "}":
            starts = opened.pop() if opened else None
            if starts and BLANK.match(text, starts[1]).end() < token.start():  # type: ignore[union-attr]  # BLANK always matches
                yield (starts[0], token.end()), (starts[1], token.start())
        elif mark[-1] == "{" and mark != r"\{":
            opened.append(token.span() if len(mark) > 1 else None)


def _tidied(content: str) -> str:
    """Return a box's content without labels, remarks and what only lays it out."""
    if len(content) > MAX_TIDIED:
        return content.strip()
    content = ROWS.sub(_in_a_row, content)
    if len(re.findall(r"(?<!\\)\$", content)) % 2 == 0:
        content = re.sub(r"(?<!\\)\$", " ", content)
    content = ORNAMENT.sub("", REMARK.sub("", COPULA.sub(" = ", content))).strip()
    if r"\\" in content and "begin" not in content:
        content = ", ".join(_lines(content))
    label = LABEL.match(content)
    if label and (label["sign"] or ENDS_LABEL.search(label[1]) or TOLD.match(content)):
        content = content[label.end() :]
    elif whole := re.fullmatch(r"\\text\s*\{([^{}]*)\}", content):
        said = whole[1]
        content = last_phrase(said) or (
            _statement(said) if len(said.split()) > 3 and re.search(r"\d", said) else content
        )
    elif announced(content):
        content = last_phrase(content) or content
    return content.strip()


def _in_a_row(rows: re.Match[str]) -> str:
    """Return an environment's rows as a list; one that tells cases apart or lays out a table stays."""
    lines = [line.replace("= ", "=").replace(" =", "=") for line in _lines(rows[2])]
    listed = all("=" in line for line in lines) and "&" not in rows[2].replace("&=", "").replace("& =", "")
    if rows[1] in ("cases", "array") and not listed:
        return rows[0]
    sides: list[str] = []
    for line in lines:  # a row that begins with its sign goes on with the one before
        sides[-1:] = [last_side(sides[-1] + line)] if line[:1] == "=" and sides else [*sides[-1:], line]
    return ", ".join(sides)


def _lines(rows: str) -> list[str]:
    """Return the rows of an environment without their `&`, those of the environments inside it left whole."""
    lines, begin, depth = [], 0, 0
    for mark in ROW_MARK.finditer(rows):
        depth += (mark[1] == "begin") - (mark[1] == "end")
        if not mark[1] and depth <= 0:
            lines.append(rows[begin : mark.start()])
            begin = mark.end()
    lines.append(rows[begin:])
    whole = (line if "begin" in line else line.replace("&", " ") for line in lines)
    return [" ".join(line.split()).rstrip(" ,.;") for line in whole if line.strip(" ,.&\n")]


def last_phrase(text: str) -> str:
    """Return what follows the last «answer is», «Answer:» or «####» that says anything; "" where there is none."""
    text = _without_emphasis(text)
    headings = [mark.end() for mark in deque(HEADING.finditer(text), maxlen=20) if _is_answer(text, mark.end())]
    for end in sorted([*announced(text), *headings], reverse=True):
        found = _statement(text[end : end + 2 * PHRASE_WINDOW])
        if found:
            return found
    return ""


def _without_emphasis(text: str) -> str:
    marked = "**" in text or "__" in text or "`" in text
    return EMPHASIS.sub("", text) if marked else text


def _is_answer(text: str, start: int) -> bool:
    """Tell whether a heading that starts there hands in an answer: a value, or words with which the text ends."""
    end = text.find("\n", start) % (len(text) + 1)
    return not SECTION.match(text, start) and (bool(re.search(r"[\d\\$]", text[start:end])) or not text[end:].strip())


def _statement(tail: str) -> str:
    """Return the answer that `tail` begins with: its leading formulas, else the value of its first sentence."""
    tail = tail[:PHRASE_WINDOW].lstrip(" \t\r\n*_:`=~\"'“«,}")
    tail = tail.removeprefix('\\"')
    tail = tail[decorated.end() :] if (decorated := ORNAMENTS.match(tail)) else tail
    tail = tail[match.end() :] if (match := FILLER.match(tail)) else tail
    tail = tail.lstrip()
    if NEGATED.match(tail):
        return ""
    shown = list(delimited(tail))
    if shown and not tail[: shown[0].start].strip():
        return _together(tail, shown)
    ends = [
        end.start()
        for end in SENTENCE_END.finditer(tail)
        if not any(one.start < end.start() < one.end for one in shown)
    ]
    sentence = tail[: ends[0]] if ends else tail
    display = next((one for one in shown if one.start >= len(sentence)), None)
    if display and not re.search(r"[\d\\]", sentence) and not tail[len(sentence) : display.start].strip():
        return _value(display)
    sentence = REASON.split(sentence, maxsplit=1)[0]
    clause = CLAUSE_END.split(sentence, maxsplit=1)[0]
    if re.search(r"\d|\\|\$", clause) and not CIRCUMSTANCE.search(clause):
        sentence = clause
    sentence = ORNAMENT.sub("", REMARK.sub("", sentence)).strip(" \t*_`\"'”»")
    sentence = sentence if sentence.endswith((".m.", "...")) else sentence.rstrip(".,:")
    return _said(sentence.rstrip("}] \"'") if sentence.count("}") > sentence.count("{") else sentence)


def _said(sentence: str) -> str:
    """Return the value that a sentence states, or the sentence where it states none or is one from end to end."""
    found = [one for one in formulas(sentence) if one.delimited or TELLING.search(one.text)]
    if not found:
        return sentence.strip(' []"') if re.search(r"\w", sentence) and DENIED not in sentence else ""
    sentence = sentence.replace(DENIED, " ")
    if DESCRIBED.search(sentence):
        return sentence
    first = found[0]
    if len(found) == 2 and re.search(r"\bbetween\s+$", sentence[: first.start]):
        return f"{first.text} and {found[1].text}"
    ends = [0, *(end for one in found for end in (one.start, one.end)), len(sentence)]
    rest = " ".join(sentence[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True))
    rest = re.sub(r"\b(?:and|or)\b", "", rest)
    if not re.search(r"[^\W\d_]{2,}|[\u3040-\ud7ff]", rest) and not any(one.delimited for one in found):
        return last_side(sentence) if len(found) == 1 else sentence
    if not re.search(r"\w", sentence[: first.start]) and not first.delimited:
        return _with_unit(sentence, first, found)
    stated = [one for one in found if STATED.search(sentence, max(0, one.start - 60), one.start)]
    free = [one for one in found if not CIRCUMSTANCE.search(sentence, max(0, one.start - 20), one.start)]
    chosen = (stated or free or found)[-1]
    return _value(chosen) if chosen.delimited else _with_unit(sentence, chosen, found)


def _with_unit(sentence: str, number: Formula, found: list[Formula]) -> str:
    """Return a number with the words after it that may be its unit."""
    end = number.end
    words = 0
    while (word := UNIT.match(sentence, end)) and not NO_UNIT.fullmatch(word.group()):
        end, words = word.end(), words + 1
    follows = re.match(r"\s+(?:and\s+)?(?=\d)", sentence[end:])
    if follows and words == 1 and len(found) == 2:  # 3 hours and 20 minutes
        return sentence[number.start :].strip()
    if words > 3 or follows:
        end = number.end
    behind = end == number.end and (SCALE_BEHIND.match(sentence, end) or EAST_ASIAN_UNIT.match(sentence, end))
    end = behind.end() if behind else end
    value = last_side(number.text)
    return value if "=" in value else value + sentence[number.end : end].rstrip()


def _last_formula(text: str) -> Answer | None:
    """Return the last formula or number; a letter alone names a quantity and counts only where nothing else is."""
    text = _without_emphasis(EMPTY_BOX.sub("", text))
    half = HALF_BOX.search(text)
    text = text[: half.start()] if half else text
    # Nearly always the end of the text says something; only where it does not is the rest of it looked at.
    for begin in (text.rfind("\n", 0, max(0, len(text) - LAST_WORDS)) + 1, 0):
        found = list(formulas(text, begin))
        chosen = [
            one
            for one in found
            if not EXPONENT.fullmatch(one.text)
            and (TELLING.search(one.text) or RELATION.search(one.text) or not QUANTITY.fullmatch(one.text))
        ]
        if chosen:
            break
    else:
        chosen = found
    if not chosen:
        return None
    # «attained at $x=2$» tells where, not what.
    while (
        len(chosen) > 1
        and chosen[-1].delimited
        and SUBORDINATE.search(text, max(0, chosen[-1].start - 30), chosen[-1].start)
        and not SENTENCE_END.search(text, chosen[-2].end, chosen[-1].start)
    ):
        chosen.pop()
    last = begin = len(chosen) - 1
    kind = chosen[last].delimited
    while begin and chosen[begin - 1].delimited == kind and _beside(text, chosen[begin - 1], chosen[begin]):
        begin -= 1
    if kind:
        return Answer(_together(text, chosen[begin:]), "last_formula")
    if begin < last and ARE.search(text[max(0, chosen[begin].start - 10) : chosen[begin].start]):
        return Answer(", ".join(one.text for one in chosen[begin:]), "last_number")
    value = last_side(chosen[last].text)
    scaled = SCALE_BEHIND.match(text, chosen[last].end)
    if scaled and "=" not in value:
        return Answer(value + scaled[0], "last_number")
    measured = MEASURED.fullmatch(value)
    return Answer(measured[1] if measured else value, "last_number")


def _together(text: str, shown: list[Formula]) -> str:
    """Return the first formulas, as far as there is nothing but commas and «and» between them."""
    together, before = [_value(shown[0])], shown[0]
    for one in shown[1:]:
        if not _beside(text, before, one):
            break
        if text[before.end : one.start].strip():
            together.append(_value(one))
        else:  # $12$ $cm^3$
            together[-1] += f" {_value(one)}"
        before = one
    return ", ".join(dict.fromkeys(together))


def _beside(text: str, left: Formula, right: Formula) -> bool:
    between = JOINED.match(text, left.end, right.start)
    return between is not None and between.end() == right.start and not NAMES.fullmatch(left.text)


def _value(formula: Formula) -> str:
    if len(formula.text) > MAX_TIDIED:
        return formula.text
    text = ROWS.sub(_in_a_row, formula.text)
    if formula.text[:6] != "\\begin" and not text.startswith("\\left"):
        lines = _lines(text)
        text = (lines[-1] if lines else "") if len(lines) < 2 or lines[-1][:1] != "=" else "".join(lines)
    return last_side(last_box(text) or text.strip()).strip().rstrip(".,;:").removesuffix("\\").strip()
