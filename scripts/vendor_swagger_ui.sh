#!/bin/sh
# Takes the files of Swagger UI that /docs serves from the npm registry into the package.
# Usage: scripts/vendor_swagger_ui.sh [VERSION]
set -eu
version=${1:-5.35.0}
target=$(cd "$(dirname "$0")/.." && pwd)/glm3edge/server/static/swagger-ui
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "swagger-ui-dist@$version"
tar xzf swagger-ui-dist-*.tgz
mkdir -p "$target"
for file in LICENSE NOTICE favicon-32x32.png swagger-ui-bundle.js.LICENSE.txt; do
    cp "package/$file" "$target/"
done
# The source maps are not shipped, so neither are the lines that ask browsers to fetch them.
sed 's#^//\# sourceMappingURL=.*##' package/swagger-ui-bundle.js > "$target/swagger-ui-bundle.js"
sed 's#/\*\# sourceMappingURL=[^*]*\*/##' package/swagger-ui.css > "$target/swagger-ui.css"
