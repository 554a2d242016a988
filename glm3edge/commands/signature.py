"""Commands whose options are the fields of a dataclass.

    @dataclass(frozen=True, kw_only=True)
    class CountOptions(LogLevelOptions):
        file: Annotated[Path, typer.Argument(help="File to count.")]
        words: Annotated[bool, typer.Option("--words", help="Count words.")] = False

    @takes(CountOptions)
    def count_command(options: CountOptions) -> None:
        \"\"\"Count what is in a file.\"\"\"

``--help`` has the class's own fields first, then those of its bases, each base under its heading.
"""

import inspect
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints

from typer.models import ParameterInfo

if TYPE_CHECKING:
    from glm3edge.config.settings import Settings

T = TypeVar("T", bound="Options")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of a command's options: a dataclass whose fields are annotated for Typer.

    Attributes:
        heading: of the section of ``--help`` with the fields that a class itself declares.
    """

    heading: ClassVar[str | None] = None

    def __init_subclass__(cls, *, heading: str | None = None) -> None:
        cls.heading = heading

    def settings(self, **others: object) -> "Settings":
        """Settings from the fields that have a setting's name, over variables and the file.

        Args:
            others: settings that no field stands for.

        Raises:
            ConfigError: a setting has a value that it cannot have.
        """
        # pydantic takes long to import.
        from glm3edge.config.settings import Settings, load_settings  # noqa: PLC0415

        given = {
            name: value
            for name, value in vars(self).items()
            if name in Settings.model_fields and value != []
        }
        return load_settings(**given, **others)


def takes(options: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Decorator that makes a function of ``options`` a command of their fields, for Typer."""

    def decorate(run: Callable[[T], None]) -> Callable[..., None]:
        @wraps(run)
        def command(**values: Any) -> None:
            run(options(**values))

        command.__signature__ = inspect.Signature(list(_parameters(options)))  # type: ignore[attr-defined]
        return command

    return decorate


def _parameters(options: type[Options]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(options, include_extras=True)
    by_name = {field.name: field for field in fields(options)}
    for group in options.__mro__:
        for name in inspect.get_annotations(group):
            if (field := by_name.pop(name, None)) is not None:
                yield inspect.Parameter(
                    name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=inspect.Parameter.empty if field.default is MISSING else field.default,
                    annotation=_under(group.__dict__.get("heading"), hints[name]),
                )


def _under(heading: str | None, hint: Any) -> Any:
    """``hint``, with its option under ``heading``."""
    value_type, *metadata = get_args(hint)
    info = next(copy(item) for item in metadata if isinstance(item, ParameterInfo))
    info.rich_help_panel = heading
    return Annotated[value_type, info]
