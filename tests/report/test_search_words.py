"""What is said of a search's cost."""

from __future__ import annotations

from tts.report.search import costs
from tts.runs.search_tree import CallSeen, Reply, search_tree


def test_what_a_cache_had_of_what_was_read_is_told_where_there_was_any() -> None:
    calls = [
        CallSeen("p", "0", completion=Reply(20, 3)),
        CallSeen("p", "1", after="0", completion=Reply(23, 4, num_cached_tokens=16)),
        CallSeen("p", "0/1", "sampler.reward", after="0", rewards=Reply(9, 0)),
    ]
    assert list(costs(search_tree(calls, []))) == [
        "engine: 2 calls, 7 tokens written, 43 read, 16 of them from a cache",
        "sampler.reward: 1 call, 0 tokens written, 9 read",
    ]
