//! Documents that are no text, and files that only pretend to be such. What other programs wrote is read in `interop/knowledge`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{Cursor, Write as _};

use antiphon_knowledge::KnowledgeBase;
use antiphon_knowledge::files::{Block, Kind, MAX_TEXT_BYTES, Part, Reader, read};
use zip::write::SimpleFileOptions;

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn word(body: &str) -> Vec<u8> {
    let document = format!("<w:document><w:body>{body}</w:body></w:document>");
    archive(&[("word/document.xml", document.as_bytes())])
}

fn texts(parts: &[Part]) -> Vec<&str> {
    let blocks = parts.iter().flat_map(|part| &part.blocks);
    blocks
        .map(|block| match block {
            Block::Heading(_, text) | Block::Line(text) | Block::Row(text) => text.as_str(),
            Block::Picture => "",
        })
        .collect()
}

/// A PDF of these objects, the first of which is the catalogue; without a table of references, which readers find again.
fn pdf(objects: &[&str]) -> Vec<u8> {
    let mut text = String::from("%PDF-1.7\n");
    for (number, object) in objects.iter().enumerate() {
        text.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    text.push_str("trailer\n<< /Root 1 0 R >>\n%%EOF\n");
    text.into_bytes()
}

fn stream(text: &str) -> String {
    format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len())
}

const FONT: &str =
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>";

fn page_with(content: &str) -> Vec<u8> {
    pdf(&[
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
        &stream(content),
        FONT,
    ])
}

#[test]
fn what_was_deleted_or_hidden_in_a_word_document_is_no_passage() {
    let body = "<w:p><w:r><w:t>Open at </w:t></w:r><w:del><w:r><w:delText>eight</w:delText><w:t>secret</w:t></w:r></w:del>\
        <w:ins><w:r><w:t>nine &amp; a half.</w:t></w:r></w:ins></w:p>\
        <w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r></w:p>\
        <w:p><w:r><w:rPr><w:vanish w:val=\"0\"/></w:rPr><w:t>Shown.</w:t></w:r></w:p>\
        <w:p><mc:AlternateContent><mc:Choice><w:t>Once.</w:t></mc:Choice><mc:Fallback><w:t>Once.</w:t></mc:Fallback></mc:AlternateContent></w:p>";
    let parts = read(Kind::Word, &word(body)).unwrap();
    assert_eq!(texts(&parts), ["Open at nine & a half.", "Shown.", "Once."]);
}

#[test]
fn a_document_that_unpacks_to_gigabytes_is_refused_without_unpacking_it() {
    let bomb = vec![b' '; 130 << 20];
    let document = archive(&[("word/document.xml", &bomb)]);
    assert!(document.len() < 1 << 20);
    let error = read(Kind::Word, &document).unwrap_err();
    assert!(error.contains("unpacks to more than"), "{error}");
    let sheet = archive(&[
        ("[Content_Types].xml", b"<Types/>".as_slice()),
        ("xl/worksheets/sheet1.xml", &bomb),
        ("xl/sharedStrings.xml", &bomb),
    ]);
    let error = read(Kind::Sheet, &sheet).unwrap_err();
    assert!(error.contains("unpacks to"), "{error}");
}

#[test]
fn what_is_nested_without_end_ends() {
    let deep = "<w:p>".repeat(200_000);
    assert!(
        read(Kind::Word, &word(&deep))
            .unwrap_err()
            .contains("nested")
    );
    let deep = "<w:tbl><w:tr><w:tc>".repeat(100_000);
    assert!(
        read(Kind::Word, &word(&deep))
            .unwrap_err()
            .contains("nested")
    );
    assert!(read(Kind::Json, "[".repeat(1 << 20).as_bytes()).is_err());
    // a form that draws itself, ten times each time
    let content = stream("BT /F 12 Tf 72 700 Td (Open at nine.) Tj ET /X Do");
    let form = "/X Do ".repeat(10);
    let looping = pdf(&[
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R 2 0 R 2 0 R] /Count 3 >>",
        "<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F 5 0 R >> /XObject << /X 6 0 R >> >> >>",
        &content,
        FONT,
        &format!(
            "<< /Type /XObject /Subtype /Form /Resources << /XObject << /X 6 0 R >> >> /Length {} >>\nstream\n{form}\nendstream",
            form.len()
        ),
    ]);
    let parts = read(Kind::Pdf, &looping).unwrap();
    assert_eq!(texts(&parts), ["Open at nine."]);
}

