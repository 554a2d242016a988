"""Types of token ids in requests."""

from typing import Annotated

from pydantic import Field

TokenId = Annotated[int, Field(ge=0)]
TokenIds = Annotated[list[TokenId], Field(min_length=1)]
TokenIdText = Annotated[str, Field(pattern=r"^\d{1,9}$")]
