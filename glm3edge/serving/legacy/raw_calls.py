"""Calls in the text of a message, as ChatGLM3 writes them.

The official server passes on the model's own text: its replies have a call as ``function_call``
and, in the content, also as

    prose<|assistant|>get_weather
    ```python
    tool_call(city='北京')
    ```

Its streaming client sends that text back as the assistant's message and nothing else.
"""

from glm3edge.chatglm3.tools import call_text, parse_call

_SEPARATOR = "<|assistant|>"


def raw_call(name: str, arguments: str, *, after_prose: bool) -> str:
    """Text that a call adds to the content; empty where its ``arguments`` are cut short."""
    try:
        call = f"{name}\n{call_text(name, arguments)}"
    except ValueError:
        return ""
    return _SEPARATOR + call if after_prose else call


def split_raw_call(text: str, name: str) -> tuple[str, str] | None:
    """Prose and arguments of a ``text`` that ends in a call of ``name``; None for other texts."""
    prose, _, last = text.rpartition(_SEPARATOR)
    line, _, content = last.strip().partition("\n")
    if line.strip() != name:
        return None
    try:
        return prose.strip(), parse_call(name, content)
    except ValueError:
        return None
