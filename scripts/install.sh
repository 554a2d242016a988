#!/bin/sh
# Makes .venv and installs glm3edge into it, with uv where there is uv and with pip where not. All
# packages but PyTorch have the versions and hashes of requirements/, which scripts/lock.sh makes.
# Usage: scripts/install.sh [EXTRA[,EXTRA...]]
# Environment: ENGINE_ONLY=1 installs llama-cpp-python alone, which deploy/Dockerfile keeps; CUDA=1, VULKAN=1, METAL=1 build llama.cpp for GPUs too; PYTHON names another
# interpreter, VENV another folder than .venv; CMAKE_ARGS is passed on.
#
# llama-cpp-python comes as source and compiles llama.cpp. Package caches do not look at build
# options, so what a cache hands out is checked, and built anew if it was built with others. Builds
# for GPUs neither come from a cache nor go into one.
set -eu
cd "$(dirname "$0")/.."
extras=${1:-}
venv=${VENV:-.venv}
python=$venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

. scripts/gpu.sh

# The options shorten the build: 175 s instead of 380 s on two cores, of which the helper library of
# llama.cpp's command line tools is the larger part. RPC lets several machines share a model.
CMAKE_ARGS="-DGGML_RPC=ON -DLLAVA_BUILD=OFF ${CMAKE_ARGS:-}"
case $PWD in
*[[:space:]]*) ;; # CMake would take a path with a space for two arguments
*) CMAKE_ARGS="-DCMAKE_PROJECT_llama.cpp_INCLUDE=$PWD/scripts/engine_only.cmake $CMAKE_ARGS" ;;
esac
export CMAKE_ARGS

# No AMX: GCC before 12.4, 13.3 and 14 drops the configuration of its tiles, so that llama.cpp ends
# with "Illegal instruction" on processors that have it (GCC's bug 114098).
export CFLAGS="-U__AMX_INT8__ ${CFLAGS:-}" CXXFLAGS="-U__AMX_INT8__ ${CXXFLAGS:-}"

check_tools() {
    base=${PYTHON:-python3}
    command -v "$base" >/dev/null || fail "there is no $base; install Python 3.10 or newer"
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$("$base" --version) is too old; install Python 3.10 or newer, or set PYTHON"
}

make_venv() {
    [ -x "$python" ] && return
    check_tools
    say "making $venv with $("$base" --version)"
    if command -v uv >/dev/null; then
        uv venv --quiet --python "$base" "$venv"
    else
        "$base" -m venv "$venv" || fail "no venv module; on Debian: apt install python3-venv"
    fi
}

install() {
    if command -v uv >/dev/null; then
        uv pip install --quiet --python "$python" "$@"
    else
        "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null
        "$python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
}

# build ARGUMENT...: installs what has to be built, with tools that have their hashes too. They are
# in a folder of their own, since pip would fetch those of an isolated build unchecked.
build() {
    [ -d "$work/tools" ] ||
        install --require-hashes --target "$work/tools" -r requirements/build.txt
    (
        export PATH="$work/tools/bin:$PATH" PYTHONPATH="$work/tools"
        install --no-build-isolation --no-deps "$@"
    )
}

# build_engine ARGUMENT...: llama-cpp-python of requirements/base.txt.
build_engine() {
    sed -n '/^llama-cpp-python==/,/[^\\]$/p' requirements/base.txt >"$work/engine.txt"
    build --require-hashes -r "$work/engine.txt" "$@"
}

# Prints the names of the backends that the installed llama.cpp has.
built_backends() {
    "$python" - <<'PYTHON'
import importlib.util, pathlib, re
spec = importlib.util.find_spec("llama_cpp")
folder = pathlib.Path(spec.origin).parent / "lib" if spec else None
for path in sorted(folder.glob("*ggml-*")) if folder else ():
    if match := re.match(r"(?:lib)?ggml-([a-z]+)\.(?:so|dylib|dll)$", path.name):
        print(match[1])
PYTHON
}

# Whether llama-cpp-python is installed in the version of requirements/base.txt.
engine_is_current() {
    "$python" - <<'PYTHON'
import importlib.metadata, pathlib, re, sys
pin = re.search(r"^llama-cpp-python==(\S+)", pathlib.Path("requirements/base.txt").read_text(), re.M)
try:
    sys.exit(importlib.metadata.version("llama-cpp-python") != pin[1])
except importlib.metadata.PackageNotFoundError:
    sys.exit(1)
PYTHON
}

# engine_is_right BACKEND...: more backends than these do no harm.
engine_is_right() {
    engine_is_current || return 1
    built=$(built_backends)
    for backend in rpc "$@"; do
        printf '%s\n' "$built" | grep -qx "$backend" || return 1
    done
}

# install_engine BACKEND...: those that an engine at hand has are built again where it must be.
install_engine() {
    engine_is_right "$@" && return
    # shellcheck disable=SC2046 # a word for each
    set -- $({ printf '%s\n' "$@" && built_backends | grep -x -e cuda -e vulkan; } | sort -u)
    command -v c++ >/dev/null || fail "there is no C++ compiler; $(how_to_get_compiler)"
    if [ $# -gt 0 ]; then
        prepare_backends "$@"
        say "compiling llama.cpp for $*: minutes for Vulkan and Metal, up to hours for CUDA"
        compile_engine
    else
        say "installing llama-cpp-python: unless a built one is at hand, llama.cpp compiles now," \
            "about three minutes on two cores"
        build_engine
        engine_is_right && return
        say "the one at hand was built with other options: compiling llama.cpp"
        compile_engine
    fi
    engine_is_right "$@" || fail "llama-cpp-python was built without one of rpc $*; see above"
}

how_to_get_compiler() {
    if [ "$(uname -s)" = Darwin ]; then
        echo "install with: xcode-select --install"
    else
        how_to_install g++ gcc-c++ gcc
    fi
}

compile_engine() {
    if command -v uv >/dev/null; then
        build_engine --reinstall-package llama-cpp-python --refresh-package llama-cpp-python \
            --no-binary llama-cpp-python --no-cache
    else
        build_engine --force-reinstall --no-binary llama-cpp-python --no-cache-dir
    fi
}

# Whether no instruction of the engine is missing here: a cache may hold one that was built for
# another processor. 128 and more is a signal; other failures are not the engine's.
engine_runs() {
    status=0
    env -u GLM3EDGE_MODEL "$python" -m glm3edge chat --set max_tokens=1 你好 >/dev/null 2>&1 ||
        status=$?
    [ "$status" -lt 128 ]
}

torch=
set -- -r requirements/base.txt
for extra in $(printf '%s' "$extras" | tr , ' '); do
    case $extra in
    torch) ;;
    mcp | bench | train | dev) set -- "$@" -r "requirements/$extra.txt" ;;
    *) fail "there is no extra $extra; there are torch, mcp, bench, train and dev" ;;
    esac
    case $extra in torch | train | dev) torch=requirements/torch.txt ;; esac
done
asked=$(asked_backends)
make_venv
# shellcheck disable=SC2086 # a word for each
install_engine $asked
[ "${ENGINE_ONLY:-0}" != 1 ] || exit 0
say "installing glm3edge${extras:+ with $extras}"
install --require-hashes "$@"
[ -z "$torch" ] || install -r "$torch"
build --editable .
engine_runs && exit
say "the llama.cpp at hand was built for another processor: compiling it"
compile_engine
engine_runs || fail "llama.cpp ends with the signal $((status - 128)); see: $python -m glm3edge doctor"
