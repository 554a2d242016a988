"""Functions for the tests, as a user could write them."""

import asyncio
import dataclasses
import time
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import Field


class Unit(Enum):
    """A unit."""

    CELSIUS = "c"
    FAHRENHEIT = "f"


@dataclasses.dataclass
class Place:
    """A place.

    Attributes:
        name: of it.
    """

    name: str
    height: float = 0.0


def weather(
    city: Annotated[str, "城市名"],
    days: int = 1,
    unit: Unit = Unit.CELSIUS,
    kinds: list[Literal["rain", "wind"]] | None = None,
) -> dict[str, Any]:
    """查询天气。

    Longer words.

    Args:
        city: not this, but the annotation.
        days: how many days.
        kinds: what to look for.
    """
    return {"城市": city, "days": days, "unit": unit, "kinds": kinds}


async def slow(seconds: float) -> str:
    """Wait."""
    await asyncio.sleep(seconds)
    return f"{seconds} s"


def blocking(seconds: float) -> str:
    """Wait in a thread."""
    time.sleep(seconds)
    return "late"


def odd(  # type: ignore[no-untyped-def]
    _x: int,
    model_config: dict[str, int],
    place: Place,
    ratio: Annotated[float, Field(description="of one", gt=0)],
    free=None,
    default: object = object(),
) -> list[Any]:
    return [_x, model_config, place, ratio, free, type(default).__name__]


def get_weather(city: str) -> str:
    """Get the current weather in a city

    Args:
        city: The name of the city
    """
    return f"{city}: sunny, 21 degrees"


def echo(text: str) -> str:
    """Say it again."""
    return text


def complain(text: str) -> str:
    """Fail with it."""
    raise ValueError(text)


def fails() -> None:
    raise KeyError("北京")


def ends() -> None:
    raise SystemExit(3)


def stops() -> None:
    raise StopIteration


def nothing() -> None:
    """Nothing."""


def many(*cities: str) -> str:
    return "".join(cities)


def more(**options: str) -> str:
    return "".join(options)


def by_place(a: int, /) -> int:
    return a


def strange(a: asyncio.Lock) -> None:
    """No JSON is a lock."""


def wrong(a: "NoSuchType") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Its annotation leads nowhere."""


def interpreter(code: str) -> str:
    return code


class Shop:
    """A class."""

    @staticmethod
    def price(name: str) -> float:
        """The price."""
        return float(len(name))


not_callable = 3
