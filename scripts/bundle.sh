#!/bin/sh
# Makes a folder of wheels with an installer: on a machine like this one, `python3 install.py` in it
# installs glm3edge without a compiler and without the network. llama-cpp-python is packed as
# scripts/install.sh built it; all else has the versions and hashes of requirements/.
# Usage: scripts/bundle.sh [FOLDER]
# Environment: VENV names another folder than .venv.
set -eu
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. scripts/packages.sh

# wheel ARGUMENT...: adds wheels to the folder, with the pip and the tools of requirements/build.txt.
wheel() {
    PYTHONPATH=$work/tools "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps \
        --wheel-dir "$folder" "$@"
}

[ -x "$python" ] || fail "$python does not exist; run make install first"
folder=${1:-dist/glm3edge-bundle}
[ ! -e "$folder" ] || [ -e "$folder/machine.json" ] || fail "$folder exists and is not a bundle"
rm -rf "$folder"
mkdir -p "$folder"
say "collecting the packages"
get_build_tools
pinned pip requirements/build.txt >"$work/pip.txt"
pinned llama-cpp-python requirements/base.txt | grep -vxFf - requirements/base.txt >"$work/base.txt"
wheel --require-hashes -r "$work/pip.txt" -r "$work/base.txt"
wheel --no-build-isolation .
"$python" scripts/bundle.py "$folder"
say "$folder, $(du -sh "$folder" | cut -f 1): copy it to the other machine; there: python3 install.py"
