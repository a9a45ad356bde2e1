#!/usr/bin/env python3
"""What the parts of an unstripped release binary cost, for docs/benchmarks.md.

    CARGO_PROFILE_RELEASE_STRIP=false cargo build --release --bin antiphon && scripts/size.py target/release/antiphon

A symbol counts for the first crate in its name that is not Rust's own, so generic code counts for the crate that wrote it.
What has no name (texts, constants, tables of addresses) is counted by section.
"""
import collections
import re
import subprocess
import sys

OURS = "antiphon_"
RUST = {"core", "alloc", "std", "hashbrown", "compiler_builtins", "gimli", "addr2line", "rustc_demangle", "object"}
PARTS = {
    "WebRTC": "str0m str0m_proto str0m_aws_lc_rs combine dimpl is sctp_proto quinn_udp crc der x509_cert spki pkcs8 sec1",
    "protobuf and JSON": "livekit_protocol prost pbjson pbjson_types serde serde_core serde_json serde_path_to_error",
    "neural networks": "rten rten_base rten_gemm rten_onnx rten_parallel rten_simd rten_shape_inference rten_tensor rten_vecmath rayon rayon_core",
    "tokio, HTTP, TLS": "tokio tokio_util tokio_rustls tokio_tungstenite tungstenite hyper hyper_util hyper_rustls http httparse axum axum_core "
    "tower tower_http reqwest rustls rustls_platform_verifier rustls_native_certs rustls_pki_types webpki mio h2 url idna rcgen jsonwebtoken matchit "
    "futures_util futures_channel",
    "Opus, transforms": "opus_pure rustfft realfft",
    "patterns": "regex regex_automata regex_syntax fancy_regex aho_corasick memchr jsonschema jsonschema_regex jsonschema_value referencing",
    "configuration, command line": "toml toml_parser toml_datetime winnow serde_saphyr granit_parser annotate_snippets clap_builder schemars anstream",
    "documents": "encoding_rs chardetng html5gum pulldown_cmark rust_stemmers tiktoken_rs unicode_segmentation unicode_normalization",
    "bookings of the example": "redb jiff jiff_core",
}
PART_OF = {crate: part for part, crates in PARTS.items() for crate in crates.split()}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def part_of(name, mangled):
    if not mangled:
        return "aws-lc (C and assembly)"
    crates = [crate for crate in re.findall(r"(?<![\w:])([a-z_][a-z0-9_]*)(?=::)", name) if crate not in RUST]
    if not crates:
        return "Rust's own library"
    return "our own crates" if crates[0].startswith(OURS) or crates[0] == "antiphon" else PART_OF.get(crates[0], "all others")


def main(binary):
    sizes, named = collections.Counter(), collections.Counter()
    plain = (line.split(None, 3) for line in run("nm", "-S", "--size-sort", binary).splitlines())
    names = [line.split(None, 3)[-1] for line in run("nm", "-S", "-C", "--size-sort", binary).splitlines()]
    for (_, size, kind, symbol), name in zip(plain, names, strict=True):
        if kind in "tTrRdD":
            sizes[part_of(name, symbol.startswith(("_ZN", "_R")))] += int(size, 16)
            named[kind.lower()] += int(size, 16)
    sections = {}
    for line in run("readelf", "-SW", binary).splitlines():
        if found := re.match(r"\s*\[\s*\d+\]\s+(\S+)\s+\w+\s+\w+\s+\w+\s+(\w+)", line):
            sections[found[1]] = int(found[2], 16)
    sizes["what unwinding needs"] = sum(sections[it] for it in (".eh_frame", ".eh_frame_hdr", ".gcc_except_table"))
    sizes["addresses for the loader"] = sections[".rela.dyn"]
    sizes["texts, weights, the page, tables"] = sections[".rodata"] + sections[".data.rel.ro"] - named["r"] - named["d"]
    for part, size in sizes.most_common():
        print(f"{size / 1e6:6.2f}  {part}")
    print(f"{sum(sizes.values()) / 1e6:6.2f}  all of these")


main(*sys.argv[1:])
