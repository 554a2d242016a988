#!/bin/sh
# Renews requirements/, the versions and hashes of what scripts/install.sh installs, with uv. They are
# for every platform and Python, since the hashes are those of all files that the index has. Without
# options only what pyproject.toml has changed changes; --upgrade takes the newest versions.
#
# The files of extras have what base.txt has not. PyTorch is in none: its index decides which build
# suits a machine, by files of one version with hashes of their own.
set -eu
cd "$(dirname "$0")/.."
overrides=$(mktemp)
trap 'rm "$overrides"' EXIT
echo 'torch; python_version < "3"' >"$overrides"

lock() {
    file=requirements/$1.txt
    shift
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
        --no-header --override "$overrides" --output-file "$file" "$@" >/dev/null
}

lock base pyproject.toml "$@"
# What builds llama-cpp-python and glm3edge, by their pyproject.toml and what those tools ask for,
# and pip, which makes bundles and goes into them.
printf '%s\n' hatchling editables 'scikit-build-core[pyproject]' cmake ninja pip | lock build - "$@"
locked='--constraint requirements/base.txt'
for extra in mcp bench train dev; do
    # shellcheck disable=SC2086 # a word for each
    lock "$extra" pyproject.toml --extra "$extra" $locked "$@"
    grep -vxFf requirements/base.txt "requirements/$extra.txt" >"$overrides.txt"
    mv "$overrides.txt" "requirements/$extra.txt"
    locked="$locked --constraint requirements/$extra.txt"
done
