"""Shapes for structured replies: a name that is no ASCII, enumerations, limits, null, a union."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Trip(BaseModel):
    """A trip."""

    城市: Literal["北京", "上海"]  # noqa: PLC2401
    days: int = Field(ge=1, le=9)
    by: Literal["火车", "飞机"] | None


class Train(BaseModel):
    """By train."""

    by: Literal["火车"]
    seat: Literal["一等座", "二等座"]


class Flight(BaseModel):
    """By plane."""

    by: Literal["飞机"]
    window: bool


class Booking(BaseModel):
    """A trip by either, told apart by a field: ``oneOf`` in its schema."""

    way: Annotated[Train | Flight, Field(discriminator="by")]
