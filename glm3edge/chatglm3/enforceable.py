"""JSON schemas without what llguidance cannot enforce: see its ``docs/json_schema.md``."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar

from glm3edge import limits
from glm3edge.chatglm3.json_schema import (
    TEXT_FORMS,
    bound_integers,
    close_objects,
    joined,
    multiple_digits,
    pattern_cost,
    required_names,
    resolve,
    subschemas,
)
from glm3edge.chatglm3.reference_check import ReferenceCheck
from glm3edge.errors import GrammarError, InvalidRequestError, excerpt

_Made = TypeVar("_Made")

APPLICATORS = frozenset({"$ref", "allOf", "anyOf", "oneOf", "enum", "const"})
_COUNTS = {
    *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
}
_FORMS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "enum", "prefixItems", "required"), (list,)),
    **dict.fromkeys(("properties", "patternProperties"), (dict,)),
    **dict.fromkeys(("additionalProperties", "additionalItems"), (dict, bool)),
    **dict.fromkeys(("$ref", "pattern", "format"), (str,)),
    **dict.fromkeys(_COUNTS, (int,)),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), (int, float)),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), (int, float, bool)),  # of draft 4
    "items": (dict, bool, list),
    "type": (object, bool),
    "const": (object, bool),
}
"""Keywords that can be enforced, with the types of their values."""
_UNSUPPORTED = {
    *("not", "if", "contains", "uniqueItems", "propertyNames", "dependentRequired"),
    *("dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems"),
    *("$dynamicRef", "$recursiveRef"),
}
_FORMATS = {
    *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"),
}
"""Others say what a string means, not how it looks."""
_TYPES = ("string", "integer", "number", "boolean", "null", "array", "object")
_NO_RULES = {"type", "title", "description"}
"""Keywords that say nothing about a name."""
_NAMED_SCHEMAS = {"properties", "patternProperties"}
_SCHEMAS = {"items", "prefixItems", "additionalItems", "additionalProperties", "allOf"}
_MAX_COPIED_DEPTH = 100
RELAXED = (
    *("patternProperties", "minProperties", "maxProperties", "pattern", "format", "multipleOf"),
    *("allOf", "oneOf", "anyOf", "$ref", "minLength", "maxLength", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const", "required"),
    *("additionalProperties", "items", "prefixItems", "additionalItems", "properties", "type"),
)
"""Keywords to leave out, one after another, where llguidance refuses a schema."""
_MAX_COUNTED_PROPERTIES = 64
"""llguidance takes 4 s and 400 MB to count 200, as the square of their number."""
_LAYOUT = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,
}


class EnforceableSchema:
    """What can be enforced of one JSON schema.

    Attributes:
        dropped: keywords that cannot be and were left out, with the reason or an empty string.
    """

    def __init__(
        self, root: Mapping[str, Any], compile_: Callable[[str], object] | None, *, param: str
    ) -> None:
        """Create an instance.

        Args:
            root: the schema; its references start here.
            compile_: compiles a grammar; raises ``GrammarError`` if that is not possible. Without
                it, only what is known in advance is left out.
            param: request field that the schema is in, for errors.
        """
        self.root = root
        self.dropped: dict[str, str] = {}
        self._compile = compile_
        self._param = param
        self._sum_of_multiples = 0
        self._definitions: dict[str, Any] = {}  # name -> copy of what a $ref leads to
        self._references: dict[str, tuple[str, dict[str, str]]] = {}  # $ref -> name, dropped there
        self._references_check = ReferenceCheck(self.node, root)

    def node(self, schema: object) -> dict[str, Any] | bool:
        """Keywords of ``schema`` itself that are enforced; those of its parts are not looked at."""
        if not isinstance(schema, dict) or _allows_nothing(schema):
            return not _allows_nothing(schema)
        given = {k: value for k, value in schema.items() if value is not None or k == "const"}
        node = {key: given[key] for key in given if key in _FORMS}
        self._keep_known_values(node)
        # propertyNames comes after unevaluatedProperties: it needs to know the values.
        for key in sorted(_UNSUPPORTED & given.keys(), reverse=True):
            if not _says_nothing(key, given) and not self._respelled(key, given, node):
                self.dropped[key] = ""
        if node.get("allOf") == []:
            del node["allOf"]
        if len(node) == len(node.get("allOf", ())) == 1:
            return self.node(node["allOf"][0])
        return node

    def _respelled(self, key: str, schema: Mapping[str, Any], node: dict[str, Any]) -> bool:
        """Whether ``node`` could be given other keywords that mean the same."""
        value = schema[key]
        if key == "unevaluatedProperties" and not APPLICATORS & node.keys():
            node.setdefault("additionalProperties", value)
            return True
        if key != "propertyNames" or not isinstance(value, dict) or _NAMED_SCHEMAS & node.keys():
            return False
        values = node.get("additionalProperties", True)
        match [rule for rule in value.items() if rule[0] not in _NO_RULES]:
            case [("enum", [*names])]:
                node["properties"] = {name: values for name in names if isinstance(name, str)}
            case [("const", str(name))]:
                node["properties"] = {name: values}
            case [("pattern", str(pattern))] if not self._pattern_error(pattern):
                node["patternProperties"] = {pattern: values}
            case _:
                return False
        node["additionalProperties"] = False
        return True

    def is_possible(self, schema: object) -> bool:
        """Whether ``schema`` is none that forbids every value or only leads back to itself."""
        with self.recording():
            node = self.node(schema)
            if isinstance(node, dict) and "$ref" in node:
                return self._references_check.is_possible(node["$ref"])
        return node is not False

    def properties(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Schemas of an object's properties; False for optional ones that cannot be."""
        required = required_names(node)
        return {
            name: value if name in required or self.is_possible(value) else False
            for name, value in node["properties"].items()
        }

    @contextmanager
    def recording(self) -> Iterator[dict[str, str]]:
        """What is dropped meanwhile, which does not become part of ``dropped``."""
        outer, self.dropped = self.dropped, {}
        try:
            yield self.dropped
        finally:
            self.dropped = outer

    def options(self, schemas: Iterable[object], make: Callable[[object], _Made]) -> list[_Made]:
        """What ``make`` makes of each option of ``anyOf`` or ``oneOf``.

        An option that cannot be enforced is left out where another one can, unless nothing is known
        of it: it has a reference that leads nowhere.
        """
        made = []
        for schema in schemas:
            with self.recording() as dropped:
                if self.is_possible(schema):
                    made.append((make(schema), dropped))
        is_known = all("$ref" not in dropped for _, dropped in made)
        exact = [one for one, dropped in made if is_known and not dropped]
        if not exact:
            for _, dropped in made:
                self.dropped |= dropped
        return exact or [one for one, _ in made]

    def grammar(self, schema: object) -> str:
        """Expression for JSON of ``schema``, in llguidance's dialect of Lark.

        Integers have 18 digits at the most unless their bounds say otherwise: a reply could end
        within one. Where a schema leaves open whether an object may have more properties than it
        names, there are none: a model that has said what was asked for would go on to make some up.

        Raises:
            InvalidRequestError: an object has too many optional properties.
        """
        self._definitions, self._references = {}, {}
        copy = self._copy(schema)
        whole = copy if isinstance(copy, dict) else {"allOf": [copy]}
        whole["$defs"] = self._definitions
        close_objects(whole)
        bound_integers(whole, param=self._param)
        whole = self._affordable(whole)
        return f"%json {_json(self._relaxed(whole))}"

    def _keep_known_values(self, node: dict[str, Any]) -> None:
        """Spell values as llguidance does; leave out what it would refuse."""
        if "type" in node:
            kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
            known = [kind for kind in _TYPES if kind in [str(k).lower() for k in kinds]]
            if not known:
                del node["type"]
            else:
                node["type"] = known if isinstance(node["type"], list) else known[0]
        if len(node.get("properties", ())) > _MAX_COUNTED_PROPERTIES:
            for key in {"minProperties", "maxProperties"} & node.keys():
                self.dropped[key] = f"of more than {_MAX_COUNTED_PROPERTIES} that are named"
                del node[key]
        for key in _COUNTS & node.keys():
            if isinstance(node[key], float) and node[key].is_integer():
                node[key] = int(node[key])
        for key in [key for key in node if not _is_formed(node[key], _FORMS[key])]:
            self.dropped[key] = "it has a value of a wrong type"
            _drop(key, node)
        for key in ("items", "additionalProperties"):
            if _allows_nothing(node.get(key)):
                node[key] = False
        if node.get("format") not in _FORMATS:
            node.pop("format", None)
        if "$ref" in node and not self._leads_to_a_schema(node["$ref"]):
            self.dropped["$ref"] = f"{excerpt(node['$ref'], 100)} does not exist"
            del node["$ref"]
        self._keep_possible_patterns(node)

    def _leads_to_a_schema(self, ref: str) -> bool:
        try:
            resolve(ref, self.root)
        except LookupError:
            return False
        return True

    def _keep_possible_patterns(self, node: dict[str, Any]) -> None:
        """Leave out the regular expressions that llguidance would refuse."""
        patterns = {
            "pattern": [node["pattern"]] if "pattern" in node else [],
            "patternProperties": list(node.get("patternProperties", ())),
        }
        for key, expressions in patterns.items():
            if error := next(filter(None, map(self._pattern_error, expressions)), None):
                self.dropped[key] = error
                _drop(key, node)

    def _pattern_error(self, pattern: str) -> str | None:
        if pattern_cost(pattern) > limits.MAX_PATTERN_COST:
            return "its repetitions are too long, or nested"
        return self._error({"type": "string", "pattern": pattern})

    def _error(self, schema: dict[str, Any]) -> str | None:
        """Why llguidance refuses ``schema``; None if it does not."""
        if self._compile is None:
            return None
        try:
            self._compile(f"start: %json {_json(schema)}\n")
        except GrammarError as exc:
            return str(exc)
        return None

    def _relaxed(self, schema: dict[str, Any]) -> dict[str, Any]:
        """``schema`` without the keywords for which llguidance refuses it, as few as can be."""
        if (error := self._error(schema)) is None:
            return schema
        dropped: list[str] = []
        for key in (key for key in RELAXED if _without({key}, schema) != schema):
            dropped.append(key)
            if self._error(_without(dropped, schema)) is None:
                break
        for key in dropped[:-1]:
            others = [other for other in dropped if other != key]
            if self._error(_without(others, schema)) is None:
                dropped = others
        self.dropped |= dict.fromkeys(dropped, error)
        return _without(dropped, schema)

    def _affordable(self, schema: dict[str, Any]) -> dict[str, Any]:
        """``schema`` without keywords that take llguidance too much time or memory together."""
        dear: dict[str, str] = {}
        self._sum_of_multiples += sum(map(multiple_digits, subschemas(schema)))
        if self._sum_of_multiples > limits.MAX_MULTIPLE:
            dear["multipleOf"] = f"their sum is over {limits.MAX_MULTIPLE}"
        num_patterns = sum(len(TEXT_FORMS & node.keys()) for node in joined(schema))
        if num_patterns > limits.MAX_JOINED_PATTERNS:
            reason = f"over {limits.MAX_JOINED_PATTERNS} are joined by allOf or beside references"
            dear |= {key: reason for key in TEXT_FORMS if _without({key}, schema) != schema}
        self.dropped |= dear
        return _without(dear, schema) if dear else schema

    def _copy(self, schema: object, depth: int = 0) -> Any:
        node = self.node(schema)
        if isinstance(node, bool):
            return node
        if depth > _MAX_COPIED_DEPTH:
            self.dropped[f"values nested deeper than {_MAX_COPIED_DEPTH} levels"] = ""
            return True
        if "properties" in node:
            node["properties"] = self.properties(node)
        return {key: self._copied_value(key, value, depth + 1) for key, value in node.items()}

    def _copied_value(self, key: str, value: Any, depth: int) -> Any:
        if key == "$ref":
            return self._reference(value, depth)
        if key in {"anyOf", "oneOf"}:
            return self.options(value, lambda one: self._copy(one, depth))
        if key in _NAMED_SCHEMAS:
            return {name: self._copy(one, depth) for name, one in value.items()}
        if key in _SCHEMAS and isinstance(value, list):
            return [self._copy(one, depth) for one in value]
        return self._copy(value, depth) if key in _SCHEMAS else value

    def _reference(self, ref: str, depth: int) -> str:
        """``ref`` as it is in a copy."""
        if ref not in self._references:
            name = f"d{len(self._references)}"
            self._references[ref] = name, {}  # until it is known: it may refer to itself
            with self.recording() as dropped:
                self._definitions[name] = self._copy(self.resolved({"$ref": ref}), depth)
            self._references[ref] = name, dropped
        name, dropped = self._references[ref]
        self.dropped |= dropped
        return f"#/$defs/{name}"

    def resolved(self, schema: object) -> object:
        """``schema``, or what it leads to if it is a mere reference.

        A reference to what only leads back to itself is dropped: no value could fit it.
        """
        node = self.node(schema)
        if isinstance(node, dict) and "$ref" in node and not self.is_possible(node):
            ref = excerpt(node["$ref"], 100)
            self.dropped["$ref"] = f"{ref} leads back to itself: no value can fit it"
            return {key: value for key, value in node.items() if key != "$ref"}
        while isinstance(node, dict) and node.keys() == {"$ref"}:
            schema = resolve(node["$ref"], self.root)
            node = self.node(schema)
        return schema

    def check_is_whole(self, what: str) -> None:
        """Check that nothing was dropped; ``what`` is constrained to the schema.

        Raises:
            InvalidRequestError: some keywords were.
        """
        if self.dropped:
            reasons = [f"{key} ({why})" if why else key for key, why in self.dropped.items()]
            message = f"{what} cannot be constrained to {', '.join(sorted(reasons))}"
            raise InvalidRequestError(f"{message}: use a simpler schema", param=self._param)


