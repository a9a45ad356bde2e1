//! Numbers of items. A model that leaves the counting to Markdown writes `1.` before each: they are counted as a page counts.

use super::line::{Kind, Line, Marks};
use super::{Reader, Step};

/// Lists inside one another that are counted.
const MAX_LISTS: usize = 8;
/// Behind a number they make it a date: two holidays may fall on the first of their months.
const MONTHS: &str = " januar jänner februar märz april mai juni juli august september oktober november dezember marts maj \
    desember december mars januari februari augusti oktober ";

/// A list whose items all have had the same number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    indent: usize,
    /// The number of each.
    written: u32,
    /// The number of the last as it was read.
    said: u32,
}

impl Reader {
    /// An item with a number of this many digits.
    pub(super) fn numbered(&mut self, line: &Line<'_>, digits: usize, out: &mut String) -> Step {
        let indent = line.indent;
        let (number, after) = line.text.split_at_checked(digits).unwrap_or_default();
        let written: u32 = number.parse().unwrap_or_default();
        let name = after.trim_start_matches(['.', ')', ' ', '\t', '*', '_']);
        let end = name
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(name.len());
        let may_go_on = end == name.len() && !line.ended;
        let name = name.get(..end).unwrap_or_default().to_lowercase();
        let is_date = !name.is_empty() && MONTHS.contains(&format!(" {name} "));
        self.lists.retain(|list| list.indent <= indent);
        let list = self.lists.last_mut().filter(|list| list.indent == indent);
        let said = match list {
            Some(list) if list.written == written && may_go_on => return Step::Wait,
            Some(list) if list.written == written && !is_date => {
                list.said = list.said.saturating_add(1);
                list.said
            }
            Some(list) => {
                (list.written, list.said) = (written, written);
                written
            }
            None => {
                if self.lists.len() < MAX_LISTS {
                    let said = written;
                    self.lists.push(Numbered {
                        indent,
                        written,
                        said,
                    });
                }
                written
            }
        };
        let step = self.begin(Kind::Item, indent, out);
        if said == written {
            return step;
        }
        for c in said.to_string().chars() {
            self.literal(c, out);
        }
        Step::Took(indent + digits)
    }

    /// A line that is no numbered item ends the lists that it does not stand in.
    pub(super) fn leave_list(&mut self, indent: usize, marks: &Marks) {
        match marks {
            // each line of a quote has its mark, and what follows it is looked at by itself
            Marks::Number(_) | Marks::Quote(_) => {}
            // words may go on in the next line
            Marks::None if self.kind == Kind::Item && !self.after_blank => {}
            Marks::None | Marks::Heading(_) | Marks::Item(_) | Marks::Definition => {
                self.lists.retain(|list| list.indent < indent)
            }
        }
    }
}
