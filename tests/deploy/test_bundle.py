"""`make bundle`: a folder of wheels that installs without a compiler and without the network."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.bare_root import BareRoot
from tests.support.optional import missing
from tests.support.paths import ROOT

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="bundles were tried on Linux alone"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

DIES = "import os; os.kill(os.getpid(), 4)"
LACKS = "import sys; sys.exit('error: libgomp.so.1: cannot open shared object file')"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What scripts/bundle.sh makes of this environment."""
    folder = tmp_path_factory.mktemp("made") / "bundle"
    done = subprocess.run(
        ["scripts/bundle.sh", str(folder)],
        cwd=ROOT,
        env=os.environ | {"VENV": sys.prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        missing(f"the packages of a bundle come from a package index: {done.stderr[-300:]}")
    return folder


def test_python_alone_installs_it_and_the_built_in_model_answers(
    bundle: Path, tmp_path: Path
) -> None:
    """Without OpenMP's library too, which comes with compilers, and in folders of any name."""
    root = BareRoot(tmp_path / "root")
    shutil.copytree(bundle, root.work / "一个 bundle")
    assert root.run("c++").returncode == 127
    assert not list(root.folder.rglob("libgomp*"))
    done = root.run("python3", "一个 bundle/install.py", "my 模型")
    assert done.returncode == 0, done.stderr
    assert "'/work/my 模型/bin/glm3edge' serve" in done.stdout
    question = ["chat", "--set", "max_tokens=20", "--set", "temperature=0", "你好"]
    answer = root.run("my 模型/bin/glm3edge", *question)
    assert "你好" in answer.stdout, answer.stderr


def test_it_has_the_engine_as_it_was_built(bundle: Path) -> None:
    import llama_cpp

    folder = Path(llama_cpp.__file__).parent
    (path,) = bundle.glob("llama_cpp_python-*.whl")
    with zipfile.ZipFile(path) as wheel:
        assert wheel.testzip() is None
        for name in ("lib/libllama.so", "llama_cpp.py"):
            assert wheel.read(f"llama_cpp/{name}") == (folder / name).read_bytes()


@pytest.fixture
def small(bundle: Path, tmp_path: Path) -> Path:
    """A bundle of pip alone, beside which a test puts its own glm3edge."""
    folder = tmp_path / "small"
    folder.mkdir()
    for path in (*bundle.glob("pip-*.whl"), bundle / "machine.json", bundle / "install.py"):
        shutil.copy(path, folder)
    (line,) = [line for line in requirements(bundle) if "/pip-" in line]
    (folder / "requirements.txt").write_text(line)
    return folder


def requirements(folder: Path) -> list[str]:
    return (folder / "requirements.txt").read_text().splitlines()


def install(folder: Path) -> str:
    """Run the installer, which has to fail, and return what it says."""
    command = [sys.executable, str(folder / "install.py"), str(folder / "there")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def run_instead(folder: Path, program: str) -> None:
    """Have the installed pip, the one package, bring a glm3edge that does this."""
    (path,) = folder.glob("pip-*.whl")
    with zipfile.ZipFile(path, "a") as wheel:
        wheel.writestr("glm3edge/__main__.py", program)
    _renew_hash(folder, path)


def _renew_hash(folder: Path, path: Path) -> None:
    command = [sys.executable, "-m", "pip", "hash", path.name]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    (folder / "requirements.txt").write_text(f"./{path.name} {said.split()[-1]}\n")


def test_an_engine_for_another_processor_is_found_out(small: Path) -> None:
    run_instead(small, DIES)
    assert "built for another processor: it ends with the signal 4" in install(small)


def test_an_engine_that_does_not_load_is_found_out(small: Path) -> None:
    run_instead(small, LACKS)
    said = install(small)
    assert "libgomp.so.1: cannot open" in said
    assert "glm3edge does not run here" in said


def test_a_damaged_copy_is_found_out(bundle: Path, small: Path) -> None:
    (path,) = bundle.glob("mdurl-*.whl")
    (line,) = [line for line in requirements(bundle) if "/mdurl-" in line]
    (small / path.name).write_bytes(path.read_bytes() + b"\0")
    (small / "requirements.txt").write_text("\n".join([*requirements(small), line]))
    said = install(small)
    assert "DO NOT MATCH THE HASHES" in said
    assert "copy the bundle again" in said


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("python", "3.9", "this bundle is for Python 3.9, not "),
        ("platform", "linux-riscv64", "this bundle is for linux-riscv64, not "),
    ],
)
def test_another_machine_is_told_what_the_bundle_is_for(
    small: Path, key: str, value: str, line: str
) -> None:
    path = small / "machine.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert line in install(small)
    assert not (small / "there").exists()


def test_a_folder_of_something_else_is_kept(small: Path) -> None:
    (small / "there").mkdir()
    (small / "there/letter").touch()
    assert "is there already" in install(small)
    assert [path.name for path in (small / "there").iterdir()] == ["letter"]


def test_a_folder_of_something_else_is_not_replaced_by_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    command = ["scripts/bundle.sh", str(tmp_path)]
    environment = os.environ | {"VENV": sys.prefix}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "exists and is not a bundle" in done.stderr
    assert (tmp_path / "letter").exists()
