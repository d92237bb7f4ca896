"""The engine itself: requests in, completions out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from tts.engines.memory import advice
from tts.engines.transformers.keys import TransformersKeys
from tts.engines.transformers.loading import Loaded, load_configuration, load_model
from tts.errors import EngineError
from tts.models.locate import locate
from tts.models.pretrained import load_tokenizer, require_packages, resolve, share_cores
from tts.plugins.contrastive.settings import ContrastiveSettings
from tts.protocols import FILTERS
from tts.types import Completion, Message, PluginReport, Request

if TYPE_CHECKING:
    from tts.engines.transformers.session import Session


class TransformersEngine(TransformersKeys):
    """Runs any decoder-only model of the transformers library in this process, on a CPU or a GPU.

    Rows are decoded together and filled again as they end. A candidate depends on its request alone, to the last bit
    or nearly (see `capabilities`): its seed drives its own noise, its prompt is computed alone, and every decoding pass
    has the same shape. Stop strings are looked
    for in all that is generated, the thinking section included. Log-probabilities and self-certainty are those of
    the raw model over the tokenizer's vocabulary; where ESamp guides, those of the mixed logits.
    """

    _session: Session | None = PrivateAttr(default=None)

    def capabilities(self) -> frozenset[str]:
        """Return what it can do.

        `logprobs`, `token_logprobs` and `self_certainty` fill those fields of a candidate; `seeds`: a request's seed
        decides its noise; `top_n_sigma`, `min_p`, `top_k`, `top_p`: these filters act; `first_token`: another
        temperature and top_k for it; `stop_strings`; `prefix`: it goes on from what stands in the answer
        already; `ask_tokens`: it tells the probabilities of named tokens; `confidence`: it measures that
        where it is asked to; `floor`: it gives a candidate up when its confidence falls below one; and the names of the
        plugins that it hosts.

        And one of two, whatever else is in flight: `deterministic`, the same request gives the same candidate, bit for
        bit; `near_deterministic`, the last digits may differ, and with them the tokens where two are about equally
        likely. Which of them depends on processor, threads, model and number format, and is found out by `open`: until
        then it is the weaker one. With ESamp it holds for the same requests in the same order, since the requests of a
        group depend on each other.
        """
        measured = {"logprobs", "token_logprobs", "self_certainty"}
        always = (
            {
                "seeds",
                "first_token",
                "stop_strings",
                "prefix",
                "ask_tokens",
                "confidence",
                "floor",
            }
            | measured
            | FILTERS
            | self.hosts.keys()
        )
        same_bits = self._session is not None and self._session.same_bits
        return frozenset(always | {"deterministic" if same_bits else "near_deterministic"})

    def plugin_report(self) -> PluginReport | None:
        """What the plugin did since `open`; None where none runs, or the engine is closed."""
        return None if self._session is None else self._session.guide.report()

    def check(self) -> None:
        """Raise MissingExtraError or EngineError where a package or the model's file is not there."""
        require_packages(gguf=str(locate(self.model)).endswith(".gguf"))

    def open(self) -> None:
        """Load model and tokenizer. Raises EngineError or MissingExtraError."""
        require_packages(gguf=False)
        share_cores()
        from tts.engines.transformers.session import Session

        source = resolve(self.model)
        prompts = self._prompts_of(self.chat_template_kwargs, source)
        prompts.render((Message("user", "Hi"),))  # a template that doubles the first token is refused here
        if self._esamp is not None:
            from tts.engines.transformers.taps import check_configuration

            check_configuration(load_configuration(source), self._esamp.layer)
        amateur = None
        if isinstance(self._plugin, ContrastiveSettings):
            amateur = self._amateur(self._plugin.amateur, prompts.tokenizer)
        loaded = load_model(source, prompts.tokenizer, self.device, self.dtype)
        self._session = Session.start(self, loaded, prompts, self._plugin, amateur)

    def _amateur(self, model: str, tokenizer: Any) -> Loaded:
        """Return the smaller model of contrastive decoding, made sure to read the same tokens."""
        from tts.engines.transformers.contrastive import check_vocabularies

        source = resolve(model)
        check_vocabularies(tokenizer.get_vocab(), load_tokenizer(source).get_vocab(), model)
        return load_model(source, tokenizer, self.device, self.dtype)

    def close(self) -> None:
        """Free the model and the memory of attention."""
        session, self._session, self._prompts = self._session, None, None
        if session is not None:
            session.end()

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt exactly as the model will read it, and its number of tokens. Loads the tokenizer only."""
        prompt, token_ids = self._prompts_of(self.chat_template_kwargs).render(messages)
        return prompt, len(token_ids)

    @property
    def num_free(self) -> int:
        """How many more requests fill the batch."""
        return max(0, self.batch_size - self._running.decoder.num_in_flight)

    @property
    def num_generated_tokens(self) -> int:
        """Tokens generated since `open`, unfinished requests included."""
        return self._running.decoder.num_generated_tokens

    @property
    def num_parameters(self) -> int | None:
        """How many parameters one token passes through; None while it is closed."""
        return None if self._session is None else self._session.num_parameters

    def forget(self, problem_id: str) -> None:
        """Free what was kept for a problem's later requests."""
        self._running.decoder.forget(problem_id)

    def add(self, request: Request) -> None:
        """Take one request; one that cannot be served comes back from `step` as an `error` completion."""
        self._running.decoder.add(self._running.row(request))

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        """Generate one token for every row in flight; return the completions that finished. Nothing is waited for."""
        del patience_seconds
        try:
            rows = self._running.decoder.step()
        except RuntimeError as error:  # torch's class for everything, out of memory included
            raise EngineError(f"the model cannot go on: {error}{advice(error)}") from error
        return [self._running.writer.completion(row) for row in rows]

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request; `step` returns what it has."""
        self._running.decoder.cancel(problem_id, key)

    @property
    def _running(self) -> Session:
        if self._session is None:
            raise EngineError("the engine must be open; call `open()` first")
        return self._session
