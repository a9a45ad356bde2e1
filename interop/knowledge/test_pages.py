"""Pages are cut as LlamaIndex's HTMLNodeParser cuts them: those that Python writes about its own modules, and pages from chance as people
write them, with what is not closed, closed twice, or closed in the wrong order."""

from __future__ import annotations

import importlib
import json
import os
import pydoc
import random
import subprocess
from pathlib import Path

from conftest import binary
from llama_index.core import Document
from llama_index.core.node_parser import HTMLNodeParser

MODULES = ["argparse", "asyncio.events", "calendar", "collections", "datetime", "decimal", "email.message", "html.parser", "json", "logging", "pathlib", "socket", "statistics", "textwrap", "typing"]
SEED = os.environ.get("FRESH_SEED", "1")


def ours(files: list[Path]) -> list[list]:
    done = subprocess.run([str(binary("examples/cut_page")), *map(str, files)], capture_output=True, check=True, timeout=60)
    return [json.loads(line) for line in done.stdout.decode().split("\n") if line]


def theirs(page: str) -> list[list]:
    return [[node.text, node.metadata["tag"]] for node in HTMLNodeParser().get_nodes_from_documents([Document(text=page)])]


def compare(pages: dict[str, str], folder: Path) -> None:
    files = [folder / f"{number}.html" for number in range(len(pages))]
    for file, page in zip(files, pages.values()):
        file.write_bytes(page.encode())
    for (name, page), cut in zip(pages.items(), ours(files), strict=True):
        expected = theirs(page)
        first = next((pair for pair in zip(cut, expected) if pair[0] != pair[1]), (cut[len(expected) :], expected[len(cut) :]))
        assert cut == expected, f"{name}: {first}"


def test_pages_about_pythons_modules(tmp_path):
    pages = {}
    for name in MODULES:
        module = importlib.import_module(name)
        pages[name] = pydoc.html.page(name, pydoc.html.document(module))
    more = os.environ.get("HTML_PAGES")  # a folder of one's own
    for file in sorted(Path(more).rglob("*.html"))[: 20_000] if more else []:
        pages[str(file)] = file.read_bytes().decode("utf-8", "replace")
    compare(pages, tmp_path)


def page(chance: random.Random) -> str:
    tags = ["p", "h1", "h2", "li", "b", "i", "u", "section", "div", "span", "ul", "a", "em", "table", "tr", "td", "pre", "textarea", "br", "img", "hr", "script", "style", "template", "ruby", "rt", "title", "P", "DIV", "button", "svg"]
    texts = ["Open at nine", " ", "\n", "\n  \n", "&amp;", "&nbsp;x", "&#228;", "&eacute;t&eacute;", "5 < 6", "AT&T", "東京", "\r\n", "a\r\nb", "  two  words ", "<!-- note -->", "&lt;b&gt;", ".", "\u00a0"]
    parts = ["<!DOCTYPE html>\n"] if chance.random() < 0.5 else []
    opened: list[str] = []
    for _ in range(chance.randint(1, 60)):
        dice = chance.random()
        if dice < 0.4:
            tag = chance.choice(tags)
            parts.append("<" + tag + chance.choice(["", "", " class=x", ' data-x="a > b"', " hidden"]) + ">")
            if tag in ("script", "style"):
                parts.append(chance.choice(["if (a < b) {}", "p { color: red }", "'<p>no</p>'"]) + f"</{tag}>")
            else:
                opened.append(tag)
        elif dice < 0.65 and opened:
            parts.append(f"</{opened.pop() if chance.random() < 0.8 else chance.choice(tags)}>")
        elif dice < 0.7:
            parts.append(f"<{chance.choice(['br', 'img', 'p', 'div', 'span'])}/>")
        else:
            parts.append(chance.choice(texts))
    # html.parser loses the ampersand of a page that ends in "AT&T"
    return "".join(parts) + "<hr>"


def test_pages_from_chance(tmp_path):
    chance = random.Random(SEED)
    compare({f"{number} of seed {SEED}": page(chance) for number in range(2_000)}, tmp_path)
