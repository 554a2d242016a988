"""The messages of a conversation."""

from glm3edge.commands.chat.conversation import Call, Conversation

CALL = Call("call_1", "f", '{"a": 1}')


def test_a_question_without_an_answer_gives_way() -> None:
    conversation = Conversation(system="Be brief.")
    conversation.ask("first")
    conversation.ask("second")
    conversation.add_reply("")
    conversation.add_reply("reply")
    conversation.ask("third")
    conversation.add_reply("", [CALL])
    conversation.add_result(CALL, "1")
    conversation.add_reply("done")
    roles = [message["role"] for message in conversation.all_messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "tool", "assistant"]
    assert conversation.rewind()
    assert conversation.messages[-1] == {"role": "user", "content": "third"}
    assert conversation.undo() == "third"
    assert conversation.undo() == "second"
    assert conversation.undo() is None
    assert not conversation.rewind()
