#!/usr/bin/env bash
# Breaks the dialogue on purpose, one rule at a time, and sees that its tests notice. Each file in crates/dialogue/mutants
# says what it breaks; it is applied to a copy, never to this checkout.
#   scripts/mutants.sh [PART-OF-A-NAME...]   all of them without arguments (about half a minute each)
#   scripts/mutants.sh --check               only whether each of them still finds what it changes
set -euo pipefail
cd "$(dirname "$0")/.."
# a folder of its own: what is built of broken code must not be taken for anything else
export CARGO_TARGET_DIR="${ANTIPHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/antiphon}/mutants"
exec python3 - "$@" <<'PYTHON'
import fcntl, os, re, shutil, subprocess, sys
from pathlib import Path

root = Path.cwd()
mutants = root / "crates/dialogue/mutants"
copy = Path(os.environ["CARGO_TARGET_DIR"]) / "copy"
# enough for every promise to be broken many times; `make test` takes more
STEPS, MINUTES = "100000", 10


def read(path):
    """`# what`, `file PATH`, then `find` and `replace` with their text indented by `| `."""
    what, file, parts, part = [], None, {}, None
    for line in path.read_text().splitlines():
        if line.startswith("# "):
            what.append(line[2:])
        elif line.startswith("file "):
            file = line[5:]
        elif line in ("find", "replace"):
            part = parts.setdefault(line, [])
        elif line.startswith("|") and part is not None:
            part.append(line[2:])
        elif line.strip():
            sys.exit(f"error: {path.name}: cannot read: {line}")
    return " ".join(what), root / "crates/dialogue" / file, "\n".join(parts["find"]), "\n".join(parts["replace"])


def changed(path, find, replace):
    text = path.read_text()
    # indentation is the formatter's business
    pattern = r"\n".join(r"[ ]*" + re.escape(line.strip()) for line in find.splitlines())
    found = re.findall(pattern, text)
    return len(found), re.sub(pattern, lambda _: replace, text, count=1)


def test(*what):
    done = subprocess.run(
        ["cargo", "test", "--quiet", "--no-fail-fast", "-p", "antiphon-dialogue", *what],
        cwd=copy, env={**os.environ, "STEPS": STEPS, "RUST_BACKTRACE": "0"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=MINUTES * 60,
    )
    return done.returncode, done.stdout


def run(target, text):
    """Scenarios first, then random conversations; only what they do not notice needs all the rest."""
    before = target.read_text()
    target.write_text(text)
    try:
        for tests in (["--lib", "--test", "scenarios"], ["--test", "random"], ["--tests"]):
            code, output = test(*tests)
            if code:
                break
        return code, output
    except subprocess.TimeoutExpired:
        return 1, "test result: FAILED"
    finally:
        target.write_text(before)


def noticed(output):
    """Scenarios by their names, everything else by the test's."""
    names = re.findall(r"^== (\S+)$", output, re.M)
    promise = re.search(r"^SEED=\d+: (?:[\d.]+: )?([^:\n]+)", output, re.M)
    if promise:
        names.append(f"random: {promise.group(1)}")
        output = output.replace("whatever_happens", "every_scenario")
    for test in re.findall(r"^(\S+) --- FAILED$|^    (\S+)$", output, re.M):
        test = test[0] or test[1]
        if test not in names and not test.startswith(("every_scenario", "it")):
            names.append(test)
    otherwise = "an assertion inside" if "panicked at" in output else "it hangs"
    return list(dict.fromkeys(names)) or [otherwise]


only = [word for word in sys.argv[1:] if word != "--check"]
paths = [path for path in sorted(mutants.glob("*.mutant")) if not only or any(word in path.name for word in only)]
survived = []
stale = []
for path in paths:
    what, file, find, replace = read(path)
    count, _ = changed(file, find, replace)
    if count != 1:
        stale.append(f"{path.relative_to(root)}: what it changes is in {file.relative_to(root)} {count} times, not once")
if stale:
    sys.exit("error: bring these up to date with the code:\n  " + "\n  ".join(stale))
if "--check" in sys.argv:
    sys.exit(0)

copy.mkdir(parents=True, exist_ok=True)
lock = open(copy / "lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit("error: another run is going on")
files = subprocess.run(["git", "ls-files", "-z"], stdout=subprocess.PIPE, check=True).stdout.decode().split("\0")
for name in files:
    source, target = root / name, copy / name
    if name and source.is_file() and (not target.exists() or target.read_bytes() != source.read_bytes()):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
for old in sorted((copy / "crates").rglob("*"), reverse=True):  # what is in a folder before the folder: cargo reads empty ones as crates
    if not (root / old.relative_to(copy)).exists():
        old.rmdir() if old.is_dir() else old.unlink()
# what fails without any mutant proves nothing
manifest = copy / "Cargo.toml"
code, output = run(manifest, manifest.read_text())
if code:
    sys.exit(f"{output}\nerror: the tests fail as they are")
for path in paths:
    what, file, find, replace = read(path)
    target = copy / file.relative_to(root)
    code, output = run(target, changed(target, find, replace)[1])
    if re.search(r"^error(\[E\d+\])?: ", output, re.M) and "test result" not in output:
        print(output)
        stale.append(path.stem)
        continue
    names = noticed(output) if code else []
    if not names:
        survived.append(path.stem)
    shown = ", ".join(f"`{name}`" for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    print(f"| {path.stem} | {what} | {shown or '**nothing**'} |", flush=True)
wrong = {"does not compile": stale, "nobody noticed": survived}
if any(wrong.values()):
    sys.exit("\n".join(f"error: {what}: {', '.join(names)}" for what, names in wrong.items() if names))
PYTHON
