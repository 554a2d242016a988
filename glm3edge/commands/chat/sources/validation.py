"""What pydantic says of data that somebody wrote, in one line."""

from pydantic import ValidationError


def first_fault(exc: ValidationError) -> str:
    """The first thing that is wrong, and where: ``messages[1].role: Input should be ...``."""
    first = exc.errors(include_url=False, include_input=False)[0]
    where = ""
    for part in first["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        elif not part.startswith("<"):  # a tag that names the branch of a union
            where += f".{part}" if where else part
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
