"""Messages in OpenAI's form."""

Message = dict[str, str]


def exchange(user: str, reply: str) -> list[Message]:
    """A user's message and the assistant's reply."""
    return [{"role": "user", "content": user}, {"role": "assistant", "content": reply}]
