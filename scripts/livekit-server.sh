#!/usr/bin/env bash
# LiveKit's own server, for the tests that show the agent in it: built by Go from its published module into $1, once.
# Without a recent Go (1.26) those tests are skipped, and this says so.
set -euo pipefail
version=v1.13.5 # the newest whose dependencies are all published modules; 1.13.6 and later replace pion by forks
folder=$1
[ -x "$folder/livekit-server-$version" ] && exit 0
if ! command -v go >/dev/null; then
  echo "note: no Go here: the tests against LiveKit's own server are skipped"
  exit 0
fi
echo "==> building LiveKit's server $version with $(go env GOVERSION)"
mkdir -p "$folder"
if GOBIN="$folder" GOFLAGS=-trimpath go install "github.com/livekit/livekit-server/cmd/server@$version" >"$folder/livekit-server.log" 2>&1; then
  mv "$folder/server" "$folder/livekit-server-$version"
else
  echo "note: it could not be built (see $folder/livekit-server.log): the tests against LiveKit's own server are skipped"
fi
