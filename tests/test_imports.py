"""What no code of the packages does, wherever it is."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

PACKAGES = (ROOT / "glm3edge", ROOT / "convert" / "glm3edge_convert")


def trees(*folders: Path) -> Iterator[tuple[str, ast.Module]]:
    """Each file's path in the repository, and its syntax tree."""
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_bytes())


def imported(tree: ast.Module) -> Iterator[str]:
    """Dotted names of what is imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def importers(names: set[str], *folders: Path) -> set[str]:
    """Files that import one of the packages ``names``, or something of it."""
    dotted = {f"{name}." for name in names}
    return {
        path
        for path, tree in trees(*folders)
        if any(f"{found}.".startswith(name) for found in imported(tree) for name in dotted)
    }


def callers(names: set[str], *folders: Path) -> set[str]:
    """Files that call a function or method of one of these names."""
    return {
        path
        for path, tree in trees(*folders)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and names & {getattr(node.func, "id", None), getattr(node.func, "attr", None)}
    }


def test_pickles_are_read_from_the_own_child_process_alone() -> None:
    """And by PyTorch with weights_only, for which ``pickle`` has but the exception."""
    readers = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    caches = {"diskcache", "llama_cpp.LlamaDiskCache", "llama_cpp.llama_cache"}
    torch_bin = "convert/glm3edge_convert/checkpoint/torch_bin.py"
    assert importers(readers | caches, *PACKAGES) == {torch_bin}
    assert importers({"multiprocessing"}, *PACKAGES) == {"glm3edge/llama/child_process.py"}
    text = (ROOT / torch_bin).read_text("utf-8")
    assert [part[:10] for part in text.split("pickle.")[1:]] == ["Unpickling"]
    assert text.count("torch.load(") == text.count("weights_only=True") == 1
    assert "allow_pickle" not in "".join(ast.unparse(tree) for _, tree in trees(*PACKAGES))


def test_only_the_sandbox_evaluates() -> None:
    sandbox = "glm3edge/tools/sandboxed_session.py"
    assert callers({"eval", "exec"}, *PACKAGES) == {sandbox}


def test_the_server_has_no_tools() -> None:
    folders = [ROOT / "glm3edge" / name for name in ("server", "serving", "chatglm3", "engine")]
    assert importers({"glm3edge.tools"}, *folders) == set()
    assert importers({"glm3edge.tools"}, ROOT / "glm3edge" / "commands" / "chat")
