"""Tools written as text."""

from pathlib import Path

import pytest

from recipe import catalogue
from recipe.catalogue import read_concepts
from recipe.concept import Both, Param

TOOL = """
tool: get_weather weatherNow
zh: 查询天气
en: Get the weather
param: city place | city | 城市 | the city
param: unit | enum | 单位 | the unit | c=摄氏度=Celsius | f=华氏度=Fahrenheit
param: alerts | bool | 预警 | alerts | true=要预警=with alerts | false=不要=without
ask-zh: {city}天气
ask-en: Weather in {city} in {unit}, {alerts}
result: temperature=int:-10:35 ; sky=sunny,rainy
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(catalogue, "_FOLDER", tmp_path)
    return tmp_path


def test_comments_and_single_words(folder: Path) -> None:
    text = "# Weather\n\n" + TOOL.replace("sky=sunny,rainy", "sky=sunny,")
    (folder / "some.txt").write_text(text, encoding="utf-8")
    (tool,) = read_concepts("some")
    assert tool.results == ({"temperature": "int:-10:35", "sky": ("sunny",)},)


def test_a_tool(folder: Path) -> None:
    (folder / "some.txt").write_text(TOOL + "\n\n" + TOOL, encoding="utf-8")
    tool, again = read_concepts("some")
    assert tool == again
    assert tool.names == ("get_weather", "weatherNow")
    assert tool.descriptions == (Both("查询天气", "Get the weather"),)
    assert tool.params == (
        Param(("city", "place"), "city", Both("城市", "the city")),
        Param(
            ("unit",),
            "enum",
            Both("单位", "the unit"),
            {"c": Both("摄氏度", "Celsius"), "f": Both("华氏度", "Fahrenheit")},
        ),
        Param(
            ("alerts",),
            "bool",
            Both("预警", "alerts"),
            {True: Both("要预警", "with alerts"), False: Both("不要", "without")},
        ),
    )
    assert tool.asks_zh == ("{city}天气",)
    assert tool.results == ({"temperature": "int:-10:35", "sky": ("sunny", "rainy")},)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tool: get", "tools: get", "what is 'tools: get_weather"),
        ("zh: 查询天气\n", "", "as many descriptions in each language"),
        ("ask-zh: {city}天气\n", "", "are missing"),
        ("{city}天气", "{town}天气", "no parameter is named town"),
        ("| city |", "| village |", "there is no kind 'village'"),
        ("| city | 城市 | the city", "| city", "a parameter is NAMES"),
        ("| the city", "| the city | a=b=c", "others have none"),
        ("c=摄氏度=Celsius", "c=摄氏度", "an option is VALUE=CHINESE=ENGLISH"),
        ("int:-10:35", "int:low:high", "there is no kind 'int:low:high'"),
        ("sky=sunny,rainy", "sky=bool", "'sky' can be is said in words"),
    ],
)
def test_what_is_no_tool(folder: Path, old: str, new: str, message: str) -> None:
    assert old in TOOL
    (folder / "some.txt").write_text(TOOL.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=r"some.txt, the tool of line 2: ") as caught:
        read_concepts("some")
    assert message in str(caught.value)
