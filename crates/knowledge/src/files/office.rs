//! Word and PowerPoint: the paragraphs and tables of Office Open XML (ECMA-376), in the order in which they stand in the file. Both
//! name them alike: `p`, `t`, `tbl`, `tr`, `tc`.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use rustc_hash::FxHashMap;

use super::archive::{Archive, attribute};
use super::table::{MAX_COLUMNS, Table};
use super::{Block, MAX_PARTS, Part, squeezed};

/// Paragraphs and tables inside one another: a text box in a cell of a table in a text box.
const MAX_DEPTH: usize = 64;
const MAX_LEVEL: u8 = 6;

pub(super) fn word(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let mut archive = Archive::open(bytes)?;
    let styles = archive.file("word/styles.xml")?.unwrap_or_default();
    let levels = levels(&String::from_utf8_lossy(&styles))?;
    let mut blocks = Vec::new();
    for name in [
        "word/document.xml",
        "word/footnotes.xml",
        "word/endnotes.xml",
    ] {
        let file = match name {
            "word/document.xml" => archive.needed(name)?,
            _ => archive.file(name)?.unwrap_or_default(),
        };
        blocks.extend(Page::read(&String::from_utf8_lossy(&file), &levels)?.blocks);
    }
    Ok(vec![Part { page: None, blocks }])
}

pub(super) fn slides(bytes: &[u8]) -> Result<Vec<Part>, String> {
    let mut archive = Archive::open(bytes)?;
    let names = match order(&mut archive)? {
        Some(names) => names,
        None => numbered(&archive),
    };
    let mut parts = Vec::new();
    let no_styles = FxHashMap::default();
    for (number, name) in names.into_iter().take(MAX_PARTS).enumerate() {
        let Some(file) = archive.file(&name)? else {
            continue;
        };
        let page = Page::read(&String::from_utf8_lossy(&file), &no_styles)?;
        if !page.is_hidden {
            parts.push(Part {
                page: Some((number + 1).to_string()),
                blocks: page.blocks,
            });
        }
    }
    Ok(parts)
}

/// The files of the slides, as they are shown.
fn order(archive: &mut Archive<'_>) -> Result<Option<Vec<String>>, String> {
    let (Some(list), Some(relations)) = (
        archive.file("ppt/presentation.xml")?,
        archive.file("ppt/_rels/presentation.xml.rels")?,
    ) else {
        return Ok(None);
    };
    let mut targets = FxHashMap::default();
    tags(&String::from_utf8_lossy(&relations), |name, tag| {
        if let ("Relationship", Some(id), Some(target)) =
            (name, attribute(tag, "Id"), attribute(tag, "Target"))
        {
            targets.insert(id, target);
        }
    })?;
    let mut names = Vec::new();
    tags(&String::from_utf8_lossy(&list), |name, tag| {
        if name != "sldId" {
            return;
        }
        // `id` is a number, `r:id` the relation
        let relation = tag
            .attributes()
            .with_checks(false)
            .flatten()
            .find(|a| a.key.prefix().is_some());
        let target = relation.and_then(|relation| targets.get(&*relation.value));
        if let Some(target) = target {
            names.push(match target.strip_prefix('/') {
                Some(whole) => whole.to_owned(),
                None => format!("ppt/{target}"),
            });
        }
    })?;
    Ok((!names.is_empty()).then_some(names))
}

fn numbered(archive: &Archive<'_>) -> Vec<String> {
    let number = |name: &str| -> Option<u32> {
        name.strip_prefix("ppt/slides/slide")?
            .strip_suffix(".xml")?
            .parse()
            .ok()
    };
    let mut found: Vec<(u32, String)> = archive
        .names()
        .filter_map(|name| Some((number(&name)?, name)))
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name).collect()
}

