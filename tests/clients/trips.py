"""A shape for structured replies: names that are no ASCII, an enumeration, limits, a null."""

from typing import Literal

from pydantic import BaseModel, Field


class Trip(BaseModel):
    """A trip."""

    城市: Literal["北京", "上海"]  # noqa: PLC2401
    days: int = Field(ge=1, le=9)
    by: Literal["火车", "飞机"] | None
