#!/usr/bin/env bash
# The shape of the dialogue's source: how much there is, who changes what, and who knows whom.
#   scripts/shape.sh [REVISION...]   without arguments: the files as they are now
set -euo pipefail
cd "$(dirname "$0")/.."
exec python3 - "$@" <<'PYTHON'
import io, re, statistics, subprocess, sys, tarfile
from pathlib import Path

FOLDER = "crates/dialogue/src"
# what a caller of the crate sees, and what measures and remembers; everything else decides who speaks when
OTHER = re.compile(
    r"(input|action|event|metrics|meter|ids|lib|options|patch|settings|limits|inside|summary|time|explore/.*|invariants/.*|"
    r"history.*|view|head|chat.*|context|text.*|scenario.*|recording.*|replay.*|tests|.*/tests)"
)
TOOLS = re.compile(r"(explore|invariants|scenario|recording|replay)(/.*)?")
PIECES = {  # a piece of state, and what changing it looks like
    "who has the floor": r"self\.floor = |&mut self\.floor, |floor\.take\(",
    "how far the caller's turn is": r"turn\.stage = |self\.phase = ",
    "what waits for the floor": r"self\.waiting\.(push|insert)\w*\(.*queued|Spot::Queue;",
    "what is begun ahead of its turn": r"self\.speculation = |speculation\.take\(|Spot::Ahead\(Box",
    "what waits for a tool": r"self\.parked\.(push|remove|pop|drain)|self\.parked = |Spot::Tool;",
}


def sources(revision):
    if revision is None:
        root = Path(FOLDER)
        return {str(path.relative_to(root))[:-3]: path.read_text() for path in root.rglob("*.rs")}
    tar = subprocess.run(["git", "archive", revision, FOLDER], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as files:
        members = [member for member in files if member.name.endswith(".rs")]
        return {member.name[len(FOLDER) + 1 : -3]: files.extractfile(member).read().decode() for member in members}


def code(text):
    text = re.split(r"#\[cfg\(test\)\]\nmod \w+ \{", text)[0]
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("//"))


def longest(files):
    best = (0, "")
    for name, text in files.items():
        lines = text.splitlines()
        for at, line in enumerate(lines):
            begins = re.match(r"( *)(pub(\([a-z]+\))? )?(const )?fn (\w+)", line)
            if begins and not line.endswith(";"):
                ends = next((n for n in range(at, len(lines)) if lines[n] == begins[1] + "}"), at)
                best = max(best, (ends - at + 1, f"{name}.rs: {begins[5]}"))
    return best


def arrows(files):
    module = lambda name: name.removesuffix("/mod").split("/")[0]
    knows = {module(name): set() for name in files}
    for name, text in files.items():
        for used in re.findall(r"\bcrate::(\w+)", text):
            if used in knows and used != module(name):
                knows[module(name)].add(used)

    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for next_one in knows[todo.pop()] - seen:
                seen.add(next_one)
                todo.append(next_one)
        return seen

    reach = {name: reached(name) for name in knows}
    circle = max(sum(1 for other in knows if other in reach[name] and name in reach[other]) for name in knows)
    return sum(map(len, knows.values())), circle


for revision in sys.argv[1:] or [None]:
    files = sources(revision)
    decides = {name: text for name, text in files.items() if not OTHER.fullmatch(name)}
    stage = {name: text for name, text in files.items() if re.search(r"^impl Dialogue ", text, re.M)}
    verbs = sum(
        len(re.findall(r"fn \w+[^{;]*?\(\s*&mut self", block))
        for text in stage.values()
        for block in re.findall(r"^impl Dialogue \{.*?^\}", text, re.M | re.S)
    )
    sizes = [text.count("\n") for text in files.values()]
    print(f"== {revision or 'now'}")
    print(f"files: {len(files)}, median {statistics.median(sizes):.0f} lines, longest {max(sizes)}")
    print(f"lines of code that decide: {sum(map(code, decides.values()))} in {len(decides)} files")
    print(f"of them in files that see the whole machine: {sum(code(text) for name, text in decides.items() if name in stage)}")
    print(f"lines of code of test tools: {sum(code(text) for name, text in files.items() if TOOLS.fullmatch(name))}")
    print("longest function: {} lines ({})".format(*longest(decides)))
    print(f"functions of the whole machine that may change anything: {verbs} in {len(stage)} files")
    print("arrows between modules: {}, largest circle: {} modules".format(*arrows(files)))
    for what, change in PIECES.items():
        print(f"parts that change {what}: {len({name.split('/')[0] for name, text in decides.items() if re.search(change, text)})}")
PYTHON
