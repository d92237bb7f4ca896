"""What a text says the answer is not, or takes back, is no answer; what it says instead is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.types import Problem, Reference
from tts.verifiers.math import MathVerifier
from tts.verifiers.math.extract import extract

MATH = Problem("m", "?", "math")
DENIED = [
    "The answer is not {}.",
    "The answer isn’t {}.",
    "It is not {}.",
    "Answer: not {}",
    "#### not {}",
    "<answer>not {}</answer>",
    "The answer cannot be {}.",
    "The answer could not possibly be {}.",
    "The answer is: not ${}$.",
    "The answer is anything but {}",
    "The answer is different from {}",
    "The answer is not 97 or {}.",
    "The answer is neither 97 nor {}.",
    "It is not equal to {}.",
    "I was wrong, it's not {}",
    "I don't think the answer is {}.",
    "It is false that the answer is {}.",
    "{} is wrong.",
    "{} is not the answer.",
    "{} apples is wrong.",
    r"$\boxed{{{}}}$ is wrong.",
    "2 * 6 = {0}. The answer is not {0}.",
    "The answer is {}. That is wrong.",
    "The answer is {}, which is wrong.",
    "The answer is {} (wrong).",
    "The answer is {}? No.",
    "Die Antwort ist nicht {}.",
    "Die Antwort kann nicht {} sein.",
    "Ich glaube nicht, dass die Antwort {} ist.",
    "{} ist falsch.",
    "La réponse n'est pas {}.",
    "La réponse ne peut pas être {}.",
    "{} n'est pas la réponse.",
    "La respuesta no es {}.",
    "La risposta non è {}.",
    "A resposta não é {}.",
    "Het antwoord is niet {}.",
    "Svaret är inte {}.",
    "Odpowiedź to nie {}.",
    "Cevap {} değil.",
    "Jawabannya bukan {}.",
    "Đáp án không phải là {}.",
    "Ответ не {}.",
    "{} — неверный ответ.",
    "الجواب ليس {}",
    "उत्तर {} नहीं है।",
    "答案不是{}",
    "答案并非{}。",
    "{}是错误的",
    "答えは{}ではない。",
    "정답은 {}가 아닙니다.",
]
TAKEN_BACK = [
    "The answer is {}? No, it is {}.",
    "The answer is {}. Actually, no: {}.",
    "The answer is {}. No wait, it's {}.",
    "The answer is {}. Wait, no. It is {}.",
    "The answer is {}. Hmm, that is wrong; it is {}.",
    "The answer is {} apples? No, {} apples.",
    "The answer is {}, no, {}.",
    "The answer is {}. I mean {}.",
    "Answer: {}. Correction: {}.",
    "Answer: {} -- sorry, {}",
    "Is the answer {}? No, it is {}.",
    r"\boxed{{{}}}? No, it is {}.",
    r"\boxed{{{}}}. Wait, that's wrong: \boxed{{{}}}",
    "So $x = {}$? No: $x = {}$.",
    "Die Antwort ist {}? Nein, {}.",
    "Die Antwort ist {}? Falsch, {}.",
    "Antwort: nicht {}, sondern {}.",
    "La réponse est {} ? Non, {}.",
    "La réponse n'est pas {} mais {}.",
    "La respuesta es {}? No, es {}.",
    "La risposta è {}? No, {}.",
    "Het antwoord is {}? Nee, {}.",
    "Odpowiedź: {}? Nie, {}.",
    "Ответ: {}? Нет, {}.",
    "答案是{}？不，是{}。",
    "答案是{}。不对，应该是{}。",
    "答案不是{}，而是{}。",
    "答えは{}？いいえ、{}です。",
    "정답은 {}? 아니, {}입니다.",
    "The answer is not {}; it is {}.",
]
AFFIRMED = [
    "The answer is not 97. The answer is {}.",
    "No, the answer is {}.",
    "The answer is {}? Yes, it is.",
    "The answer is {}, not 97.",
    "The answer is {}, but not 97.",
    "The answer is {}. It cannot be 97 because that is even.",
    "The answer is {}. There is no other solution.",
    "The answer is {}. No calculator is needed.",
    "The answer is {0}. Is {0} odd? No.",
    "The answer is {0}. Could it be more than {0}? No.",
    "The answer is {}. Not bad!",
    "She did not eat 3 apples, so {} are left.",
    "It takes no less than {0} hours. So {0}.",
    "Any other answer than {} is wrong.",
    "{} is the answer, 97 is wrong.",
    "f(5) is not {0}. f(6) is {0}.",
    "97? No. {0}? Yes. The answer is {0}.",
    "\\boxed{{{}}}\n\nNote: 97 is not correct since it is odd.",
    "Answer: {}, no doubt.",
]
VALUES = st.one_of(st.integers(2, 96).map(str), st.builds("{}/{}".format, st.integers(1, 9), st.integers(11, 19)))


@pytest.mark.parametrize("denial", DENIED)
@settings(max_examples=8)
@given(value=VALUES)
def test_a_denied_value_never_passes(denial: str, value: str) -> None:
    answer = extract(denial.format(value))
    assert MathVerifier().verify(MATH, [answer], Reference(value))[0].status == "failed", answer


@pytest.mark.parametrize("correction", TAKEN_BACK)
@settings(max_examples=8)
@given(first=st.integers(2, 96), last=st.integers(98, 999))
def test_the_value_that_replaces_another_is_the_answer(correction: str, first: int, last: int) -> None:
    answer = extract(correction.format(first, last))
    verdicts = [MathVerifier().verify(MATH, [answer], Reference(str(value)))[0].status for value in (first, last)]
    assert verdicts == ["failed", "passed"], answer


@pytest.mark.parametrize("sentence", AFFIRMED)
@settings(max_examples=8)
@given(value=VALUES)
def test_a_denial_of_something_else_changes_nothing(sentence: str, value: str) -> None:
    answer = extract(sentence.format(value))
    assert MathVerifier().verify(MATH, [answer], Reference(value))[0].status == "passed", answer


NEGATIONS = (
    (
        "The answer {} {}",
        "is",
        ("is not", "isn't", "is never", "cannot be", "can't be", "is definitely not", "must not be"),
    ),
    ("So x {} {}", "is", ("is not", "isn't equal to", "was not", "will never be")),
    ("Die Antwort {} {}", "ist", ("ist nicht", "ist keinesfalls", "ist sicher nicht")),
    ("La réponse {} {}", "est", ("n'est pas", "n’est pas", "n'est jamais", "ne peut pas être")),
    ("La respuesta {} {}", "es", ("no es", "no puede ser", "nunca es")),
    ("La risposta {} {}", "è", ("non è", "non può essere")),
    ("A resposta {} {}", "é", ("não é", "não pode ser")),
    ("答案{}{}", "是", ("不是", "并不是", "绝不是", "不可能是", "不应该是")),
)


@settings(max_examples=60)
@given(
    sentence=st.sampled_from(NEGATIONS).flatmap(
        lambda twins: st.tuples(st.just(twins[0]), st.just(twins[1]), st.sampled_from(twins[2]))
    ),
    value=VALUES,
    after=st.sampled_from(["", ".", "!", " cm.", "\n"]),
    before=st.sampled_from(["", "We count 3 times.\n", "So "]),
)
def test_what_passes_as_stated_fails_as_denied(
    sentence: tuple[str, str, str], value: str, after: str, before: str
) -> None:
    stated, verb, negated = sentence
    affirmed = before + stated.format(verb, value) + after
    denied = before + stated.format(negated, value) + after
    answers = [extract(affirmed), extract(denied)]
    assert [verdict.status for verdict in MathVerifier().verify(MATH, answers, Reference(value))] == [
        "passed",
        "failed",
    ]
