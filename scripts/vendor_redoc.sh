#!/bin/sh
# Takes the files of Redoc that /redoc serves from the npm registry into the package.
# Usage: scripts/vendor_redoc.sh [VERSION]
set -eu
version=${1:-2.5.4} # 3 is twice as large, and offers to open pages in others' assistants
target=$(cd "$(dirname "$0")/.." && pwd)/glm3edge/server/static/redoc
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "redoc@$version"
tar xzf redoc-*.tgz
mkdir -p "$target"
cp package/LICENSE package/bundles/redoc.standalone.js.LICENSE.txt "$target/"
# The badge's picture is on the internet: without one, Redoc shows the badge's text alone. Source
# maps are not shipped, so neither are the lines that ask browsers to fetch them.
sed -e 's#https://cdn.redoc.ly/redoc/logo-mini.svg#data:,#' \
    -e 's#//\# sourceMappingURL=[A-Za-z0-9._]*\.map##g' \
    package/bundles/redoc.standalone.js > "$target/redoc.standalone.js"
