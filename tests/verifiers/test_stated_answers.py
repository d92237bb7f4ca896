"""The final answer in the words of models: each table holds what went wrong once, each property would have found it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.types import Answer, Problem, Reference
from tts.verifiers.choice import ChoiceVerifier
from tts.verifiers.math import MathVerifier
from tts.verifiers.math.extract import extract
from tts.verifiers.text import TextVerifier

MATH, WORDS = Problem("m", "?", "math"), Problem("t", "?", "text")
CITIES = Problem("c", "?", "choice", choices=("Paris", "Rome", "London", "Berlin"))

SENTENCE = [  # 21
    ("The answer is: She has 12 apples left.", "12"),
    ("Final answer: The total cost is $12.", "12"),
    ("The answer is simply 12.", "12"),
    ("Answer: x is 12", "12"),
    ("The answer is that there are 12 ways to do it.", "12"),
    ("Answer: After 3 days, Tom has 12 marbles.", "12"),
    ("The answer to this question is 12.", "12"),
    ("The answer is not 5. The answer is 12.", "12"),
    ("Answer: n = 12 works.", "n=12"),
    ("The answer is: Maria will need 12 minutes", "12"),
    ("The answer is 3 * 4 = 12 apples.", "12"),
    ("So the answer is, 42.", "42"),
    ("The answer is: He ran 3.5 miles more than 2 friends.", "3.5"),
]
FORMULA = [  # 22
    ("Therefore, $(x, y) = (3, 5)$.", "(3,5)"),
    (r"Hence the value is $\frac{\sqrt{2}}{2}$.", r"\frac{\sqrt2}{2}"),
    (r"The result is $3 \times 10^8$.", "300000000"),
    (r"We find that $x \lt 3$.", "$x < 3$"),
    ("Thus 3 + 4 = 7.", "7"),
    ("So $x = 5+5+1 = 11$.", "x=11"),
    ("The pens cost $5 and the books $10, so we get $2x+1$.", "2x+1"),
    ("Hence the maximum is $12$, attained at $x=3$.", "12"),
    ("The roots are 2 and 3.", "2,3"),
    ("The point is (3, -4).", "(3,-4)"),
    ("\\begin{align*} x &= 3 + 4 \\\\ &= 7 \\end{align*}", "7"),
    (r"We get $$\int_0^1 x^2 dx = \frac{1}{3}.$$", r"\frac13"),
    (r"The value of the sum is $\sum_{k=1}^{3} k = 6$.", "6"),
]
DOLLARS = [  # 23
    ("The length is therefore $5$.", r"5\text{ cm}"),
    ("So the angle is $30$ degrees.", r"30^\circ"),
]
CJK = [  # 24
    ("所以答案是12个苹果。", "12"),
    ("总共1,234元", "1234"),
    ("合計は42です", "42"),
    ("정답은 42입니다.", "42"),
    ("答案是１２。", "12"),
]
NUMBERS = [  # 25
    ("The area is 12 cm^2.", "12"),
    ("Josh's profit is $70{,}000$.", "70000"),
    ("He needs 1½ cups.", "1.5"),
    ("Answer: .25", "0.25"),
    ("He needs 1 1/2 cups.", "1.5"),
    ("The area is 50 m2.", "50"),
    ("The density is 5 kg/m^3", "5"),
    ("The flux is 5 W m^{-2}.", "5"),
    (r"The volume is $36\pi$ cm$^3$.", r"36\pi"),
]
HEADINGS = [  # 26
    ("#### Step 1\nwe add\n#### Step 2\nwe get 12", "12"),
    ("#### 4. Conclusion\nThe total is 12.", "12"),
    ("#### 12", "12"),
    ("#### Conclusion\n\nSo 12.", "12"),
    ("#### Step 2: 12", "12"),
]
MARKUP = [  # 27
    ("The answer is 12<|im_end|>", "12"),
    ("Answer: <b>12</b>", "12"),
    ("<answer>3x-1</answer>", "3x-1"),
    ("The answer is 12 (correct) ✅", "12"),
    ("The answer is 12</s><s>user: 13", "12"),
    ("The answer is **12** apples", "12"),
    ('{"answer": "12"}', "12"),
    ("Answer: ✅ 12", "12"),
    ("| Answer | 12 |", "12"),
    (r"\text{Answer: } 12", "12"),
    ("The answer is 12 :)", "12"),
]
THINKING = [  # 28
    (r"<think>Maybe \boxed{5}? no.</think> The answer is 3.", "3"),
    (r"Maybe \boxed{5}? no.</think> The answer is 3.", "3"),
    (r"<thinking>\boxed{5}</thinking>3", "3"),
    (r"<scratchpad>\boxed{5}</scratchpad>7", "7"),
    ("The answer is 7.\n<reflection>It was 5 at first.</reflection>\n", "7"),
]
BOXES = [  # 29
    (r"\boxed{\text{Answer: }12}", "12"),
    (r"\boxed{\begin{aligned} x&=1\\y&=2\end{aligned}}", "x=1,y=2"),
    (r"$\boxed{1}, \boxed{2}$", "1,2"),
    (r"$\boxed{1}$ and $\boxed{2}$", "1,2"),
    (r"\boxed{\text{The answer is } 12}", "12"),
    (r"first $\boxed{1}$, then at last $\boxed{2}$", "2"),
    (r"\boxed{12 \text{ (correct)}}", "12"),
    (r"\boxed{\text{She has } 12 \text{ apples}}", "12"),
    (r"\boxed{x=1 \\ y=2}", "x=1,y=2"),
    ("- $\\boxed{1}$\n- $\\boxed{2}$", "1,2"),
    (r"I put it into \boxed{answer}. The answer is 12", "12"),
    (r"\boxed{3 \cdot 14 = 42 \text{ ways}}", "42"),
    (r"\boxed{\begin{aligned}x&=1,\\y&=2.\end{aligned}}", "x=1,y=2"),
    (r"\boxed{(1, 2), (0, -2)}", "(1,2),(0,-2)"),
    (r"interest is $\boxed{255}$. Final Answer: The final answer is $10,455$. I hope it is correct.", "10455"),
    (r"so $\boxed{12 $ and $13 }$. The final answer is \"$12 $ and $13 $\".", "12,13"),
]
LANGUAGES = [  # 30
    ("La réponse est 12 car 3 fois 4.", "12"),
    ("Antwort: 12, denn 3*4.", "12"),
    ("La respuesta es 12 porque 3 por 4.", "12"),
    ("Ответ: 12, потому что 3*4.", "12"),
    ("答案：12，因为3*4", "12"),
    ("La solución es 12, ya que 3*4.", "12"),
    ("Ergebnis: 12, weil 3*4", "12"),
    ("الجواب هو ١٢ لأن 3*4", "12"),
    ("Also ist die Antwort 12, nicht 13.", "12"),
    ("Die richtige Antwort ist 12 (3*4)", "12"),
    ("Die Antwort ist: Sie hat 12 Äpfel.", "12"),
    ("Die Lösungen sind x = -3 und x = 2.", "2, -3"),
    ("Les solutions sont x = -3 et x = 2.", "2, -3"),
    ("解为x=-3或x=2。", "2, -3"),
    ("Antwort: -3 und 2", "2, -3"),
]
ALL = [*SENTENCE, *FORMULA, *DOLLARS, *CJK, *NUMBERS, *HEADINGS, *MARKUP, *THINKING, *BOXES, *LANGUAGES]


@pytest.mark.parametrize(("text", "reference"), ALL)
def test_a_stated_value_passes_and_another_does_not(math_verifier: MathVerifier, text: str, reference: str) -> None:
    answer = math_verifier.extract(MATH, text)
    assert math_verifier.verify(MATH, [answer], Reference(reference))[0].status == "passed", answer
    assert math_verifier.verify(MATH, [answer], Reference("97"))[0].status == "failed", answer


def test_a_number_in_a_formula_is_no_answer(math_verifier: MathVerifier) -> None:
    answer = math_verifier.extract(MATH, r"Hence the value is $\frac{\sqrt{2}}{2}$.")
    assert math_verifier.verify(MATH, [answer], Reference("2"))[0].status == "failed"


INTEGERS = st.integers(2, 9999)


def stated(text: str) -> str:
    answer = extract(text)
    assert answer, text
    return answer.text


@given(
    number=INTEGERS,
    opening=st.sampled_from(["The answer is", "Answer:", "**Final answer:**", "So the final answer is:"]),
    subject=st.sampled_from(["", "x is", "she has", "The total cost is", "there are", "simply", "about"]),
    after=st.sampled_from(
        ["", " apples", " apples left", " of them in total", ", since 3 + 4 = 7", " because 3 + 4 = 7"]
    ),
)
def test_21_a_sentence_behind_the_phrase_states_its_number(number: int, opening: str, subject: str, after: str) -> None:
    found = stated(f"We count 3 times.\n{opening} {subject} {number}{after}.\n")
    assert found.split()[0] == str(number)
    assert found in (f"{number}", f"{number} apples")


FORMULAS = st.one_of(
    st.builds(r"\frac{{\sqrt{{{}}}}}{{{}}}".format, INTEGERS, INTEGERS),
    st.builds(r"{} \times 10^{{{}}}".format, INTEGERS, st.integers(2, 20)),
    st.builds("({}, {})".format, INTEGERS, INTEGERS),
    st.builds(r"x \le {}".format, INTEGERS),
    st.builds("{}x - {}".format, INTEGERS, INTEGERS),
    st.builds(r"\sqrt[3]{{{}}}".format, INTEGERS),
)


@given(
    formula=FORMULAS,
    marks=st.sampled_from([("$", "$"), (r"\(", r"\)"), ("$$", "$$"), ("\\[\n", "\n\\]")]),
    frame=st.sampled_from(["Thus we get {}.", "It costs $5, and {} is left.", "Hence $n = 3$.\n\nFinally {}", "{}"]),
)
def test_22_the_last_formula_is_taken_whole(formula: str, marks: tuple[str, str], frame: str) -> None:
    assert stated(frame.format(f"{marks[0]}{formula}{marks[1]}")) == formula


@given(number=INTEGERS, behind=st.sampled_from([".", " cm.", " degrees", r" \%", " of them", "\n"]))
def test_23_dollars_around_a_number_are_no_money(number: int, behind: str) -> None:
    assert stated(f"The length is therefore ${number}${behind}") == str(number)


@given(
    number=INTEGERS,
    before=st.sampled_from(["总共", "合計は", "答案是", "모두", "一共有", "答え:"]),
    after=st.sampled_from(["元", "个苹果。", "です", "개입니다.", "", "，共计"]),
)
def test_24_letters_without_spaces_may_touch_a_number(number: int, before: str, after: str) -> None:
    assert stated(f"{before}{number}{after}") == str(number)
    assert stated(f"{before}{number:,}{after}") == f"{number:,}"


@given(
    number=st.one_of(
        st.builds("{}½".format, st.integers(1, 99)),
        st.builds(".{}".format, INTEGERS),
        st.builds("{} {}/{}".format, st.integers(1, 99), st.just(2), st.just(3)),
        st.builds(r"{}{{,}}000".format, st.integers(1, 99)),
        st.builds(r"{},\!000".format, st.integers(1, 99)),
    ),
    unit=st.sampled_from(["", " cm^2", " m^{3}", " cups", " km/h", " liters"]),
)
def test_25_a_number_is_read_in_one_piece(number: str, unit: str) -> None:
    assert stated(f"The area is {number}{unit}.") in (number, f"{number}{unit}")
    assert stated(f"Answer: {number}{unit}.") in (number, f"{number}{unit}")


@given(
    number=INTEGERS, step=st.integers(1, 30), title=st.sampled_from(["Step {}", "{}. Conclusion", "Part {}: the sum"])
)
def test_26_a_heading_is_no_answer(number: int, step: int, title: str) -> None:
    assert stated(f"#### {title.format(step)}\nThe total is {number}.") == str(number)
    assert stated(f"#### {title.format(step)}\nwe add\n#### {number}") == str(number)


@given(
    number=INTEGERS,
    around=st.sampled_from(
        [
            "{}<|im_end|>",
            "<b>{}</b>",
            "<strong>{}</strong><br>",
            "**{}**",
            "{} (correct)",
            "{} ✅",
            "`{}`",
            "{}<|eot_id|>no 7",
        ]
    ),
    opening=st.sampled_from(["The answer is ", "Answer: ", "So in all "]),
)
def test_27_markup_is_no_part_of_it(number: int, around: str, opening: str) -> None:
    assert stated(opening + around.format(number)) == str(number)


@given(
    tag=st.sampled_from(
        [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("", "</think>"), ("[THINK]", "[/THINK]")]
    ),
    thought=st.sampled_from([r"\boxed{5}", "The answer is 5.", "<answer>5</answer>", "#### 5", "A"]),
    said=st.sampled_from(["The answer is 7.", r"\boxed{7}", "so 7"]),
)
def test_28_what_was_thought_is_not_said(tag: tuple[str, str], thought: str, said: str) -> None:
    assert extract(f"{tag[0]}{thought}{tag[1]}\n{said}") == extract(said)
    assert extract(f"{said}\n<think>{thought}") == extract(said)


@given(
    values=st.lists(INTEGERS, min_size=1, max_size=4, unique=True),
    joint=st.sampled_from([", ", " and ", "$, $", ", and "]),
)
def test_29_boxes_beside_each_other_are_one_answer(values: list[int], joint: str) -> None:
    boxes = joint.join(rf"\boxed{{{value}}}" for value in values)
    assert stated(f"First $\\boxed{{1}}$ is tried. So ${boxes}$.") == ", ".join(map(str, values))


SCALES = {
    1000: (
        "Antwort: {} Tausend",
        "Ответ: {} тысяч",
        "La respuesta es {} mil.",
        "答案是{}千",
        "Het antwoord is {} duizend",
    ),
    10_000: ("答案是{}万", "答案是{}万元。", "答えは{}万です", "정답은 {}만입니다", "总共{}万"),
    10**6: (
        "La risposta è {} milioni.",
        "A resposta é {} milhões",
        "答案是{}百万",
        "So it costs {} million.",
        "Svar: {} miljoner",
    ),
    10**8: ("答案是{}亿", "答えは{}億円", "정답은 {}억"),
}


@given(number=INTEGERS, said=st.sampled_from([(scale, text) for scale, texts in SCALES.items() for text in texts]))
def test_a_scale_word_behind_the_number_belongs_to_it(number: int, said: tuple[int, str]) -> None:
    answer = extract(said[1].format(number))
    verdicts = [MathVerifier().verify(MATH, [answer], Reference(str(n)))[0].status for n in (number, number * said[0])]
    assert verdicts == ["failed", "passed"], answer


@given(
    number=INTEGERS,
    units=st.permutations(
        ["米", "厘米", "公里", "千克", "Meter", "Zentimeter", "kilomètres", "センチメートル", "미터"]
    ),
)
def test_the_unit_behind_the_number_belongs_to_it(number: int, units: list[str]) -> None:
    answer = extract(f"答案是{number}{units[0]}。" if units[0] > "\u3000" else f"Antwort: {number} {units[0]}.")
    same = {"米": "m", "Meter": "m", "미터": "m", "厘米": "cm", "Zentimeter": "cm", "センチメートル": "cm"}
    for unit in ("m", "cm", "km", "kg"):
        passed = MathVerifier().verify(MATH, [answer], Reference(f"{number} {unit}"))[0].status == "passed"
        own = same.get(units[0]) or {"公里": "km", "kilomètres": "km", "千克": "kg"}.get(units[0])
        assert passed == (own == unit), answer


OPENINGS = [
    "Die Antwort ist",
    "La réponse est",
    "La respuesta es",
    "La risposta è",
    "A resposta é",
    "Het antwoord is",
    "Odpowiedź:",
    "Svar:",
    "Cevap:",
    "Ответ:",
    "Відповідь:",
    "答案是",
    "答え：",
    "정답:",
    "उत्तर:",
    "Đáp án là",
]


@given(number=INTEGERS, opening=st.sampled_from(OPENINGS))
def test_30_the_phrase_is_known_in_many_languages(number: int, opening: str) -> None:
    assert extract(f"3 x 4\n{opening} {number}\n(3 * 4 = 11)") == Answer(str(number), "phrase")


CHOSEN = [
    (r"\boxed{\textbf{(C)}\ London}", "C"),  # 31
    (r"\boxed{\text{Option C}}", "C"),
    (r"\boxed{C London}", "C"),
    (r"\boxed{\boldsymbol{C}}", "C"),
    ("I pick option b", "B"),  # 35
    ("I choose option (c).", "C"),
    ("I pick a.", None),
    ("Eliminating A, B and D leaves C.", "C"),
    ("This leaves only option A.", "A"),
    ("It's A!", "A"),
    ("It is not A!", None),
    ("So it's a.", None),
    ("**The answer is (C)**. The capital is London.", "C"),  # 32
    ("**C is correct.**", "C"),
    ("The answer is B. The other option is A.", "B"),  # 33
    ("The answer is B. Another choice is D, but no.", "B"),
    ("Answer: B\nAnswer: G", "B"),
    ("ANSWER: A, B", None),  # 34
    ("Answer: B/D", None),
    ("The answer is A and C.", None),
    ("B because Rome is old.", "B"),  # 35
    ("B.\n\nExplanation: Rome is older than Paris.", "B"),
    ("Option B is correct.", "B"),
    ("Therefore, B is the correct answer.", "B"),
    ("The answer is A Paris", "A"),  # 36
    ("The answer is A given the data", "A"),
    ("The answer is A city", None),
    ("<answer>B</answer>", "B"),  # 37
    ('{"answer": "B"}', "B"),
    ("The answer is Ｂ", "B"),
    ("Antwort: C", "C"),
    ("答案：C", "C"),
    ("<think>The answer is B.</think>The answer is C.", "C"),
    (r"\boxed{C \text{ (London)}}", "C"),
    (r"\boxed{C=London}", "C"),
    ("Answer: A; B", None),
    ("The right choice would be C.", "C"),
    ("It's C.", "C"),
    ("Clearly, C.", "C"),
    ("C — because", "C"),
    ("The answer is A here", "A"),
    ("The answer is A (Paris)", "A"),
    ("因此，正确选项是C。", "C"),
    ("所以选项C正确。", "C"),
    ("A alternativa correta é C", "C"),
    ("La opción correcta es C.", "C"),
    ("Option C est correcte.", "C"),
    ("Ⓒ", "C"),
    ("答案为【C】", "C"),
    ("答案：「C」", "C"),
    ("Lösung: C", "C"),
]


@pytest.mark.parametrize(("text", "letter"), CHOSEN)
def test_the_letter_that_is_meant_is_found(text: str, letter: str | None) -> None:
    answer = ChoiceVerifier().extract(CITIES, text)
    assert (answer and answer.text) == letter


FRAMES = {
    31: [
        r"\boxed{{\textbf{{({0})}}\ {1}}}",
        r"\boxed{{\text{{Option {0}}}}}",
        r"\boxed{{{0} {1}}}",
        r"\boxed{{\mathbf{{{0}}}}}",
    ],
    32: ["**The answer is ({0})**. So it is.", "**{0} is correct.**", "**Answer: {0}**\nDone.", "__{0}__ it is"],
    33: [
        "The answer is {0}. The other option is {2}.",
        "Answer: {0}\nAnswer: Z",
        "The answer is {0}. The wrong answer is {2}.",
    ],
    35: [
        "{0} because of it.",
        "{0}.\n\nSince {2} is not.",
        "Option {0} is correct.",
        "Thus {0} is the right choice, not {2}.",
    ],
    36: ["The answer is {0} {1}", "The answer is {0} given the data", "The answer is {0}, not {2}"],
    37: [
        "<answer>{0}</answer>",
        '{{"answer": "{0}"}}',
        "Antwort: {0}",
        "答案：{0}",
        "La réponse est {0}.",
        "Ответ: {0}",
    ],
}


@pytest.mark.parametrize("frame", [frame for frames in FRAMES.values() for frame in frames])
@settings(max_examples=12)
@given(index=st.integers(0, 3), other=st.integers(0, 3))
def test_no_letter_is_found_more_easily_than_another(frame: str, index: int, other: int) -> None:
    other = (index + 1) % 4 if other == index else other
    text = frame.format("ABCD"[index], CITIES.choices[index], "ABCD"[other])
    answer = ChoiceVerifier().extract(CITIES, text)
    assert answer is not None
    assert answer.text == "ABCD"[index]


@given(
    letters=st.lists(st.sampled_from("ABCD"), min_size=2, max_size=3, unique=True),
    joint=st.sampled_from([", ", "/", " and ", " or ", " & "]),
    opening=st.sampled_from(["Answer: ", "ANSWER: ", "The answer is ", "**Answer:** ", "Antwort: "]),
)
def test_34_several_letters_are_no_answer(letters: list[str], joint: str, opening: str) -> None:
    assert ChoiceVerifier().extract(CITIES, f"I think of B.\n{opening}{joint.join(letters)}") is None


TOLD = [  # 38
    ("The answer is Paris, because it is the capital.", "Paris"),
    ("Answer: Paris<|im_end|>", "Paris"),
    ("Answer：Paris", "Paris"),
    ("Die Antwort ist Paris.", "Paris"),
    ("<think>Answer: Rome</think>Answer: Paris", "Paris"),
    ("The answer is Paris since it is the capital.", "Paris"),
    ("The answer is Paris due to its size.", "Paris"),
    ("答えはパリです。", "パリ"),
    ("정답은 서울입니다.", "서울"),
    ("Answer: Paris ✅", "Paris"),
]


@pytest.mark.parametrize(("text", "reference"), TOLD)
def test_the_words_that_are_meant_are_found(text: str, reference: str) -> None:
    answer = TextVerifier().extract(WORDS, text)
    assert TextVerifier().verify(WORDS, [answer], Reference(reference))[0].status == "passed", answer


@given(
    words=st.sampled_from(["Paris", "the Hague", "Marie Curie", "blue whale"]),
    opening=st.sampled_from(["The answer is ", "Answer: ", "Answer：", "Antwort: ", "La réponse est ", "答案："]),
    after=st.sampled_from(
        ["", ".", ", because it is so.", " because of it", "<|im_end|>", "</s>", ", which is known."]
    ),
)
def test_38_a_reason_or_a_token_is_no_part_of_the_words(words: str, opening: str, after: str) -> None:
    answer = TextVerifier().extract(WORDS, opening + words + after)
    assert answer == Answer(words, "phrase")
