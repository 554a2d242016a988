"""Check that a value can fit what a JSON schema refers to.

A node that requires another of its own kind has no end, and no reply to it would have one.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from glm3edge.chatglm3.json_schema import count_range, required_names, resolve


class ReferenceCheck:
    """Check of one schema's references."""

    def __init__(
        self, node: Callable[[object], dict[str, Any] | bool], root: Mapping[str, Any]
    ) -> None:
        """Create an instance; see ``EnforceableSchema``, whose ``node`` is meant."""
        self._node = node
        self._root = root
        self._possible: set[str] = set()  # references that a value can fit
        self._endless: set[str] = set()  # those that none can fit

    def is_possible(self, ref: str) -> bool:
        """Whether a value can fit the reference ``ref``, which leads to a schema."""
        if ref in self._possible or ref in self._endless:
            return ref in self._possible
        targets, users = self._closure(ref)
        waiting = OrderedDict.fromkeys(reversed(targets))
        while waiting:
            other, _ = waiting.popitem(last=False)
            if self._can_fit(targets[other], []):
                self._possible.add(other)
                waiting |= {user: None for user in users[other] if user not in self._possible}
        self._endless |= targets.keys() - self._possible
        return ref in self._possible

    def _closure(self, ref: str) -> tuple[dict[str, object], Mapping[str, list[str]]]:
        """What ``ref`` and those that it may need lead to, and which of them need each."""
        targets: dict[str, object] = {}
        users: defaultdict[str, list[str]] = defaultdict(list)
        waiting = [ref]
        while waiting:
            user = waiting.pop()
            if user in targets:
                continue
            targets[user] = resolve(user, self._root)
            needed: list[str] = []
            self._can_fit(targets[user], needed)
            waiting += needed
            for other in needed:
                users[other].append(user)
        return targets, users

    def _can_fit(self, schema: object, needed: list[str]) -> bool:
        """Whether a value can fit ``schema``, as far as is known.

        References that are not known to have values are added to ``needed``.
        """
        node = self._node(schema)
        if not isinstance(node, dict):
            return True
        ref, options = node.get("$ref"), node.get("anyOf", node.get("oneOf")) or ()
        is_known = ref is None or ref in self._possible
        if not is_known and ref not in self._endless:
            needed.append(str(ref))
        are_possible = [self._can_fit(part, needed) for part in _parts(node)]
        is_option = [self._can_fit(option, needed) for option in options]
        return is_known and all(are_possible) and (not is_option or any(is_option))


def _parts(node: Mapping[str, Any]) -> list[object]:
    """Schemas of values that every value of ``node`` has or is."""
    properties, parts = node.get("properties", {}), list(node.get("allOf", ()))
    parts += [properties[name] for name in required_names(node) & properties.keys()]
    if node.get("type") == "array":
        num_items, _ = count_range(node, "minItems", "maxItems")
        tuple_items = node.get("prefixItems", [])
        parts += tuple_items[:num_items]
        parts += [node.get("items")] if num_items > len(tuple_items) else []
    return parts
