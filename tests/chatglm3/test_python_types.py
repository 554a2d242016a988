from typing import Any

import pytest

from glm3edge.chatglm3.python_types import MAX_CHARS, schema_of

INTEGER, STRING = {"type": "integer"}, {"type": "string"}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("str", STRING),
        ("int", INTEGER),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("list", {"type": "array"}),
        ("dict", {"type": "object"}),
        ("None", {"type": "null"}),
        ("list[str]", {"type": "array", "items": STRING}),
        ("List[int]", {"type": "array", "items": INTEGER}),
        ("typing.List[typing.Any]", {"type": "array", "items": {}}),
        ("tuple[int, int]", {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 2}),
        (
            "tuple[int, str]",
            {
                "type": "array",
                "prefixItems": [INTEGER, STRING],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        ("tuple[int, ...]", {"type": "array", "items": INTEGER}),
        ("list[()]", {"type": "array"}),
        ("dict[str, int]", {"type": "object", "additionalProperties": INTEGER}),
        ("dict[str]", {"type": "object"}),
        ("Optional[str]", {"anyOf": [STRING, {"type": "null"}]}),
        ("typing.Optional[str]", {"anyOf": [STRING, {"type": "null"}]}),
        ("int | None", {"anyOf": [INTEGER, {"type": "null"}]}),
        ("Union[int, str]", {"anyOf": [INTEGER, STRING]}),
        ("Union[int]", INTEGER),
        ("Optional[Any]", {}),
        ("Literal['近', '远']", {"enum": ["近", "远"]}),
        ("Literal[b'x']", {}),
        ("Annotated[int, '页数', True]", INTEGER),
        ("'int'", INTEGER),
        (" int ", INTEGER),
        ("string", STRING),
        ("integer", INTEGER),
        ("array[integer]", {"type": "array", "items": INTEGER}),
        ("object", {"type": "object"}),
        ("Any", {}),
        ("Optional", {}),
        ("numpy.ndarray", {}),
        ("城市", {}),
        ("", {}),
    ],
)
def test_annotations(annotation: str, schema: dict[str, Any]) -> None:
    assert schema_of(annotation) == schema


@pytest.mark.parametrize(
    "annotation",
    [
        "__import__('os').getcwd()",
        "list[__import__('os')]()",
        "int; str",
        "list[",
        "int\0",
        "\ud800",
        "[" * (MAX_CHARS - 1),
        "list[" * 150 + "]" * 150,
        "-" * (MAX_CHARS - 1) + "1",
        "int" + " " * MAX_CHARS,
        "9" * 900,
        "'" * 99,
        '"\\"' * 99,
    ],
)
def test_what_is_no_annotation_means_any_value(annotation: str) -> None:
    schema = schema_of(annotation)
    assert schema == {} or set(schema) == {"type", "items"}
