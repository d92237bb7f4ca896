"""The engine itself: requests in, completions out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import PrivateAttr

from tts.engines.openai.client import RefusedError
from tts.engines.openai.keys import OpenAIKeys
from tts.engines.openai.probes import MAY_BE, MOST_READ, MOST_WRITTEN, check_choices
from tts.engines.openai.session import Session
from tts.errors import EngineError, NotHereError
from tts.plugins.esamp.settings import ESampSettings
from tts.types import Completion, Message, Plugin, PluginReport, Request, Spent


class NotToldError(EngineError, NotHereError):
    """Only the server could tell, and it is not asked, or does not."""


class OpenAIEngine(OpenAIKeys):
    """Asks a server that speaks OpenAI's protocol: a model behind a URL, vLLM's server, SGLang, llama.cpp, Ollama.

    What the server honours is found by seeing it act when the engine is opened, which costs some hundred tokens; what
    is not seen is not claimed. Log-probabilities are the raw model's, where they are known. Text is the same as from an
    engine in this process only as far as the server computes the same.
    """

    _session: Session | None = PrivateAttr(default=None)
    _esamp: ESampSettings | None = PrivateAttr(default=None)
    _may: Callable[[str, str], bool] | None = PrivateAttr(default=None)

    def capabilities(self) -> frozenset[str]:
        """Return what it can do: before `open` all that some server can, then what this one was seen to.

        `logprobs`, `token_logprobs`: its completions have them; `seeds`: a request's seed acts; `top_p`, `top_k`,
        `min_p`: these filters act; `stop_strings`: it is told which one ended a text; `prefix`: it goes on from what
        stands in the answer already; `ask_tokens`: it tells the probabilities of named tokens; `esamp`, `top_n_sigma`,
        `first_token`: our plugin is in the server.
        """
        known = MAY_BE if self._session is None else self._session.found.capabilities
        return known | {"token_logprobs"} if self.record_token_logprobs and "logprobs" in known else known

    def found(self) -> Mapping[str, str]:
        """Return what was tried of the server and what was seen, a sentence each; empty while it is closed."""
        return {} if self._session is None else dict(self._session.found.told)

    @property
    def opening(self) -> Spent:
        """What opening took; while it is closed, what it takes at most."""
        if self._session is None:
            number = len(self.base_urls)
            return Spent(number, number * MOST_READ, number * MOST_WRITTEN)
        found = self._session.found
        return Spent(1, found.num_read, found.num_written)

    def ask_before_sending_again(self, may: Callable[[str, str], bool]) -> None:
        """Ask `may` before a call that may have cost something is sent anew."""
        self._may = may

    def host(self, plugin: Plugin) -> None:
        """Let no more problems be guided at once than the server's plugin has distillers for, from `open` on.

        Which settings the server was started with (`tts serve-args`) it does not tell. Raises EngineError for another
        plugin than ESamp.
        """
        if plugin.name != "esamp":
            raise EngineError(f"the plugin must be esamp, the only one that a server can host, got {plugin.name!r}")
        self._esamp = ESampSettings.from_dict(plugin.settings, "sampler")

    def plugin_report(self) -> PluginReport | None:
        """Return None: the server does not tell what its plugin did."""
        return None

    def open(self) -> None:
        """See what the server can do. Raises EngineError where it does not answer, or does not know the model."""
        self.check()
        self.close()
        session = Session(self, self._may, self._esamp)
        try:
            session.probe()
            check_choices(self, session.found)
        except BaseException:
            session.end()
            raise
        self._session = session

    def close(self) -> None:
        """Cancel what is on its way and close the connections."""
        session, self._session = self._session, None
        if session is not None:
            session.end()

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt as the server renders it, and its tokens; a closed engine asks for that alone.

        Raises NotToldError where the server does not tell: that is vLLM's alone.
        """
        session = self._session or self._for_one_question()
        try:
            return session.render(messages)
        except (EngineError, RefusedError) as error:
            raise NotToldError(f"the server renders the prompt itself and does not tell it: {error}") from error
        finally:
            if session is not self._session:
                session.end()

    def _for_one_question(self) -> Session:
        try:
            self.check()
            return Session(self.model_copy(update={"max_tries": 1}))
        except EngineError as error:
            raise NotToldError(str(error)) from error

    @property
    def num_parameters(self) -> int | None:
        """None: a server does not say."""
        return None

    @property
    def num_free(self) -> int:
        """How many more requests may be on their way."""
        return self._opened.num_free

    @property
    def num_generated_tokens(self) -> int:
        """Tokens written since `open`; those of unfinished answers as far as they came."""
        return self._opened.num_tokens

    def add(self, request: Request) -> None:
        """Take one request; one that cannot be served comes back from `step` as an `error` completion."""
        self._opened.add(request)

    def step(self, patience_seconds: float = 0.1) -> list[Completion]:
        """Return what came, and wait for the first at most that long. Raises EngineError where no request can go on."""
        return self._opened.step(patience_seconds)

    def cancel(self, problem_id: str, key: str) -> None:
        """Stop one request: its stream is closed; `step` returns what it has."""
        self._opened.cancel(problem_id, key)

    def forget(self, problem_id: str) -> None:
        """Let go of what was kept for a problem."""
        self._opened.forget(problem_id)

    @property
    def _opened(self) -> Session:
        if self._session is None:
            raise EngineError("the engine must be open; call `open()` first")
        return self._session
