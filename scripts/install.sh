#!/bin/sh
# Makes .venv and installs glm3edge into it, with uv where there is uv and with pip where not. All
# packages but PyTorch have the versions and hashes of requirements/, which scripts/lock.sh makes.
# Usage: scripts/install.sh [--prebuilt[=cpu|cu124|vulkan|metal|...]] [EXTRA[,EXTRA...]]
# Environment: ENGINE_ONLY=1 installs llama-cpp-python alone, which deploy/Dockerfile keeps; CUDA=1, VULKAN=1, METAL=1 build llama.cpp for GPUs too; PYTHON names another
# interpreter, VENV another folder than .venv; CMAKE_ARGS is passed on; PREBUILT=NAME is --prebuilt=NAME, from the index PREBUILT_INDEX (docs/install.md).
#
# llama-cpp-python comes as source and compiles llama.cpp. Package caches do not look at build
# options, so what a cache hands out is checked, and built anew if it was built with others. Builds
# for GPUs or with CMAKE_ARGS neither come from a cache nor go into one. Published wheels are checked
# too, and what is wrong or does not run is compiled.
set -eu
cd "$(dirname "$0")/.."
prebuilt=${PREBUILT:-}
case ${1:-} in
--prebuilt) prebuilt=cpu && shift ;;
--prebuilt=*) prebuilt=${1#*=} && shift ;;
esac
extras=${1:-}
venv=${VENV:-.venv}
python=$venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

. scripts/packages.sh
. scripts/gpu.sh

# The options shorten the build: 175 s instead of 380 s on two cores, of which the helper library of
# llama.cpp's command line tools is the larger part. RPC lets several machines share a model.
own_options=${CMAKE_ARGS:-}
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
    command -v "$base" >/dev/null || fail "$base was not found; install Python 3.10 or newer"
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
        "$base" -m venv "$venv" || fail "Python's venv module is missing; on Debian and Ubuntu: sudo apt install python3-venv"
    fi
}

# build_engine ARGUMENT...: llama-cpp-python of requirements/base.txt.
build_engine() {
    pinned llama-cpp-python requirements/base.txt >"$work/engine.txt"
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

pinned_engine() {
    pinned llama-cpp-python requirements/base.txt | sed -n 's/.*==\([^ ]*\).*/\1/p'
}

# Prints the version of llama-cpp-python that is installed, without what a wheel adds to it (+cu124).
installed_engine() {
    "$python" - <<'PYTHON'
import importlib.metadata
for distribution in importlib.metadata.distributions(name="llama-cpp-python"):
    print(distribution.version.partition("+")[0])
PYTHON
}

# engine_has BACKEND...: whether the pinned version is installed with these; more do no harm.
engine_has() {
    [ "$(installed_engine)" = "$(pinned_engine)" ] || return 1
    built=$(built_backends)
    for backend in "$@"; do
        printf '%s\n' "$built" | grep -qx "$backend" || return 1
    done
}

# install_engine BACKEND...: those that an engine at hand has are built again where it must be.
install_engine() {
    engine_has rpc "$@" && return
    # shellcheck disable=SC2046 # a word for each
    set -- $(asked_or_built "$@")
    if [ $# -gt 0 ] || [ -n "$own_options" ]; then
        compile_engine "$@"
    else
        check_compiler
        say "installing llama-cpp-python: unless a built one is at hand, llama.cpp compiles now," \
            "about three minutes on two cores"
        build_engine
        engine_has rpc && return
        say "the one at hand was built with other options"
        compile_engine
    fi
    engine_has rpc "$@" || fail "llama-cpp-python was built without one of rpc $*; see above"
}

asked_or_built() {
    { printf '%s\n' "$@" && built_backends | grep -x -e cuda -e vulkan; } | sort -u
}

# Prints the backend of the published wheel that is asked for.
prebuilt_backend() {
    case $prebuilt in
    '' | cpu) ;;
    cu[0-9]*) echo cuda ;;
    vulkan | metal) echo "$prebuilt" ;;
    *) fail "unknown wheel $prebuilt; choose cpu, vulkan, metal or one for a version of" \
        "CUDA, such as cu124" ;;
    esac
}