def _allows_nothing(schema: object) -> bool:
    return schema is False or (isinstance(schema, dict) and schema.get("not") in (True, {}))


def _is_formed(value: object, types: tuple[type, ...]) -> bool:
    """Whether ``value`` is of one of ``types``; booleans are no numbers."""
    return isinstance(value, types) and (not isinstance(value, bool) or bool in types)


def _says_nothing(key: str, schema: Mapping[str, Any]) -> bool:
    """Whether a keyword that is not enforced allows everything anyway."""
    value = schema[key]
    match key:
        case "not":
            return value is False
        case "if":
            return not {"then", "else"} & schema.keys()
        case "contains":
            return schema.get("minContains") == 0 and "maxContains" not in schema
        case "propertyNames":
            return value in (True, {}, {"type": "string"})
        case "unevaluatedProperties" | "unevaluatedItems":
            return value in (True, {})
    return not value


def _drop(key: str, node: dict[str, Any]) -> None:
    """Leave a keyword out, with those that say what holds for the values that it is not for."""
    node.pop(key, None)
    if key in _NAMED_SCHEMAS:
        node.pop("additionalProperties", None)
    elif key == "prefixItems":
        node.pop("items", None)


def _without(keys: Collection[str], schema: dict[str, Any]) -> dict[str, Any]:
    changed = deepcopy(schema)
    for node in subschemas(changed):
        for key in keys & node.keys():
            _drop(key, node)
    return changed


def _json(schema: dict[str, Any]) -> str:
    """``schema`` as grammars have it."""
    return json.dumps(schema | {"x-guidance": _LAYOUT})
