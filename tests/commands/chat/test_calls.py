"""Calls as they are shown."""

from glm3edge.commands.chat.calls import pretty


def test_arguments_for_the_eye() -> None:
    assert pretty('{"city":"北京"}') == '{\n  "city": "北京"\n}'
    assert pretty('{"code":"print(1)\\nprint(2)"}') == "print(1)\nprint(2)"
    assert pretty('{"half') == '{"half'
