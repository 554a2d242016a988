# shellcheck shell=sh disable=SC2154 # $python and $work are of the script that sources it
# Messages, and packages by uv where there is uv and by pip where not. For scripts/install.sh and
# scripts/bundle.sh.

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

install() {
    if command -v uv >/dev/null; then
        uv pip install --quiet --python "$python" "$@"
    else
        "$python" -m pip --version >/dev/null 2>&1 || "$python" -m ensurepip >/dev/null
        "$python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
}

# pinned NAME FILE: prints the requirement of this package in a file of requirements/, with hashes.
pinned() {
    sed -n "/^$1==/,/[^\\]\$/p" "$2"
}

# The tools of requirements/build.txt are in a folder of their own, since pip would fetch those of
# an isolated build unchecked.
get_build_tools() {
    [ -d "$work/tools" ] ||
        install --require-hashes --target "$work/tools" -r requirements/build.txt
}

# build ARGUMENT...: installs what has to be built, with tools that have their hashes too.
build() {
    get_build_tools
    (
        export PATH="$work/tools/bin:$PATH" PYTHONPATH="$work/tools"
        install --no-build-isolation --no-deps "$@"
    )
}