#[test]
fn a_file_that_is_cut_off_or_overwritten_anywhere_gives_words_or_a_reason() {
    let document = word("<w:p><w:t>Open at nine.</w:t></w:p>");
    let page = page_with("BT /F 12 Tf 72 700 Td (Open at nine.) Tj ET");
    let mail = b"From: a@example.com\nSubject: Hours\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nOpen at nine.\n--x--\n".to_vec();
    for (kind, whole) in [
        (Kind::Word, document),
        (Kind::Pdf, page),
        (Kind::Mail, mail),
    ] {
        assert!(texts(&read(kind, &whole).unwrap()).contains(&"Open at nine."));
        for end in 0..whole.len() {
            if let Ok(parts) = read(kind, &whole[..end]) {
                assert!(parts.iter().all(|part| part.text().len() < MAX_TEXT_BYTES));
            }
            let mut other = whole.clone();
            other[end] ^= 0x55;
            let _ = read(kind, &other);
        }
    }
}

#[test]
fn rows_of_a_table_in_a_pdf_keep_their_header_and_headings_are_known_by_their_size() {
    let row = |y: u32, cells: [&str; 3]| -> String {
        let cells = cells.iter().zip([72, 250, 400]);
        cells
            .map(|(text, x)| format!("BT /F 11 Tf {x} {y} Td ({text}) Tj ET\n"))
            .collect()
    };
    let mut content = String::from("BT /F 18 Tf 72 750 Td (Prices) Tj ET\n");
    content += &row(700, ["Service", "Price", "Minutes"]);
    content += &row(685, ["Cut", "35 Euro", "30"]);
    content += &row(670, ["Colour", "80 Euro", ""]);
    content += "BT /F 11 Tf 72 600 Td (Please cancel a day before your appoint-) Tj 0 -13 Td (ment, or half of it is due.) Tj ET\n";
    let parts = read(Kind::Pdf, &page_with(&content)).unwrap();
    assert_eq!(parts[0].page.as_deref(), Some("1"));
    assert_eq!(parts[0].blocks[0], Block::Heading(1, "Prices".into()));
    let said = texts(&parts);
    assert_eq!(said[1], "Service: Cut; Price: 35 Euro; Minutes: 30");
    assert_eq!(said[2], "Service: Colour; Price: 80 Euro");
    assert_eq!(
        said[3],
        "Please cancel a day before your appointment, or half of it is due."
    );
}

#[test]
fn a_passage_of_a_document_names_its_page_and_what_cannot_be_read_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write(
        "hours.pdf",
        &page_with("BT /F 12 Tf 72 700 Td (The salon opens at nine in the morning.) Tj ET"),
    );
    write("team.csv", b"Doctor;Field\nAna Ruiz;eyes\nBo Chen;skin\n");
    write("broken.docx", b"PK\x03\x04 not really");
    write("photo.heic", b"....");
    let loaded = KnowledgeBase::load(folder.path(), None).unwrap();
    let found = loaded.base.find("when does the salon open in the morning");
    assert_eq!(
        (found[0].source.as_str(), found[0].page.as_deref()),
        ("hours.pdf", Some("1"))
    );
    let found = loaded.base.find("who is the doctor for the eyes");
    assert!(
        found[0].text.contains("Doctor: Ana Ruiz; Field: eyes"),
        "{found:?}"
    );
    let notes = loaded.warnings.join("\n");
    assert!(
        notes.contains("broken.docx is left out: it is damaged"),
        "{notes}"
    );
    assert!(notes.contains("photo.heic: not read"), "{notes}");
}

#[test]
fn a_reader_that_crashes_loops_or_says_nothing_costs_its_document() {
    let shell = |script: &str| Reader::in_child("/bin/sh".into(), vec!["-c".into(), script.into()]);
    let error = |script: &str| shell(script).read("pdf", b"%PDF").unwrap_err();
    assert!(error("kill -SEGV $$").contains("crashed"));
    assert!(error("kill -ABRT $$").contains("memory"));
    assert!(error("kill -XCPU $$").contains("seconds"));
    assert!(error("exit 0").contains("crashed"));
    assert!(error("echo nonsense").contains("crashed"));
    // it reads nothing of a document that is larger than a pipe
    let unread = shell("echo '{\"Ok\":[]}'").read("pdf", &vec![0; 1 << 20]);
    assert_eq!(unread, Ok(Vec::new()));
    let missing = Reader::in_child("/nowhere/antiphon".into(), Vec::new());
    assert!(
        missing
            .read("pdf", b"%PDF")
            .unwrap_err()
            .contains("does not start")
    );
}
