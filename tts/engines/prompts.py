"""From messages to the tokens that a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tts.engines.asked import AskedIds, asked_ids_of, may_be_spaced
from tts.errors import EngineError
from tts.types import Message, Request, Written

MOST_ASKED = 128
"""How many tokens' probabilities one request may ask for."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Applies the model's chat template, once.

    A last message by the assistant is a beginning that the model continues. A model without a template gets the
    messages' contents joined by blank lines, after the tokens that its tokenizer puts before every text.
    """

    tokenizer: Any
    template_arguments: Mapping[str, Any]

    def render(self, messages: tuple[Message, ...]) -> tuple[str, tuple[int, ...]]:
        """Return the prompt and its token ids.

        Raises:
            EngineError: no messages, a template that refuses them, an empty prompt, or a doubled first token.
        """
        if not messages:
            raise EngineError("`messages` must hold at least one message, got none")
        if self.tokenizer.chat_template is None:
            ids = self.tokenizer("\n\n".join(message.content for message in messages)).input_ids
            prompt = self.tokenizer.decode(ids)
        else:
            continues = messages[-1].role == "assistant"
            prompt = self._apply_template(
                messages, add_generation_prompt=not continues, continue_final_message=continues
            )
            ids = self.tokenizer(prompt, add_special_tokens=False).input_ids
        self._check(prompt, ids)
        return prompt, tuple(ids)

    def conversation(self, messages: tuple[Message, ...]) -> tuple[str, tuple[int, ...]]:
        """Return a whole conversation, of which nothing is to be continued, and its token ids. Raises as `render`."""
        if self.tokenizer.chat_template is None:
            return self.render(messages)
        text = self._apply_template(messages, add_generation_prompt=False, continue_final_message=False)
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        self._check(text, ids)
        return text, tuple(ids)

    def chunks(self, prompt_ids: tuple[int, ...], prefix: Written) -> tuple[tuple[int, ...], ...]:
        """Return the tokens that the model reads, cut where the prompt and the pieces of the answer so far end.

        What an engine wrote goes in as it was; other text is encoded here, as a whole where pieces follow each other.
        """
        chunks, text = [prompt_ids], ""
        for piece in (*prefix, None):
            if piece is not None and piece.token_ids is None:
                text += piece.text
                continue
            if text:
                chunks.append(tuple(self.tokenizer(text, add_special_tokens=False).input_ids))
                text = ""
            if piece is not None and piece.token_ids:
                chunks.append(tuple(piece.token_ids))
        return tuple(chunks)

    def token_of(self, text: str, key: str) -> int:
        """Return the id of the one token that `text` is; raises EngineError where it is none or several."""
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) != 1:
            raise EngineError(f"`{key}` must be one token of this model, got {text!r}, which is {len(ids)}")
        return int(ids[0])

    def asked_ids(self, request: Request) -> tuple[AskedIds, ...]:
        """Return the tokens that say each text that is asked for: its own, and the one with a space before it, if any.

        Raises EngineError where a text is no single token, or they are too many.
        """
        asked = request.decoding.ask_tokens
        if len(asked) > MOST_ASKED:
            raise EngineError(f"`ask_tokens` must be at most {MOST_ASKED} texts, got {len(asked)}")
        if asked and request.guidance is not None:
            raise EngineError("`ask_tokens` must be empty where a plugin guides: they ask for the raw model's opinion")
        found = []
        for text in asked:
            spaced = self.tokenizer(f" {text}", add_special_tokens=False).input_ids if may_be_spaced(text) else ()
            found.append(asked_ids_of(self.token_of(text, "ask_tokens"), spaced))
        return tuple(found)

    def _apply_template(self, messages: tuple[Message, ...], **how_it_ends: bool) -> str:
        from jinja2 import TemplateError

        try:
            return str(
                self.tokenizer.apply_chat_template(
                    [{"role": message.role, "content": message.content} for message in messages],
                    tokenize=False,
                    **how_it_ends,
                    **self.template_arguments,
                )
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise EngineError(f"the model's chat template refuses the messages: {error}") from error

    def _check(self, prompt: str, ids: list[int]) -> None:
        if not ids:
            raise EngineError("the prompt must hold at least one token, got none")
        first = self.tokenizer.bos_token_id
        if first is not None and ids[:2] == [first, first]:
            raise EngineError(
                f"the prompt must begin with one {self.tokenizer.bos_token!r}, got two: {prompt[:60]!r}…; the chat "
                "template and the messages (or the tokenizer) both add it"
            )
