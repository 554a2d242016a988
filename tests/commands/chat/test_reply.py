"""Replies assembled from chunks, and their statistics."""

from glm3edge.commands.chat.conversation import Call
from glm3edge.commands.chat.reply import Reply, Stats
from glm3edge.commands.chat.sources.base import CallDelta, Finished, TextDelta, Usage, read_chunk
from glm3edge.commands.chat.terminal.translations import Texts


def test_a_reply_is_put_together() -> None:
    reply = Reply()
    chunk = {
        "choices": [
            {
                "delta": {
                    "content": "a",
                    "tool_calls": [
                        {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
                    ],
                }
            }
        ]
    }
    events = list(read_chunk(chunk))
    assert events == [TextDelta("a"), CallDelta(0, "c", "f", "{")]
    for event in [*events, CallDelta(0, None, None, "}"), Finished("tool_calls"), Usage(9, 4, 3)]:
        reply.feed(event)
    assert (reply.text, reply.calls) == ("a", [Call("c", "f", "{}")])
    assert list(read_chunk({"choices": [], "usage": {"prompt_tokens": 1}})) == [Usage(1, 0, 0)]
    stats = Stats()
    assert list(stats.lines(Texts("en"), 100)) == ["Nothing has been said yet."]
    stats.add(reply)
    lines = "\n".join(stats.lines(Texts("en"), 100))
    assert "9 tokens, 4 of them from the KV cache" in lines
    assert "12 of 100 tokens used (12 %)" in lines
    reply.stop()
    assert reply.calls == []
