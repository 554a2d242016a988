"""Limits of what one request may cost, before it is accepted or refused.

Here are those of its text, its values and its schemas; docs/security.md lists them all. Each is
enforced in one place, which its description names.
"""

MAX_BODY_BYTES = 16 * 2**20
"""Of a body, unless ``--max-body`` says otherwise; ``server.middleware.body_limit``."""

MAX_DEPTH = 100
"""Levels of nested arrays and objects: far more than any schema has, far fewer than the recursion
limits of Python and llguidance; ``server.middleware.body_limit``."""

MAX_COUNTS = {
    "values and keys": (b"[{,:", 600_000),
    "keys": (b":", 2**17),
    "arrays and objects": (b"[{", 2**14),
    "digits in numbers": (b"0123456789", 2**23),
}
"""What a body has outside of strings, by name: the bytes that are counted, and how many;
``server.middleware.body_limit``.

They allow embeddings of half a million token ids, where OpenAI takes 300,000, a bias for every
token, and more messages, parts and tools than a context holds.
"""

MAX_PREPARED = 4
"""Requests that are parsed or prepared at the same time; ``server.threads``."""

MAX_TEXT_BYTES = 3 * 2**20
"""Text that is tokenized for one request, in UTF-8. The dearest text, spaces only, takes 2 s;
``serving.text_limits``."""

MAX_LEAST_TOKENS = 2**18
"""Tokens that a text has at least. llama.cpp's time grows with the square of those that are single
bytes: 0.6 s at this limit; ``serving.text_limits``."""

MAX_TEXTS = 2048
"""Texts that a request may have, as in OpenAI's API; and texts times choices of each;
``schema`` and ``serving.completions``."""

MAX_ARGUMENT_CHARS = 256 * 1024
"""Of a call's arguments. Longer ones are not parsed; ``chatglm3.tools``."""

MAX_SCHEMA_CHARS = 2**17
"""Of a schema that llguidance reads itself: a second to compile, as the square of the length;
``chatglm3.grammar``."""

MAX_GRAMMAR_CHARS = 2**20
"""Of the grammars of a request's calls: a second to compile. References to one place under many
names can make them much longer than the schemas; ``chatglm3.grammar_rules``. A request may have a
grammar of twice as many; ``schema.completions``."""

MAX_RULE_DEPTH = 1000
"""Rules of a request's own grammar of which each refers to the next: llguidance's stack overflows
at some 2,500; ``serving.completions``."""

MAX_GRAMMAR_SYMBOLS = 25_000
"""Names and texts of a request's own grammar: 1.6 s to compile at the worst;
``serving.completions``."""

MAX_OPTIONAL = 2000
"""Optional properties of an object: llguidance gives up in mid-reply where too many could come
next; ``chatglm3.json_schema``."""

MAX_PATTERN_COST = 10_000
"""Characters and classes of a pattern, with its repetitions written out. A step of llguidance's
takes up to 30 ms then, and fails where there are 100 times more; ``chatglm3.enforceable``."""

MAX_JOINED_PATTERNS = 8
"""Patterns and formats in what ``allOf`` or a reference joins: the time to find out whether all can
hold doubles with each, to 0.4 s at 12; ``chatglm3.enforceable``."""

MAX_MULTIPLE = 10_000
"""Sum of a schema's ``multipleOf``, without their decimal points: llguidance's automaton has as
many states; ``chatglm3.enforceable``."""

MAX_COMPILE_SECONDS = 2
"""Time to look for what can be enforced of a request's schemas; ``chatglm3.enforceable``."""
