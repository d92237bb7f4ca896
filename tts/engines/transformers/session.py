"""What lives between `open` and `close`: the model, its decoder, and the limits that follow from memory."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from tts.engines.asked import AskedIds
from tts.engines.confidence import measured, refusal_of
from tts.engines.prompts import Prompts
from tts.engines.text import Detokenizer
from tts.engines.transformers.beam import BeamGuide
from tts.engines.transformers.contrastive import Contrastive
from tts.engines.transformers.decoder import Decoder
from tts.engines.transformers.esamp import ESampGuide
from tts.engines.transformers.guide import Guide, Unguided
from tts.engines.transformers.keys import TransformersKeys
from tts.engines.transformers.kv_cache import Chunks, KVBudget
from tts.engines.transformers.loading import Loaded
from tts.engines.transformers.override import OverrideGuide
from tts.engines.transformers.row import CompletionWriter, Ending, Row
from tts.engines.transformers.sampling import noise_source
from tts.engines.transformers.self_check import check_decoding, has_same_bits
from tts.engines.transformers.skinny_linear import settle
from tts.errors import EngineError
from tts.plugins.beam.settings import BeamSettings
from tts.plugins.contrastive.settings import ContrastiveSettings
from tts.plugins.esamp.settings import ESampSettings
from tts.plugins.override.settings import OverrideSettings
from tts.plugins.settings import PluginSettings
from tts.types import ConfidenceFloor, Request

MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Session:
    """An open engine. `context` is how many tokens prompt and completion may have together.

    `same_bits`: whether a row's logits are the same, bit for bit, whatever else is decoded. `floor`: how the confidence
    of requests without a floor of their own is measured, if it is.
    """

    prompts: Prompts
    guide: Guide
    decoder: Decoder
    writer: CompletionWriter
    context: int
    same_bits: bool
    num_parameters: int | None
    threads_before: int
    floor: ConfidenceFloor | None

    @classmethod
    def start(
        cls,
        keys: TransformersKeys,
        loaded: Loaded,
        prompts: Prompts,
        plugin: PluginSettings | None = None,
        amateur: Loaded | None = None,
    ) -> Session:
        """Build from the recipe's keys and a loaded model; `plugin` None: none runs; `amateur`: what that one reads by.

        Raises EngineError where the memory bound is too tight.
        """
        models = [loaded] if amateur is None else [loaded, amateur]
        loaded = replace(loaded, vocabulary=min(one.vocabulary for one in models))
        layers = [layer for one in models for layer in one.layers]
        budget = KVBudget.of(keys.kv_cache_mb * MEGABYTE, keys.batch_size, layers)
        allowed = min(one.context for one in models)
        context = pick_context(keys.max_model_len, allowed, budget.tokens_per_row(1), keys.kv_cache_mb)
        tags = keys.thinking_tags
        ending = Ending(Detokenizer.of(prompts.tokenizer, tags), end_token_ids(loaded.model, prompts.tokenizer))
        threads_before = torch.get_num_threads()
        if keys.num_threads is not None:
            torch.set_num_threads(keys.num_threads)
        try:
            for one in models:
                check_decoding(one.model, one.layers)
                settle(one.model, budget.sizes(context - 1))
            same_bits = all(has_same_bits(one.model, one.layers, budget, context) for one in models)
            guide = guide_of(plugin, loaded, amateur, budget, ending)  # last: its hooks stay in the model
        except BaseException:
            torch.set_num_threads(threads_before)
            raise
        return cls(
            prompts=prompts,
            guide=guide,
            decoder=Decoder(loaded, budget, ending.apply, guide),
            writer=CompletionWriter(ending, tags, keys.record_token_logprobs),
            context=context,
            same_bits=same_bits,
            num_parameters=sum_of_known(one.num_parameters for one in models),
            threads_before=threads_before,
            floor=measured(keys.measured_window),
        )

    def end(self) -> None:
        """Give threads and memory back. The session must not be used afterwards."""
        torch.set_num_threads(self.threads_before)
        self.decoder.release()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def row(self, request: Request) -> Row:
        """Return the row of `request`; one that cannot be served is finished already, with an error."""
        prompt, chunks, asked_ids = "", Chunks(), tuple[AskedIds, ...]()
        try:
            prompt, prompt_ids = self.prompts.render(request.messages)
            asked_ids = self.prompts.asked_ids(request)
        except EngineError as error:
            refusal = str(error)
        else:
            chunks = self.prompts.chunks(prompt_ids, request.prefix)
            refusal = self._refusal(request, len(prompt_ids))
        floor = request.decoding.floor or self.floor
        row = Row(request, prompt, chunks, self.context, noise_source(request.seed), asked_ids, floor)
        if refusal:
            row.finish("error", refusal)
        elif row.num_read >= self.context:  # what stands there already fills the context
            row.finish("length")
        return row

    def _refusal(self, request: Request, num_prompt_tokens: int) -> str:
        if num_prompt_tokens >= self.context:
            return (
                f"the prompt must be shorter than the context of {self.context} tokens, got {num_prompt_tokens}; "
                "raise `max_model_len` or `kv_cache_mb` if the model allows more"
            )
        if request.decoding.max_tokens < 1:
            return f"`max_tokens` must be at least 1, got {request.decoding.max_tokens}"
        if "" in request.decoding.stop:
            return "`stop` must hold no empty string, got one"
        if request.guidance is not None and type(self.guide) is Unguided:
            return "`guidance` must be None where no plugin runs; call the engine's `host` before `open`"
        return refusal_of(request.decoding.floor) or ""


def guide_of(
    plugin: PluginSettings | None, loaded: Loaded, amateur: Loaded | None, budget: KVBudget, ending: Ending
) -> Guide:
    """Return who guides the rows. Raises EngineError where the model does not suit the plugin."""
    match plugin:
        case ESampSettings():
            return ESampGuide(plugin, loaded.model, loaded.vocabulary, budget.batch_size)
        case BeamSettings():
            return BeamGuide(plugin, ending, budget.rows_for)
        case ContrastiveSettings():
            assert amateur is not None
            return Contrastive(plugin, amateur, loaded.vocabulary, budget)
        case OverrideSettings():
            return OverrideGuide(plugin, loaded.model, loaded.vocabulary, budget.batch_size)
    return Unguided()


def sum_of_known(numbers: Iterable[int | None]) -> int | None:
    """Return the sum; None where one of the numbers is not known."""
    found = list(numbers)
    return None if None in found else sum(number for number in found if number is not None)


def pick_context(wanted: int | None, allowed: int, held: int, kv_cache_mb: int) -> int:
    """Return the tokens that prompt and completion may have together: what is wanted, else as many as can be held.

    `allowed` is the model's own limit; `held` is how many the memory bound holds for one row (the last token of a
    completion is never kept).
    """
    if wanted is not None and wanted > allowed:
        raise EngineError(f"`max_model_len` must be at most {allowed}, which is what the model allows, got {wanted}")
    if held == 0 or (wanted is not None and held + 1 < wanted):
        raise EngineError(
            f"`kv_cache_mb` must hold at least one row of {wanted or 'a few'} tokens, got {kv_cache_mb}, which holds "
            f"{held}; raise it or lower `max_model_len`"
        )
    return wanted or min(allowed, held + 1)


def end_token_ids(model: object, tokenizer: object) -> frozenset[int]:
    """Return every end token that the model's configurations and its tokenizer name."""
    sources = (getattr(model, "generation_config", None), getattr(model, "config", None), tokenizer)
    named: set[int] = set()
    for source in sources:
        value = getattr(source, "eos_token_id", None)
        named.update(value if isinstance(value, list | tuple) else [] if value is None else [value])
    return frozenset(named)
