r"""Answer text → one spelling: plain LaTeX, ASCII digits, no decoration. What is written alike means alike."""

from __future__ import annotations

import re
import unicodedata

from tts.verifiers.math.words import with_digits

NAMED = "arcsin|arccos|arctan|arccot|arcsec|arccsc|sinh|cosh|tanh|coth|sin|cos|tan|cot|csc|log|ln|lg|exp"
WORDLIKE = "sec|abs|floor|ceil|gcd|lcm|max|min|det"  # in plain text only before a bracket: `5 sec`
FUNCTIONS = f"{NAMED}|{WORDLIKE}"
GREEK_NAMES = (
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|chi|psi|"
    "omega"
)
SYMBOLS = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\u2012": "-", "\ufe63": "-", "\u2044": "/", "÷": "/", "×": r"\cdot ",
        "·": r"\cdot ", "⋅": r"\cdot ", "∗": "*", "°": r"^\circ ", "√": r"\sqrt ", "∛": r"\sqrt[3]",
        "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∈": r"\in ", "∪": r"\cup ",
        "∩": r"\cap ", "∅": r"\emptyset ", "±": r"\pm ", "∓": r"\mp ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}",
        "℃": r"^\circ C", "℉": r"^\circ F", "′": "'", "″": "''", "∠": r"\angle ", "∑": r"\sum ", "…": "...",
        "→": r"\to ", "⇒": r"\implies ", "⟹": r"\implies ", "∴": r"\therefore ",
        "“": '"', "”": '"', "’": "'", "٫": ".", "٬": ",", "º": r"^\circ ",
        "⟨": "(", "⟩": ")", "µ": "u", "\u2009": " ", "\u200b": None, "\ufeff": None,
    }
)  # fmt: skip
GREEK = re.compile(r"GREEK (SMALL |CAPITAL )?(?:LETTER )?(\w+)(?: SYMBOL)?$")
SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
SUBSCRIPT = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
MAX_LAYERS = 40
WRAPPERS = (
    *(("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")),
    *(("**", "**"), ("__", "__"), ("*", "*"), ("_", "_"), ("```", "```"), ("`", "`"), ('"', '"'), ("'", "'")),
)
WRAPPING = "".join({opening[0] for opening, _ in WRAPPERS})
BOX = re.compile(  # around the whole answer
    r"\\(?:boxed|fbox|framebox|hbox|circled|math(?:op|inner)|raisebox\{[^{}]*\}|scalebox\{[^{}]*\}|(?:under|over)set\{\}"
    r"|(?:text(?:bf|it|rm|sf|tt|normal|up|sl|sc|md)?|mathrm|mathsf|mathcal|mbox|operatorname\*?)(?=\s*\{\s*[-\d$\\]))\s*\{"
)
LEADING = re.compile(
    r"(?:[=:]|\\(?:approx|sim|therefore|because|implies|iff|(?:[lL]ong)?[rR]ightarrow|to)(?![a-zA-Z])|~(?=[\d ])"
    r"|the (?=\d)|\\text ?\{ ?(?:(?:final |the )?(?:answer|result|solution|total)|domain|range) ?: ?\}) ?",
    re.IGNORECASE,
)
SYNONYMS = {
    **{"leq": r"\le ", "leqslant": r"\le ", "geq": r"\ge ", "geqslant": r"\ge ", "neq": r"\ne ", "lt": "<", "gt": ">"},
    **{"times": r"\cdot ", "ast": r"\cdot ", "lbrace": r"\{", "rbrace": r"\}", "lbrack": "[", "rbrack": "]"},
    **{"langle": "(", "rangle": ")", "varphi": r"\phi ", "varepsilon": r"\epsilon ", "vartheta": r"\theta "},
    **{
        "varrho": r"\rho ",
        "varsigma": r"\sigma ",
        "simeq": r"\approx ",
        "equiv": "=",
        "textsuperscript": "^",
        "imath": "i",
        "uppi": r"\pi ",
        "varnothing": r"\emptyset ",
    },
    **{"vert": "|", "lvert": "|", "rvert": "|", "mid": "|", "colon": ":", "dbinom": r"\binom ", "tbinom": r"\binom "},
    **{"ldots": "...", "dots": "...", "cdots": "...", "dotsc": "...", "arg": r"\arg ", "smallsetminus": r"\setminus "},
    **{"backslash": r"\setminus ", "land": ", ", "lor": ", ", "wedge": ", ", "vee": ", ", "Bbb": r"\mathbb "},
    **{letter: rf"\mathbb{{{letter}}}" for letter in "RNZQ"},
    **{"dfrac": r"\frac", "tfrac": r"\frac", "cfrac": r"\frac", "degree": r"^\circ ", "div": "/"},
}
# Commands that show their argument and change nothing about it, those that hide it, and those for upright letters.
FONTS = "boldsymbol|bm|pmb|mathbf|mathit|mathnormal|underline|uline|emph|vec|overrightarrow|[xb]?cancel"
COLOURS = r"(?:text)?color ?(?:\[\w+\])? ?\{[^{}]*\}|colorbox ?\{[^{}]*\}|fcolorbox ?\{[^{}]*\} ?\{[^{}]*\}"
SWITCHES = (
    "underbrace|overbrace|ensuremath|footnotesize|scriptsize|(?:rm|sf|tt)family|tt|sf|sl|sc|(?:display|text|script|scriptscript)style|limits|nolimits|bf|it|em|bfseries|tiny|"
    "small|normalsize|large|Large|LARGE|huge|Huge|left|right|middle|[bB]igg?[lrm]?|math(?:open|close|ord|strut)|"
    "nonumber|notag|strut|centering"
)
HIDDEN = r"phantom|hphantom|vphantom|[hv]space\*?|label|tag\*?|mathchoice|vskip|hskip"
UPRIGHT = (
    "mbox|mathrm|mathsf|mathtt|operatorname\\*?|text(?:bf|it|rm|sf|tt|normal|up|sl|sc|md)|rm(?= ?\\{)|hbox|textnormal"
)
ENDLESS = re.compile(r"(\d*\.\d*?)(\d+?)\2+ ?(?:\.\.\.|\\[lc]?dots(?![a-zA-Z]))")  # 0.1666…
ORDINAL = "(?:st|nd|rd|th|ST|ND|RD|TH|ème|ère)"
MONTH_NAMES = "janfebmaraprmayjunjulaugsepoctnovdec"
MONTHS = rf"(?i:{'|'.join(re.findall('...', MONTH_NAMES))})[a-z]*\.?"
SIMPLE = re.compile(  # a number and its unit, in need of nothing
    r"(-?\d{1,99}(?:\.\d{1,99})?) ?\\(?:text|mbox|mathrm) ?\{ ?(?!(?:st|nd|rd|th|and|or)\})([a-zA-Z]{2,})\}(\^\d)?",
    re.ASCII,
)
ROWS = r"(?:[^&]|&[ {}]*[=<>\\])*?"  # of a system, whose cells are the sides of relations
COMMANDS = "(?:[dtc]?frac|sqrt|left|right|text|boxed|math[a-z]+|[lg]eq?|pi|cdot|times|circ|infty|cup|in|pm)(?![a-z])"


