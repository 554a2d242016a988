#!/bin/sh
# Makes .venv and installs glm3edge into it, with uv where there is uv and with pip where not.
# Usage: scripts/install.sh [EXTRA[,EXTRA...]]       (PYTHON names another interpreter)
#
# llama-cpp-python comes as source and compiles llama.cpp. Package caches do not look at build
# options, so what a cache hands out is checked, and built anew if it was built with others.
set -eu
cd "$(dirname "$0")/.."
extras=${1:-}
venv=.venv
python=$venv/bin/python

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The options shorten the build: 175 s instead of 380 s on two cores, of which the helper library of
# llama.cpp's command line tools is the larger part. RPC lets several machines share a model.
CMAKE_ARGS="-DGGML_RPC=ON -DLLAVA_BUILD=OFF ${CMAKE_ARGS:-}"
case $PWD in
*[[:space:]]*) ;; # CMake would take a path with a space for two arguments
*) CMAKE_ARGS="-DCMAKE_PROJECT_llama.cpp_INCLUDE=$PWD/scripts/engine_only.cmake $CMAKE_ARGS" ;;
esac
export CMAKE_ARGS

check_tools() {
    base=${PYTHON:-python3}
    command -v "$base" >/dev/null || fail "there is no $base; install Python 3.10 or newer"
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$("$base" --version) is too old; install Python 3.10 or newer, or set PYTHON"
}

make_venv() {
    [ -x $python ] && return
    check_tools
    say "making $venv with $("$base" --version)"
    if command -v uv >/dev/null; then
        uv venv --quiet --python "$base" $venv
    else
        "$base" -m venv $venv || fail "no venv module; on Debian: apt install python3-venv"
    fi
}

install() {
    if command -v uv >/dev/null; then
        uv pip install --quiet --python $python --constraint constraints.txt "$@"
    else
        $python -m pip --version >/dev/null 2>&1 || $python -m ensurepip >/dev/null
        $python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$@"
    fi
}

engine_is_right() {
    $python - <<'PYTHON' 2>/dev/null
import importlib.util, pathlib, sys
spec = importlib.util.find_spec("llama_cpp")
folder = pathlib.Path(spec.origin).parent / "lib" if spec else None
sys.exit(not (folder and any(folder.glob("*ggml-rpc*"))))
PYTHON
}

install_engine() {
    engine_is_right && return
    command -v c++ >/dev/null || fail "there is no C++ compiler; on Debian: apt install g++"
    say "installing llama-cpp-python: unless a built one is at hand, llama.cpp compiles now," \
        "about three minutes on two cores"
    install llama-cpp-python
    engine_is_right && return
    say "the one at hand was built with other options: compiling llama.cpp"
    if command -v uv >/dev/null; then
        install --reinstall-package llama-cpp-python --refresh-package llama-cpp-python \
            --no-cache llama-cpp-python
    else
        install --force-reinstall --no-deps --no-cache-dir llama-cpp-python
    fi
    engine_is_right || fail "llama-cpp-python was built without RPC; see the output above"
}

make_venv
install_engine
say "installing glm3edge${extras:+ with $extras}"
install --editable ".${extras:+[$extras]}"