/// The levels of headings by the ids of their styles. A style's id is in the writer's language, its name is not.
fn levels(styles: &str) -> Result<FxHashMap<String, u8>, String> {
    let mut levels = FxHashMap::default();
    let mut style = String::new();
    tags(styles, |name, tag| {
        let level = match name {
            "style" => {
                style = attribute(tag, "styleId").unwrap_or_default();
                None
            }
            "name" => attribute(tag, "val").and_then(|name| {
                match name.to_lowercase().strip_prefix("heading ") {
                    Some(level) => level.trim().parse().ok(),
                    None => name.eq_ignore_ascii_case("title").then_some(1),
                }
            }),
            "outlineLvl" => outline(tag),
            _ => None,
        };
        if let Some(level) = level.filter(|level| *level <= MAX_LEVEL) {
            levels.entry(style.clone()).or_insert(level);
        }
    })?;
    Ok(levels)
}

fn outline(tag: &BytesStart<'_>) -> Option<u8> {
    // 9 means none
    let level: u8 = attribute(tag, "val")?.parse().ok()?;
    (level < MAX_LEVEL).then_some(level + 1)
}

fn damaged(error: impl ToString) -> String {
    format!("it is damaged: {}", error.to_string())
}

/// All elements of a file, by their names without prefixes.
fn tags(text: &str, mut each: impl FnMut(&str, &BytesStart<'_>)) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event().map_err(damaged)? {
            Event::Start(tag) | Event::Empty(tag) => each(local(&tag), &tag),
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn local<'a>(tag: &'a BytesStart<'_>) -> &'a str {
    tag.local_name().into_inner()
}

#[derive(Default)]
struct Page<'a> {
    levels: Option<&'a FxHashMap<String, u8>>,
    blocks: Vec<Block>,
    is_hidden: bool,
    /// Elements that we are in since one that is not read.
    skipped: usize,
    in_text: bool,
    hidden_run: bool,
    shape: Shape,
    paragraphs: Vec<(String, Option<u8>)>,
    tables: Vec<Rows>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Shape {
    #[default]
    Body,
    Title,
    /// The number, the date and the footer of a slide.
    Around,
}

#[derive(Default)]
struct Rows {
    table: Option<Table>,
    has_header: bool,
    cells: Vec<String>,
    in_cell: bool,
}

impl<'a> Page<'a> {
    fn read(text: &str, levels: &'a FxHashMap<String, u8>) -> Result<Self, String> {
        let mut page = Self {
            levels: Some(levels),
            ..Self::default()
        };
        let mut reader = Reader::from_str(text);
        loop {
            match reader.read_event().map_err(damaged)? {
                Event::Start(tag) => page.start(&tag)?,
                Event::Empty(tag) => page.empty(&tag),
                Event::End(tag) => page.end(tag.local_name().into_inner()),
                Event::Text(text) => page.text(&text.xml10_content()),
                Event::CData(text) => page.text(&text.xml10_content()),
                Event::GeneralRef(name) => match name.resolve_char_ref() {
                    Ok(Some(c)) => page.text(c.encode_utf8(&mut [0; 4])),
                    _ => page
                        .text(resolve_predefined_entity(&name.xml10_content()).unwrap_or_default()),
                },
                Event::Eof => return Ok(page),
                _ => {}
            }
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        if self.skipped > 0 {
            self.skipped += 1;
            return Ok(());
        }
        match local(tag) {
            // what was deleted or moved away, and what older programs show instead
            "del" | "moveFrom" | "Fallback" => self.skipped = 1,
            "sld" => {
                self.is_hidden = attribute(tag, "show")
                    .is_some_and(|show| matches!(show.as_str(), "0" | "false"))
            }
            "p" => self.paragraphs.push((String::new(), None)),
            "tbl" => self.tables.push(Rows {
                table: Some(Table::guessed()),
                ..Rows::default()
            }),
            "tr" => {
                if let Some(rows) = self.tables.last_mut() {
                    rows.cells.clear();
                    rows.has_header = false;
                }
            }
            "tc" => {
                if let Some(rows) = self.tables.last_mut() {
                    if rows.cells.len() < MAX_COLUMNS {
                        rows.cells.push(String::new());
                    }
                    rows.in_cell = true;
                }
            }
            "r" => self.hidden_run = false,
            "sp" => self.shape = Shape::Body,
            "t" => self.in_text = true,
            _ => self.empty(tag),
        }
        if self.paragraphs.len().max(self.tables.len()) > MAX_DEPTH {
            return Err(format!(
                "its tables and text boxes are nested more than {MAX_DEPTH} deep"
            ));
        }
        Ok(())
    }

    /// An element that may have nothing in it.
    fn empty(&mut self, tag: &BytesStart<'_>) {
        if self.skipped > 0 {
            return;
        }
        let name = local(tag);
        match name {
            "tab" => self.push(" "),
            "br" | "cr" => self.push("\n"),
            "noBreakHyphen" => self.push("-"),
            "vanish" => {
                self.hidden_run =
                    !attribute(tag, "val").is_some_and(|val| matches!(val.as_str(), "0" | "false"))
            }
            "pStyle" | "outlineLvl" => {
                let level = match name {
                    "pStyle" => {
                        attribute(tag, "val").and_then(|style| self.levels?.get(&style).copied())
                    }
                    _ => outline(tag),
                };
                if let (Some(level), Some((_, known))) = (level, self.paragraphs.last_mut()) {
                    *known = Some(level);
                }
            }
            "ph" => {
                self.shape = match attribute(tag, "type").as_deref() {
                    Some("title" | "ctrTitle") => Shape::Title,
                    Some("sldNum" | "dt" | "ftr" | "hdr") => Shape::Around,
                    _ => Shape::Body,
                }
            }
            "tblHeader" => {
                if let Some(rows) = self.tables.last_mut() {
                    rows.has_header = true;
                }
            }
            "gridSpan" => {
                let span = attribute(tag, "val")
                    .and_then(|span| span.parse::<usize>().ok())
                    .unwrap_or(1);
                if let Some(rows) = self.tables.last_mut() {
                    // the text stands in the first of the columns; it is written there when the cell ends
                    let wanted = (rows.cells.len() + span.saturating_sub(1)).min(MAX_COLUMNS);
                    rows.cells.resize(wanted, String::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        match name {
            "t" => self.in_text = false,
            "r" => self.hidden_run = false,
            "p" => self.paragraph(),
            "sp" => self.shape = Shape::Body,
            "tc" => {
                if let Some(rows) = self.tables.last_mut() {
                    rows.in_cell = false;
                }
            }
            "tr" => {
                if let Some(rows) = self.tables.last_mut() {
                    let cells = std::mem::take(&mut rows.cells);
                    match &mut rows.table {
                        Some(table) if !rows.has_header => table.row(cells),
                        known => {
                            let above = known.take().map(Table::finish).unwrap_or_default();
                            *known = Some(Table::with_header(cells));
                            self.blocks.extend(above);
                        }
                    }
                }
            }
            "tbl" => {
                let rows = self.tables.pop().and_then(|rows| rows.table);
                let rows = rows.map(Table::finish).unwrap_or_default();
                match self.tables.iter_mut().rev().find(|rows| rows.in_cell) {
                    Some(around) => rows.iter().for_each(|row| around.say(row.text())),
                    None => self.blocks.extend(rows),
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.in_text {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        if let Some((paragraph, _)) = self.paragraphs.last_mut()
            && self.skipped == 0
            && !self.hidden_run
        {
            paragraph.push_str(text);
        }
    }

    fn paragraph(&mut self) {
        let Some((text, level)) = self.paragraphs.pop() else {
            return;
        };
        if let Some(rows) = self.tables.last_mut().filter(|rows| rows.in_cell) {
            return rows.say(&text);
        }
        let level = match self.shape {
            Shape::Around => return,
            Shape::Title => Some(1),
            Shape::Body => level,
        };
        match level {
            Some(level) if !text.trim().is_empty() => {
                self.blocks.push(Block::Heading(level, squeezed(&text)))
            }
            _ => {
                let lines = text.lines().map(squeezed).filter(|line| !line.is_empty());
                self.blocks.extend(lines.map(Block::Line));
            }
        }
    }
}

impl Rows {
    /// More words of the present cell.
    fn say(&mut self, text: &str) {
        if let Some(cell) = self.cells.last_mut() {
            if !cell.is_empty() && !text.is_empty() {
                cell.push_str(", ");
            }
            cell.push_str(text);
        }
    }
}
