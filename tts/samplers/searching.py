"""The keys that all searches of the package share, and what they say of themselves."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from tts.runs.candidates import split_thinking
from tts.samplers.temperature import Temperature
from tts.types import Completion

Tag = Annotated[str, Field(min_length=1)]


class SearchKeys(Temperature):
    """The keys of a plain sampler, in a search. Its candidates influence each other unless it says otherwise."""

    interacting: ClassVar[bool] = True

    @property
    def most_calls(self) -> int:
        """Return the most calls that one problem may take: a call and a look at the answers for each candidate."""
        return 2 * self.num_candidates

    @property
    def most_tokens(self) -> int:
        """Return the most tokens that one problem may take."""
        return self.num_candidates * self.max_tokens


class WritesOn(SearchKeys):
    """The keys of a search that lets the model go on from what is written, up to a stop string."""

    @property
    def requires(self) -> frozenset[str]:
        """`prefix` and `stop_strings`, beside what its keys need."""
        return super().requires | {"prefix", "stop_strings"}


class ShowsAnswers(SearchKeys):
    """The keys of a search that shows the model what it wrote before."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the model's thinking, which is not shown to it again."""

    def shown(self, answer: Completion) -> str:
        """Return what the model is shown of what it wrote."""
        text = answer.text.removesuffix(answer.stop or "")
        if answer.reasoning is not None:
            return text
        return split_thinking(text, self.thinking_tags, opened=answer.opened)[1]
