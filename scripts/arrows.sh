#!/usr/bin/env bash
# The map in ARCHITECTURE.md is the law: a crate uses only crates that stand below it there, and those "beside". What tests
# need (dev-dependencies) is free.
set -euo pipefail
cd "$(dirname "$0")/.."
export METADATA=$(mktemp)
trap 'rm -f "$METADATA"' EXIT
cargo metadata --no-deps --format-version 1 >"$METADATA"
python3 - <<'PYTHON'
import json, os, re, sys

rows = [
    (line.split("|")[1].strip(), re.findall(r"`([a-z]+)`", line.split("|")[2]))
    for line in open("ARCHITECTURE.md")
    if re.match(r"\| (top|\d|ground|beside) \| `", line)
]
place = {crate: (floor, number) for number, (floor, crates) in enumerate(rows) for crate in crates}
wrong = []
for package in json.load(open(os.environ["METADATA"]))["packages"]:
    if "/crates/" not in package["manifest_path"]:
        continue
    name = package["name"].removeprefix("antiphon-")
    if place.get(name, [""])[0] == "beside":
        continue
    if name not in place:
        wrong.append(f"{name} has no place in the table of crates")
        continue
    for dependency in package["dependencies"]:
        used = dependency["name"].removeprefix("antiphon-")
        if used == dependency["name"] and used != "antiphon" or dependency["kind"] == "dev" or used not in place:
            continue
        if place[used][0] != "beside" and place[used][1] <= place[name][1]:
            wrong.append(f"{name} uses {used}, which does not stand below it")
        if used in ("scenario", "simulator") and place[name][0] != "top":
            wrong.append(f"{name} uses {used}, which is for tests and the command line")
if wrong:
    sys.exit("error: arrows between crates (ARCHITECTURE.md, the table of crates):\n  " + "\n  ".join(wrong))
PYTHON