# install_prebuilt BACKEND...: whether llama-cpp-python's published wheel has these. RPC none has.
install_prebuilt() {
    engine_has "$@" && return
    say "installing llama-cpp-python's published wheel, $prebuilt"
    install --force-reinstall --no-deps --only-binary llama-cpp-python \
        --index-url "${PREBUILT_INDEX%/"$prebuilt"}/$prebuilt" "llama-cpp-python==$(pinned_engine)" &&
        engine_has "$@"
}

check_compiler() {
    command -v c++ >/dev/null || fail "no C++ compiler was found; $(how_to_get_compiler)"
}

how_to_get_compiler() {
    if [ "$(uname -s)" = Darwin ]; then
        echo "install with: xcode-select --install"
    else
        how_to_install g++ gcc-c++ gcc
    fi
}

# compile_engine BACKEND...: past all caches.
compile_engine() {
    check_compiler
    prepare_backends "$@"
    say "compiling llama.cpp${*:+ for $*}: about three minutes on two cores, longer for Vulkan and" \
        "Metal, up to hours for CUDA"
    if command -v uv >/dev/null; then
        build_engine --reinstall-package llama-cpp-python --refresh-package llama-cpp-python \
            --no-binary llama-cpp-python --no-cache
    else
        build_engine --force-reinstall --no-binary llama-cpp-python --no-cache-dir
    fi
}

# Whether no instruction of the engine is missing here: a cache may hold one that was built for
# another processor. 128 and more is a signal; other failures are not the engine's, unless it was
# built elsewhere: then a library may be missing, or be too old.
engine_runs() {
    status=0
    env -u GLM3EDGE_MODEL -u GLM3EDGE_ENGINE GLM3EDGE_CONFIG=/dev/null "$python" -m glm3edge chat --set max_tokens=1 你好 >/dev/null \
        2>"$work/said" || status=$?
    [ "$status" -eq 0 ] || { [ -z "$prebuilt" ] && [ "$status" -lt 128 ]; }
}

torch=
set -- -r requirements/base.txt
for extra in $(printf '%s' "$extras" | tr , ' '); do
    case $extra in
    torch) ;;
    mcp | bench | train | dev) set -- "$@" -r "requirements/$extra.txt" ;;
    *) fail "unknown extra $extra; choose from torch, mcp, bench, train and dev" ;;
    esac
    case $extra in torch | train | dev) torch=requirements/torch.txt ;; esac
done
asked=$(asked_backends && prebuilt_backend)
[ -z "$prebuilt" ] || [ -n "${PREBUILT_INDEX:-}" ] ||
    fail "set PREBUILT_INDEX to the address of llama-cpp-python's pre-built wheels that ends in" \
        "/whl; it is in https://github.com/abetlen/llama-cpp-python#installation"
make_venv
# shellcheck disable=SC2086 # a word for each
if [ -n "$prebuilt" ] && ! install_prebuilt $asked; then
    say "no published wheel of llama-cpp-python $(pinned_engine) fits this machine${asked:+ and has $asked}:" \
        "compiling llama.cpp instead"
    prebuilt=
fi
# shellcheck disable=SC2086
[ -n "$prebuilt" ] || install_engine $asked
[ "${ENGINE_ONLY:-0}" != 1 ] || exit 0
say "installing glm3edge${extras:+ with $extras}"
install --require-hashes "$@"
[ -z "$torch" ] || install -r "$torch"
build --editable .
scripts/compile_kernels.sh || say "the converter's kernels did not compile: q4_k_m takes five times as long"
engine_runs && exit
say "llama.cpp does not run on this machine: $(tail -n 1 "$work/said")"
prebuilt=
# shellcheck disable=SC2046,SC2086
compile_engine $(asked_or_built $asked)
engine_runs || fail "llama.cpp ends with the signal $((status - 128)); see: $python -m glm3edge doctor"