def _system(rows: re.Match[str]) -> str:
    r"""Return the rows of `\begin{aligned} … \end{aligned}` as a list."""
    lines = re.sub(r"^(?:\\\\|\s)+|(?:\\\\|\s)+$", "", rows[2].replace("&", ""))
    return re.sub(r" ?\\\\(?: ?\[[^]]*\])? ?", ", ", lines)


def _month(name: str) -> int:
    return MONTH_NAMES.index(name[:3].lower()) // 3 + 1


def _rows(lists: re.Match[str]) -> str:
    """Return [[1, 2], [3, 4]] as a matrix."""
    rows = r" \\ ".join(row.replace(",", " & ") for row in re.findall(r"\[([^\[\]]*)\]", lists[1]))
    return rf"\begin{{pmatrix}}{rows}\end{{pmatrix}}"


REWRITES = tuple(
    (trigger, re.compile(pattern), replacement)
    for trigger, pattern, replacement in (
        ("", r"\s+", " "),
        ("$", r"(?<!\\)\$([^$]*)(?<!\\)\$(?!\d)", r"\1"),
        # How it looks.
        ("<", r"</?[a-z]+(?: [a-z]+ ?= ?(?:'[^'<>]*'|\"[^\"<>]*\"))* ?/?>", ""),
        ("\\begin", r"\\begin ?\{((?:align|equation|gather|eqnarray|split|center|math|displaymath)(?:ed)?\*?)\}"
         r"(.*?)\\end ?\{\1\}", _system),
        ("{cases}", rf"\\begin ?\{{(cases)\}}({ROWS})\\end ?\{{cases\}}", _system),
        ("{array}", rf"\\left ?\\\{{ ?\\begin ?\{{(array)\}} ?\{{[lcr|]*\}}({ROWS})\\end ?\{{array\}}"
         r" ?\\right ?(?:\.|$)", _system),
        ("\\\\", rf"\\\\(?={COMMANDS})", r"\\"),  # escaped twice
        ("\\\\", r"^(?!.*\\begin).*\\\\.*$", lambda rows: re.sub(r",? ?\\\\(?: ?\[[^]]*\])? ?", ", ", rows[0])),
        ("brace", r"(\\(?:under|over)brace ?\{(?:[^{}]|\{[^{}]*\})*\}) ?[_^] ?\{(?:[^{}]|\{[^{}]*\})*\}", r"\1"),
        ("quad", r"(=[^=,;]*[\w)}])(?<!and\})(?<!or\}),? ?\\q?quad ?(?=[a-zA-Z](?:_\{?\w\}?)? ?=)", r"\1, "),
        ("\\", r",?\\! ?(?=\d{3})|\{,\} ?(?=\d{3})", ""),  # thousands: 10{,}000 and 32,\!348
        ("{,}", r"(?<=\d)\{,\}(?=\d)", ","),
        ("", r"(?<=\d)(?:\\[,;: ]|~|['_](?=\d{3}(?!\d)))(?=\d{3}(?!\d))", ""),
        ("\\", rf"\\(?:{HIDDEN}) ?\{{[^{{}}]*\}}|\\rule ?(?:\[[^]]*\])? ?\{{[^{{}}]*\}} ?\{{[^{{}}]*\}}", " "),
        ("\\", rf"\\(?:{FONTS}) ?(?=\{{[A-Za-z ]{{2,}}\}})", r"\\text"),
        ("\\", rf"\\(?:left|right)\.|\\(?:{FONTS}|{SWITCHES})(?![a-zA-Z]) ?|\\(?:{COLOURS}) ?", ""),
        ("\\", rf"\\(?:{UPRIGHT}) ?(?=\{{)", r"\\text"),
        ("\\", r"(?<!\\)\\!|\\(?:mathrm|rm)(?![a-zA-Z]) ?", ""),
        ("", r"(?<!\\)\\(?:[,;:> ]|q?quad|(?:enspace|thinspace|space|hfil)(?![a-zA-Z]))|~(?!=)", " "),
        ("\\", rf"\\({'|'.join(SYNONYMS)})(?![a-zA-Z])", lambda command: SYNONYMS[command[1]]),
        ("\\", r"\\text ?\{ ?([ei]|d(?= ?\} ?[a-z])) ?\}", r"\1"),
        ("Omega", r"(?:\\text ?\{ ?([kMGm]?) ?\} ?|\b([kMGm]) ?)?\\text ?\{ ?\\Omega ?\}"
         r"|\\text ?\{ ?([kMGm]) ?\} ?\\Omega",
         lambda ohm: (ohm[1] or ohm[2] or ohm[3] or "") + r"\Omega"),
        ("\\mu", r"(?<=[\d }])\\mu ?(?:\\text ?\{ ?)?([mgsLlAVFCTJWN])(?: ?\}|(?![a-zA-Z ]))", r"\\text{u\1}"),
        ("per cent", "per cent", "percent"),
        ("\\", rf"\\text ?\{{({FUNCTIONS})\}}", r"\\\1 "),
        ("\\", r"\\(?:mathbb|mathds) ?\{? ?([A-Z]) ?\}?", r"\\mathbb{\1}"),
        ("_", r"(?<=[\dA-F])\\text ?\{ ?([A-F]+) ?\}(?= ?_)", r"\1"),
        ("small", r"\\(begin|end) ?\{smallmatrix\}", r"\\\1{matrix}"),
        ("array", r"\\begin ?\{array\} ?\{[^{}]*\}(.*?)\\end ?\{array\}", r"\\begin{matrix}\1\\end{matrix}"),
        ("matrix", r"[(\[] ?\\begin ?\{(?:small)?matrix\}(.*?)\\end ?\{(?:small)?matrix\} ?[)\]]",
         r"\\begin{pmatrix}\1\\end{pmatrix}"),
        ("\\\\", r"\\\\ ?\[[^]]*\]", r"\\\\"),
        ("prime", r"\^ ?\{? ?((?:\\prime ?)+)\}?", lambda primes: "'" * primes[1].count("p")),
        # Plain text for LaTeX.
        ("<", r"<=", r"\\le "),
        (">", r">=", r"\\ge "),
        ("!", r"!=", r"\\ne "),
        (":", r":=", "="),
        ("+", r"\+/?-(?= ?[\d\\a-z])", r"\\pm "),
        ("*", r"\*\*", "^"),
        ("0", r"(?<=\d) ?[xX] ?(?=10 ?\^)", r"\\cdot "),
        ("log", r"(?<![a-zA-Z])\\?log ?_?(\d+) ?(?=\()", r"\\log_{\1}"),
        ("mapsto", r"^(?:[a-zA-Z] ?: ?)?([a-zA-Z]) ?\\mapsto(?![a-zA-Z]) ?", r"f(\1) = "),
        (" in ", r"^([a-zA-Z]) in (?=[\[(\]\\])", r"\1 \\in "),
        (" to ", r"^(\d+) to (\d+)$", r"\1:\2"),
        ("[[", r"^\[ ?(\[[^\[\]]*\](?: ?, ?\[[^\[\]]*\])*) ?\]$", _rows),
        ("P", r"(?<![A-Za-z\d.])(?:nPr ?\( ?(\d+) ?, ?(\d+) ?\)|(\d+) ?P ?(\d+)(?!\d))",
         lambda m: rf"\frac{{{m[1] or m[3]}!}}{{({m[1] or m[3]}-{m[2] or m[4]})!}}"),
        ("a", r"(?<![a-zA-Z\\])a(sin|cos|tan) ?(?=\()", r"\\arc\1"),
        ("cbrt", r"\\?cbrt", r"\\sqrt[3]"),
        ("", rf"(?<![\\a-zA-Z])(?=(?:sqrt|{NAMED}|{GREEK_NAMES})(?![a-zA-Z])|(?:{WORDLIKE}) ?\()",
         r"\\"),  # sqrt(2), 2pi
        ("C", r"(?<![A-Za-z\\])(?:\\text ?\{ ?C ?\}|C|nCr) ?\( ?(\d+) ?, ?(\d+) ?\)", r"\\binom{\1}{\2}"),
        ("C", r"(?:\{\})?[_^] ?\{?(\d+)\}? ?\{?C\}? ?_ ?\{?(\d+)\}?|(?<![\d.])(\d+) ?C ?(\d+)(?!\d)",
         lambda m: rf"\binom{{{m[1] or m[3]}}}{{{m[2] or m[4]}}}"),
        ("C", r"\\text ?\{ ?C ?\} ?_ ?\{?(\d+)\}? ?\^ ?\{?(\d+)\}?", r"\\binom{\1}{\2}"),
        ("choose", r"\{? ?(\w+) ?\\?choose ?(\w+) ?\}?", r"\\binom{\1}{\2}"),
        ("\\", r"\^ ?\{ ?\\circ ?\}|\^? ?\^? ?\\circ(?![a-zA-Z])", r"^\\circ "),
        ("o", r"(?<=\d) ?\^ ?\{? ?(?:\\text ?\{ ?)?o ?\}? ?\}?$", r"^\\circ "),
        ("deg", r"(\\(?:sin|cos|tan|cot|sec|csc) ?[({]?-?[\d.]+) ?(?:\\text ?\{ ?)?deg(?:rees?)?(?: ?\})?",
         r"\1^\\circ "),
        ("\\circ", r"(\d+) ?\^\\circ *(\d+) ?(?:'|\^ ?\{?\\prime\}?)", r"(\1+\\frac{\2}{60})^\\circ"),
        # Dates and numbers.
        (" ", rf"^(?:\\text ?\{{ ?)?(?:({MONTHS}) (\d{{1,2}}){ORDINAL}?|"
         rf"(\d{{1,2}}){ORDINAL}?\.? ({MONTHS}))\.?,? ([12]\d{{3}}) ?\}}?$",
         lambda date: f"{date[5]}-{_month(date[1] or date[4])}-{date[2] or date[3]}"),
        ("年", r"^([12]\d{3}) ?年 ?(\d{1,2}) ?月 ?(\d{1,2}) ?日$", r"\1-\2-\3"),
        ("", rf"(?<=\d)(?: ?\^ ?\{{ ?\\text ?\{{ ?{ORDINAL} ?\}} ?\}}| ?\^? ?\\text ?\{{ ?-?{ORDINAL} ?\}}|"
         rf" ?\^ ?\{{ ?{ORDINAL} ?\}}|-?{ORDINAL}(?![a-zA-Z]))|"
            rf"(?<=[a-z)]) ?\^ ?\{{ ?(?:\\text ?\{{ ?)?{ORDINAL} ?\}}? ?\}}$"
         r"|(?<=\))-?th$|(?<=^[a-z])-?th$|(?<=^1)er$", ""),
        (",", r"(?<![\d.,])\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])", lambda number: number[0].replace(",", "")),
        (".", r"(?<![\d.,])\d{1,3}(?:\.\d{3}){2,}(?![\d.])", lambda number: number[0].replace(".", "")),
        (",", r"(?<![\d.,])(\d{1,3}(?:[. ]\d{3})+),(\d+)(?![\d,])",
         lambda number: re.sub("[. ]", "", number[1]) + "." + number[2]),
        ("(", r"(\d*\.\d*)\((\d+)\)", r"\1\\overline{\2}"),
        ("\\dot", r"(\d*\.\d*)\\dot ?\{?(\d)\}?(\d*)\\dot ?\{?(\d)\}?", r"\1\\overline{\2\3\4}"),
        ("except", r"(?:\\text ?\{ ?)?all real(?:s| numbers) except(?: for)? ?\}? ?(.+)",
         r"\\mathbb{R} \\setminus \\{\1\\}"),
        # Lists, sets and what is said about them.
        ("real numbers", r"^(?:\\text ?\{ ?)?(?:all )?real numbers (greater|less) than (or equal to )?\}? ?(.+)$",
         lambda m: ("x > " if m[1] == "greater" else "x < ") + m[3] if not m[2] else rf"x \{m[1][0]}e {m[3]}"),
        (" and }", r"(?<=\w) and \}(?= ?[-\d\\])", "}, "),
        ("", r",? ?\\text ?\{ ?,? ?(?:and|or|und|oder|et|ou) ?\}|,? (?:and|or|und|oder|et|ou|или) "
         r"|(?<=[)\]}\d])(?:and|or)(?=[(\[{\\\w])|(?<=\d) [yeoи] (?=-?\d|[a-z] ?=)"
         r"|(?<=[\d)}]) ?[或和、] ?(?=[-\d(\\a-z])", ", "),
        ("L", r"^(?:\\mathbb\{L\}|L) ?= ?(?=\\\{)", ""),  # the set of the solutions
        ("", r",? ?(?:\( ?)?(?:\\text ?\{[ ,(]*)?(?<=.)(?<![a-zA-Z])"
         r"(?:for (?:all|any|every|each|some)|where"
         r"|(?:with|on)(?= ?\}? ?(?:[a-z] ?\\in|\\mathbb)))(?![a-zA-Z]).+$", ""),
        ("real numbers", r"^(?:\\text ?\{ ?)?all real numbers(?: such that)? ?\}? ?"
         r"(?=[a-z] ?(?:[<>]|\\(?:[lg]e|ne)))", ""),
        ("\\cup", r" ?\\cup ?(?=[a-z] ?(?:[<>]|\\[lg]e))", ", "),
        ("\\", r"(?<=.),? ?\(? ?(?:\\forall.*|(?<=[, (])[a-zA-Z] ?\\in ?\\mathbb\{[A-Z]\}(?:\^?[+*])? ?\)?)$", ""),
        ("\\{", r"^\\\{ ?([a-zA-Z]) ?(?:\\in ?\\mathbb\{R\} ?)?[|:] ?(.*\1.*)\\\}$", r"\2"),
        ("", r"(?:(?<![\w\])}])|(?<=\\cup)) ?([\[\]])([^\[\]()=]*[,;][^\[\]()=]*)([\[\]])",
         lambda span: ("(" if span[1] == "]" else "[") + span[2] + (")" if span[3] == "[" else "]")),
        ("(", r"^([A-Z]'*) ?(\((?=[^()]*\d)[^()]*,[^()]*\))$", r"\1 = \2"),  # a point
        ("", r" +", " "),
    )
)  # fmt: skip


