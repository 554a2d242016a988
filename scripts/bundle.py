"""Packs the installed llama-cpp-python into a bundle, and adds the installer: scripts/bundle.sh.

python scripts/bundle.py FOLDER
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

INSTALLER = Path(__file__).with_name("install_bundle.py")
MADE_BY_INSTALLING = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")
LIBRARIES = "llama_cpp/lib"
"""The folder where llama.cpp's libraries look for each other first."""


def main() -> None:
    folder = Path(sys.argv[1])
    pack(distribution("llama-cpp-python"), folder)
    wheels = sorted(folder.glob("*.whl"))
    lines = [f"./{path.name} --hash=sha256:{_sha256(path.read_bytes()).hex()}" for path in wheels]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")
    (folder / "machine.json").write_text(json.dumps(machine()))
    shutil.copy(INSTALLER, folder / "install.py")


def machine() -> dict[str, str]:
    """Return what the wheels are for, as the installer finds it out on its own machine."""
    return {"python": "{}.{}".format(*sys.version_info), "platform": sysconfig.get_platform()}


def pack(engine: Distribution, folder: Path) -> None:
    """Make the wheel that the engine's installation would come from.

    With it goes the compiler's OpenMP library, which a machine that has no compiler may lack.
    """
    files = {
        str(file): Path(str(file.locate()))
        for file in engine.files or ()
        if file.name not in MADE_BY_INSTALLING and file.suffix != ".pyc"
    }
    files |= {f"{LIBRARIES}/{path.name}": path for path in openmp(files.values())}
    info = next(name for name in files if name.endswith(".dist-info/WHEEL")).rpartition("/")[0]
    tag = re.search(r"^Tag: (\S+)", engine.read_text("WHEEL") or "", re.MULTILINE)
    record = []
    with zipfile.ZipFile(
        folder / f"{info.removesuffix('.dist-info')}-{tag[1]}.whl", "w", zipfile.ZIP_DEFLATED
    ) as wheel:
        for name, path in files.items():
            wheel.write(path, name)
            digest = urlsafe_b64encode(_sha256(path.read_bytes())).decode().rstrip("=")
            record.append(f"{name},sha256={digest},{path.stat().st_size}\n")
        wheel.writestr(f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]))


def openmp(files: Iterable[Path]) -> set[Path]:
    """Return the OpenMP libraries that these libraries load from elsewhere."""
    libraries = [path for path in files if ".so" in path.suffixes]
    if sys.platform != "linux":
        return set()
    listed = subprocess.run(["ldd", *libraries], capture_output=True, text=True, check=True).stdout
    return {Path(path) for path in re.findall(r"lib(?:g|i)?omp\.so\S* => (/\S+)", listed)}


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


if __name__ == "__main__":
    main()
