"""The math verifier: extraction, an exact fast path, and sympy in worker processes behind it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field, PrivateAttr

from tts.components.component import Component
from tts.types import Answer, Grouping, Problem, Reference, Verdict
from tts.verifiers.math.by_key import NO_ANSWER, group_keys
from tts.verifiers.math.extract import extract, last_box, last_phrase
from tts.verifiers.math.form import Form, comparable, equal, read, texts
from tts.verifiers.math.pool import WorkerPool

VERDICTS = {
    "equal": Verdict("passed"),
    "different": Verdict("failed", "wrong_answer"),
    "unparsable_left": Verdict("failed", "unparsable_answer"),
    "unparsable_right": Verdict("undecided", "unparsable_reference"),
}


class MathVerifier(Component):
    r"""Answers that are mathematics: numbers, expressions, sets, tuples, intervals, matrices, and plain words.

    Numbers are compared exactly (0.333 is not 1/3). A variable, unit, base or per cent sign beside the value may be
    missing on one side, but two of them must agree: `x=5` is `5` and not `y=5`; `5 V` is `5` and not `5 mV`; `50\%` is
    50 and 0.5. A scale word belongs to the number. The sides of an equation that names no value are no answer; small
    and capital letters are two variables, as are f and f'. A bare list is an unordered set, `(1,2)` an ordered pair,
    `[1,2]` neither. Letters are real numbers, positive where a root or a logarithm needs it. Formulas that have no
    exact normal form are compared by sympy and math-verify in worker processes, which start with the first of them.
    """

    timeout_seconds: float = Field(default=5.0, gt=0)
    """Seconds that one comparison in a worker may take before it is killed; the answer is then undecided."""

    memory_limit_mb: int = Field(default=1024, ge=64)
    """Megabytes that one worker may allocate for its comparisons (enforced on Linux)."""

    workers: int = Field(default=2, ge=1)
    """How many worker processes compare formulas at the same time."""

    cache_size: int = Field(default=65_536, ge=0)
    """How many outcomes of such comparisons are remembered."""

    ignore_variable_names: bool = False
    """Whether `x = 5` and `y = 5` are the same answer."""

    _pool: WorkerPool | None = PrivateAttr(default=None)
    _pool_lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def close(self) -> None:
        """Kill the workers. The verifier stays usable; the next formula starts new ones."""
        with self._pool_lock:
            pool, self._pool = self._pool, None
        if pool:
            pool.close()

    def extract(self, problem: Problem, text: str) -> Answer | None:  # noqa: ARG002 - every verifier gets the problem
        r"""Return the last `<answer>…</answer>`, else the last `\boxed{…}`, else what «the answer is» says, else the
        last formula or number; or None.
        """
        return extract(text)

    def group(self, problem: Problem, answers: Sequence[Answer | None]) -> Grouping:  # noqa: ARG002 - as above
        """Return one node per answer that is not written otherwise, and a link for each two that `verify` calls equal.

        An undecided comparison links nothing.
        """
        stated = dict.fromkeys(answer.text for answer in answers if answer and answer.text.strip())
        forms = {text: self._read(text) for text in stated}
        identities = {text: form.identity for text, form in forms.items()}
        distinct = {identities[text]: form for text, form in forms.items()}
        number = {identity: place for place, identity in enumerate(distinct)}  # an identity is slow to hash
        of = {text: number[identity] for text, identity in identities.items()}
        # What cannot be parsed at all is left out, so that it is found out once and not in every pair.
        opaque = [form.value for form in distinct.values() if form.key is None and not form.too_long]
        alone = dict(zip(opaque, self._ask([(text, text) for text in opaque]), strict=True))
        pairs = comparable([form for form in distinct.values() if alone.get(form.value, "equal") == "equal"])
        outcomes = zip(self._compare(pairs), pairs, strict=True)
        equal = (
            (number[left.identity], number[right.identity]) for outcome, (left, right) in outcomes if outcome == "equal"
        )
        return group_keys([of.get(answer.text) if answer else None for answer in answers], equal)

    def verify(
        self,
        problem: Problem,  # noqa: ARG002 - as above
        answers: Sequence[Answer | None],
        reference: Reference,
    ) -> list[Verdict]:
        """Return one verdict per answer, order kept; equal texts are judged once.

        Failed: no_answer, wrong_answer, unparsable_answer. Undecided: no_reference, unparsable_reference, timeout,
        memory_limit, too_deep, too_long, grader_crash.
        """
        stated = dict.fromkeys(answer.text for answer in answers if answer and answer.text.strip())
        if not reference.answer or not reference.answer.strip():
            verdicts = dict.fromkeys(stated, Verdict("undecided", "no_reference"))
        else:
            expected = self._expected(reference.answer)
            outcomes = self._compare([(self._read(text), expected) for text in stated])
            judged = [VERDICTS.get(outcome) or Verdict("undecided", outcome) for outcome in outcomes]
            verdicts = dict(zip(stated, judged, strict=True))
        return [NO_ANSWER if answer is None else verdicts.get(answer.text, NO_ANSWER) for answer in answers]

    def unreadable(self, reference: Reference) -> bool:
        """Tell whether the reference is no mathematics, no words and no name that could be read."""
        form = self._expected(reference.answer or "")
        opaque = form.key is None and form.whole and not form.too_long
        return bool(opaque) and self._ask([texts(form, form)]) == ["unparsable_left"]

    def _expected(self, said: str) -> Form:
        r"""Read a reference: most are bare answers; some are `…\boxed{5}`, `… #### 5` or `The answer is 5`."""
        return self._read(last_box(said) or last_phrase(said) or said)

    def _read(self, text: str) -> Form:
        form = read(text)
        return replace(form, variable=None) if self.ignore_variable_names else form

    def _compare(self, pairs: Sequence[tuple[Form, Form]]) -> list[str]:
        """Return one outcome per pair: those that need sympy are spread over the workers."""
        decided = [self._exact(*pair) for pair in pairs]
        asked = iter(self._ask([texts(*pair) for pair, outcome in zip(pairs, decided, strict=True) if not outcome]))
        return [outcome or next(asked) for outcome in decided]

    def _exact(self, left: Form, right: Form) -> str:
        """Return the outcome that needs no parsing, "" where there is none."""
        answer = equal(left, right)
        if answer is None:
            return "too_long" if left.too_long or right.too_long else ""
        return "equal" if answer else "different"

    def _ask(self, pairs: list[tuple[str, str]]) -> list[str]:
        if not pairs:
            return []
        with self._pool_lock:
            self._pool = self._pool or WorkerPool(
                self.workers, self.timeout_seconds, self.memory_limit_mb, self.cache_size
            )
            pool = self._pool
        return pool.compare(pairs)