def normalise(text: str) -> str:
    """Return `text` in one spelling; the meaning is kept, and any text is accepted."""
    if simple := SIMPLE.fullmatch(text):
        return rf"{simple[1]}\text{{{simple[2]}}}{simple[3] or ''}"
    if not text.isascii():
        text = SUPERSCRIPT.sub(lambda run: f"^{{{unicodedata.normalize('NFKC', run[0])}}}", text)
        text = SUBSCRIPT.sub(lambda run: f"_{{{unicodedata.normalize('NFKC', run[0])}}}", text)
        text = "".join(map(_plain, unicodedata.normalize("NFC", text).translate(SYMBOLS))).replace("\u2212", "-")
    if "..." in text or "dots" in text:
        text = ENDLESS.sub(r"\1\\overline{\2}", text)  # before the full stops behind the text are stripped
    text = with_digits(_unwrap(text))
    for trigger, pattern, replacement in REWRITES:
        if trigger in text:
            text = pattern.sub(replacement, text)
    return _unwrap(text)


def squeeze(text: str) -> str:
    """Return `text` without the spaces that mean nothing: only one between two digits does."""
    return re.sub(r"(?<!\d) | (?!\d)", "", text)


def _plain(letter: str) -> str:
    """Return a letter's plain form: ASCII for the digits of any script, LaTeX for ½ and for Greek letters."""
    if letter.isascii():
        return letter
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    numerator, slash, denominator = (plain := unicodedata.normalize("NFKC", letter)).partition("\u2044")
    if slash:
        return rf"\frac{{{numerator}}}{{{denominator}}}"
    name = GREEK.match(unicodedata.name(plain[:1], ""))
    if not name:
        return plain
    word = name[2].lower().replace("lamda", "lambda")
    return f"\\{word.capitalize() if name[1] == 'CAPITAL ' else word} "


