#!/usr/bin/env bash
# A program of others for the tests, built by Go from its published module into the folder $1, once: `go-program.sh FOLDER NAME PACKAGE VERSION`.
# Without a recent Go (1.26) the tests that want it are skipped, and this says so.
set -euo pipefail
folder=$1 name=$2 package=$3 version=$4
[ -x "$folder/$name-$version" ] && exit 0
if ! command -v go >/dev/null; then
  echo "note: no Go here: the tests against $name are skipped"
  exit 0
fi
echo "==> building $name $version with $(go env GOVERSION)"
# Go names a program after the last part of its package
built=$folder/building-$name
mkdir -p "$built"
if GOBIN="$built" GOFLAGS=-trimpath go install "$package@$version" >"$folder/$name.log" 2>&1; then
  mv "$built/${package##*/}" "$folder/$name-$version"
else
  echo "note: it could not be built (see $folder/$name.log): the tests against $name are skipped"
fi
rm -rf "$built"
