"""Installs glm3edge from this folder of wheels, without the network and without a compiler.

python3 install.py [FOLDER]

FOLDER, by default ~/glm3edge, becomes a virtual environment with the command bin/glm3edge.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ELSEWHERE = (
    "make a bundle on a machine like this one, or for any processor, as docs/install.md says"
)


def main() -> None:
    check_machine(json.loads((HERE / "machine.json").read_text()))
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "~/glm3edge").expanduser().absolute()
    if folder.exists() and not (folder / "pyvenv.cfg").exists():
        sys.exit(f"error: {folder} is there already; name another: python3 install.py FOLDER")
    venv.create(folder)
    python = folder / "bin/python"
    print(f"installing into {folder}", flush=True)
    install(python)
    check_runs(python)
    print(f"glm3edge runs here; start it with: '{folder}/bin/glm3edge' serve")


def check_machine(needed: "dict[str, str]") -> None:
    """End with a line where the wheels are for another Python or system."""
    python, platform = "{}.{}".format(*sys.version_info), sysconfig.get_platform()
    if platform != needed["platform"]:
        sys.exit(f"error: this bundle is for {needed['platform']}, not {platform}; {ELSEWHERE}")
    if python != needed["python"]:
        command = f"python{needed['python']}"
        sys.exit(
            f"error: this bundle is for Python {needed['python']}, not {python}; "
            f"install that and run: {command} install.py"
        )


def install(python: Path) -> None:
    """Install the wheels, held against their hashes, with the bundle's pip and no settings."""
    pip = next(HERE.glob("pip-*.whl")) / "pip"
    command = [python, "-I", pip, "--isolated", "--quiet", "--disable-pip-version-check", "install"]
    options = ["--no-index", "--no-cache-dir", "--require-hashes", "-r", "requirements.txt"]
    if subprocess.call([*command, *options], cwd=HERE, env=environment(PIP_CONFIG_FILE=os.devnull)):
        sys.exit("error: a package could not be installed, as said above; copy the bundle again")


def check_runs(python: Path) -> None:
    """Have the built-in model answer; end with a line where llama.cpp does not run here."""
    command = [python, "-I", "-m", "glm3edge", "chat", "--set", "max_tokens=1", "你好"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if done.returncode < 0:
        sys.exit(
            f"error: llama.cpp was built for another processor: it ends with the signal "
            f"{-done.returncode} here; {ELSEWHERE}"
        )
    if done.returncode:
        sys.exit(f"{done.stderr}error: glm3edge does not run here, as said above; {ELSEWHERE}")


def environment(**more: str) -> "dict[str, str]":
    """Return the environment without settings of glm3edge, and with UTF-8 for the question."""
    more["GLM3EDGE_CONFIG"] = os.devnull
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GLM3EDGE_")}
    return {**kept, "PYTHONUTF8": "1", **more}


if __name__ == "__main__":
    main()