def _unwrap(text: str) -> str:
    """Strip the delimiters, boxes and full stops around the whole text."""
    before = None
    for _ in range(MAX_LAYERS):
        if before == text:
            break
        before = text
        text = text.strip().rstrip(" .,;\\")
        text = text[lead.end() :] if (lead := LEADING.match(text)) else text
        for opening, closing in WRAPPERS if text[:1] in WRAPPING else ():
            if text.startswith(opening) and text.endswith(closing):
                inner = text[len(opening) : -len(closing)]
                text = inner if inner and opening not in inner.replace(r"\$", "") else text
        box = BOX.match(text)
        opened = box.end() if box else text.startswith("{")
        closed = matching(text, opened - 1) if opened else 0
        if opened and closed in (-1, len(text) - 1):  # -1: a box that was cut off
            text = text[opened:] if closed < 0 else text[opened:-1]
    return text


def matching(text: str, start: int) -> int:
    r"""Return the index of the bracket that closes the one at `start`, or -1; any of ( [ { fits any of ) ] }."""
    depth = 0
    index = start
    while index < len(text):
        letter = text[index]
        if letter == "\\" and text[index + 1 : index + 2] not in ("{", "}"):
            index += 1  # an escaped letter is no bracket, but \{ and \} are
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if not depth:
                return index
        index += 1
    return -1


def split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Split `text` at the matches of `separator` that stand outside of all brackets; `separator` matches no bracket."""
    if not separator.search(text):
        return [text.strip()]
    parts, depth, start = [], 0, 0
    for mark in re.finditer(rf"[(\[{{]|[)\]}}]|{separator.pattern}", text):
        if mark.group() in "([{":
            depth += 1
        elif mark.group() in ")]}":
            depth -= 1
        elif not depth:
            parts.append(text[start : mark.start()].strip())
            start = mark.end()
    return [*parts, text[start:].strip()]
