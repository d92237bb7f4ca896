"""Server-sent events: however the bytes are cut, the same events come."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts.engines.openai.events import Events, NotJSONError

TRICKY = 'für 🙂 ½ a\u2028b\x85c\u2029d\x0be "q" \\n'
STREAM = (
    f"data: {json.dumps({'t': TRICKY}, ensure_ascii=False)}\n\n"
    ": a comment\r\n\r\n"
    f"event: x\r\ndata:{json.dumps({'t': 2})}\r\n\r\n"
    'id: 7\nretry: 100\n\ndata: {"t": "\\ud83d"}\n\n'
    "data: [DONE]\n\n"
    'data: {"t": NaN}'
).encode()


def read(pieces):
    events = Events()
    return [event for piece in pieces for event in events.take(piece)] + events.end()


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_any_cutting_of_the_bytes_gives_the_same_events(cuts):
    places = [0, *sorted(cuts), len(STREAM)]
    got = read([STREAM[start:end] for start, end in itertools.pairwise(places)])
    assert [one["t"] for one in got[:3]] == [TRICKY, 2, "\ud83d"]
    assert len(got) == 4


@given(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5), st.integers(1, 9))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_whatever_the_events_hold_they_come_back(sent, size):
    stream = b"".join(b"data: " + json.dumps(one, ensure_ascii=False).encode() + b"\r\n\r\n" for one in sent)
    assert read([stream[at : at + size] for at in range(0, len(stream), size)]) == sent


def test_what_is_no_json_is_said_and_not_passed_over():
    with pytest.raises(NotJSONError, match="something else than JSON"):
        Events().take(b"data: {oops\n\n")
