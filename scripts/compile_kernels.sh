#!/bin/sh
# Compiles the kernels that convert quantizes with: scripts/compile_kernels.sh [OUTPUT]
# CC names another compiler. Elsewhere than on x86 the compiler fuses multiplications and additions
# as it does in ggml, whose bytes the kernels must give.
set -eu
folder=$(cd "$(dirname "$0")/../convert/glm3edge_convert/quantize" && pwd)
case $(uname -m) in
x86_64 | amd64) fusion=-ffp-contract=off ;;
*) fusion= ;;
esac
# Linked beside its place, since a process may have the old one loaded.
output=${1:-$folder/libkernels.so}
# shellcheck disable=SC2086 # nothing, or an option
${CC:-cc} -O3 -Wall -Wextra $fusion -fPIC -shared -o "$output.new" "$folder/kernels.c" -lm
mv "$output.new" "$output"
