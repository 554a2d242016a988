"""Python functions as tools: ``module:function`` or ``path/to/file.py:function``.

The schema is made from signature and docstring, with pydantic and docstring_parser:

    def weather(city: Annotated[str, "in Chinese or English"], days: int = 1) -> dict[str, Any]:
        \"\"\"The weather forecast of a city.

        Args:
            days: how many, from today on.
        \"\"\"
"""

import asyncio
import functools
import importlib
import importlib.util
import inspect
import json
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import docstring_parser
import pydantic
import pydantic_core
from pydantic import BaseModel, ConfigDict, Field

from glm3edge.errors import ConfigError
from glm3edge.schema.chat import INTERPRETER
from glm3edge.tools.errors import ToolError
from glm3edge.tools.schemas import plain_schema
from glm3edge.tools.tool import Tool

SECONDS = 60.0
"""Timeout of a call."""

Function = Callable[..., Any]
_JSON_DEFAULTS = (str, int, float, bool, type(None), Enum)


def function_tool(spec: str, *, seconds: float = SECONDS) -> Tool:
    """Load the function that ``spec`` names, as a tool.

    Raises:
        ConfigError: there is no such function, or its signature cannot be described.
    """
    function = _load(spec)
    name = getattr(function, "__name__", spec.rpartition(":")[2].rpartition(".")[2])
    if name == INTERPRETER:
        raise ConfigError(f"--tool {spec}: {INTERPRETER} is the name of the code interpreter")
    docs = docstring_parser.parse(inspect.getdoc(function) or "")
    model = _model_of(spec, function, docs)
    description = "\n\n".join(filter(None, (docs.short_description, docs.long_description)))
    run = functools.partial(_call, function, model, seconds)
    return Tool(name, description, _schema_of(spec, model), run)


def _load(spec: str) -> Function:
    place, _, path = spec.rpartition(":")
    if not place or not path:
        raise ConfigError(f"--tool {spec}: name it as module:function or path/to/file.py:function")
    found: Any = _module(spec, place)
    for name in path.split("."):
        if not hasattr(found, name):
            known = ", ".join(_function_names(found)) or "none"
            raise ConfigError(f"--tool {spec}: {place} has no {path}; its functions: {known}")
        found = getattr(found, name)
    if not callable(found) or inspect.isclass(found):
        raise ConfigError(f"--tool {spec}: {path} is not a function")
    return typing.cast("Function", found)


def _function_names(module: object) -> Iterator[str]:
    """Names of the public functions that a module defines; imported ones are left out."""
    own = getattr(module, "__name__", None)
    for name, value in getattr(module, "__dict__", {}).items():
        if inspect.isfunction(value) and value.__module__ == own and not name.startswith("_"):
            yield name


