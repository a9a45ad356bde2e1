//! LlamaIndex's `MarkdownNodeParser`: what stands below a heading is a node, and its metadata name the headings above it.

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its heading and its text.
    pub text: String,
    /// The headings above, with a slash around each: `/Menu/Desserts/`.
    pub header_path: String,
}

/// The sections of a Markdown text.
pub fn split(text: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut stack: Vec<(usize, String)> = Vec::new();
    let mut current = String::new();
    let mut in_code = false;
    let mut push = |text: &str, stack: &[(usize, String)]| {
        let text = text.trim();
        if !text.is_empty() {
            let above = stack.iter().take(stack.len().saturating_sub(1));
            let path: Vec<&str> = above.map(|(_, title)| title.as_str()).collect();
            sections.push(Section {
                text: text.to_owned(),
                header_path: if path.is_empty() {
                    "/".into()
                } else {
                    format!("/{}/", path.join("/"))
                },
            });
        }
    };
    for line in text.split('\n') {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        match heading(line).filter(|_| !in_code) {
            Some((level, title)) => {
                push(&current, &stack);
                current = format!("{} {title}\n", "#".repeat(level));
                while stack.last().is_some_and(|(above, _)| *above >= level) {
                    stack.pop();
                }
                stack.push((level, title.to_owned()));
            }
            None => {
                current.push_str(line);
                current.push('\n');
            }
        }
    }
    push(&current, &stack);
    sections
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let title = line.get(level..)?.strip_prefix(char::is_whitespace)?;
    (level > 0).then_some((level, title))
}