def _module(spec: str, place: str) -> types.ModuleType:
    """Import by name, also from the working folder, or from a file, as ``python file`` would."""
    file = Path(place)
    is_file = file.suffix == ".py"
    if is_file and not file.is_file():
        raise ConfigError(f"--tool {spec}: there is no file {place}")
    folder = str(file.resolve().parent if is_file else Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return _run_file(file) if is_file else importlib.import_module(place)
    except (Exception, SystemExit) as exc:
        reason = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
        raise ConfigError(f"--tool {spec}: importing {place} failed: {reason}") from exc


def _run_file(file: Path) -> types.ModuleType:
    name = f"glm3edge_tool_{file.stem}"
    module_spec = importlib.util.spec_from_file_location(name, file)
    if module_spec is None or module_spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module  # annotations are looked up there
    module_spec.loader.exec_module(module)
    return module


def _model_of(spec: str, function: Function, docs: docstring_parser.Docstring) -> type[BaseModel]:
    """Pydantic model with a field for each parameter.

    The parameter's name is the field's alias, since a parameter may have a name that a field may
    not, such as ``_x`` or ``model_config``.
    """
    described = {param.arg_name: param.description for param in docs.params}
    fields: dict[str, Any] = {}
    for index, parameter in enumerate(_parameters(spec, function)):
        description = _annotated_text(parameter.annotation) or described.get(parameter.name)
        options = {"alias": parameter.name} | _default(parameter.default)
        if description is not None:  # else pydantic takes it from the annotation
            options["description"] = description
        annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
        fields[f"p{index}"] = (annotation, Field(**options))
    try:
        return pydantic.create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
    except pydantic.errors.PydanticUserError as exc:
        raise ConfigError(f"--tool {spec}: its parameters have no schema: {_line(exc)}") from exc


def _parameters(spec: str, function: Function) -> Iterator[inspect.Parameter]:
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except Exception as exc:
        raise ConfigError(f"--tool {spec}: its signature cannot be read: {exc}") from exc
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            text = f"{parameter} has no fixed names, and a call names its arguments"
            raise ConfigError(f"--tool {spec}: {text}")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            text = f"{parameter.name} cannot be given by name, and a call names its arguments"
            raise ConfigError(f"--tool {spec}: {text}")
        yield parameter


def _annotated_text(annotation: object) -> str | None:
    """Text of ``Annotated[str, "a city"]``; pydantic reads ``Field(description=...)`` itself."""
    if typing.get_origin(annotation) is not Annotated:
        return None
    texts = (note for note in typing.get_args(annotation)[1:] if isinstance(note, str))
    return next(texts, None)


def _default(default: object) -> dict[str, Any]:
    """Field options for a default; one that JSON cannot express is left out of the schema, and the
    function applies it itself."""
    if default is inspect.Parameter.empty:
        return {}
    if isinstance(default, _JSON_DEFAULTS):
        return {"default": default}
    return {"default_factory": lambda: default}


def _schema_of(spec: str, model: type[BaseModel]) -> dict[str, Any]:
    try:
        schema = model.model_json_schema()
    except pydantic.errors.PydanticUserError as exc:
        raise ConfigError(f"--tool {spec}: its parameters have no schema: {_line(exc)}") from exc
    return plain_schema(schema)


async def _call(
    function: Function, model: type[BaseModel], seconds: float, arguments: dict[str, Any]
) -> str:
    """Check the arguments, run the function, and convert the result to text."""
    values = _checked(model, arguments)
    try:
        result = await asyncio.wait_for(_run(function, values), seconds)
    except asyncio.TimeoutError as exc:
        raise ToolError(f"it took longer than {seconds:g} s") from exc
    except Exception as exc:
        raise ToolError(f"{type(exc).__name__}: {exc}") from exc
    return _text_of(result)


def _checked(model: type[BaseModel], arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        checked = model.model_validate(arguments)
    except pydantic.ValidationError as exc:
        faults = (
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
            for error in exc.errors(include_url=False, include_context=False)
        )
        raise ToolError("; ".join(faults)) from exc
    return {
        field.alias or name: getattr(checked, name)
        for name, field in model.model_fields.items()
        if name in checked.model_fields_set
    }


async def _run(function: Function, values: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(**values)
    result = await _in_thread(functools.partial(function, **values))
    return await result if inspect.isawaitable(result) else result


async def _in_thread(function: Callable[[], Any]) -> Any:
    """Run in a daemon thread, since a call that hangs must not keep the chat from ending, as it
    would in asyncio's own pool."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def set_result(result: Any, exc: BaseException | None) -> None:
        if done.done():
            return
        if exc is None:
            done.set_result(result)
        else:
            done.set_exception(exc)

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as exc:  # raised where the call is awaited
            # Futures take no StopIteration, and sys.exit() in a tool must not end the chat.
            is_plain = isinstance(exc, Exception) and not isinstance(exc, StopIteration)
            error = exc if is_plain else RuntimeError(repr(exc))
        if not loop.is_closed():
            loop.call_soon_threadsafe(set_result, result, error)

    threading.Thread(target=work, name="tool", daemon=True).start()
    return await done


def _text_of(result: Any) -> str:
    if isinstance(result, str):
        return result
    try:
        plain = pydantic_core.to_jsonable_python(result, fallback=str)
    except (ValueError, pydantic_core.PydanticSerializationError) as exc:
        raise ToolError(f"its result is neither text nor JSON: {exc}") from exc
    return json.dumps(plain, ensure_ascii=False)


def _line(exc: Exception) -> str:
    return str(exc).strip().partition("\n")[0]
