//! What a caller hears of what a model writes, however its tokens are cut.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::read::Reader;
use super::{Chunker, Spoken, Tongue, has_speech};

/// The pieces that leave when the text arrives in these parts.
fn pieces<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut chunker = Chunker::default();
    let mut out = Vec::new();
    for part in parts {
        chunker.push(part);
        out.extend(std::iter::from_fn(|| chunker.next_piece()));
    }
    chunker.finish();
    out.extend(std::iter::from_fn(|| chunker.next_piece()));
    assert!(chunker.is_empty(), "{chunker:?}");
    out
}

fn heard(text: &str) -> String {
    pieces([text]).join(" ")
}

fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices()
        .map(|(at, c)| text.get(at..at + c.len_utf8()).unwrap())
}

/// What is written, and what is heard and shown.
const CASES: &[(&str, &str)] = &[
    // arithmetic, keys, codes
    (
        "That makes 5*3=15, or 2 * 4 = 8 with the coupon. In total 3**2 = 9.",
        "That makes 5*3=15, or 2 * 4 = 8 with the coupon. In total 3**2 = 9.",
    ),
    (
        "**Total: 3*4 = 12** and (2+3)*4 = 20, x*(y+1), 2**3**2.",
        "Total: 3*4 = 12 and (2+3)*4 = 20, x*(y+1), 2**3**2.",
    ),
    (
        "Your ticket is #4521 and C# is a language. Press the # key, then * and 0.",
        "Your ticket is #4521 and C# is a language. Press the # key, then * and 0.",
    ),
    ("Press *, then #.", "Press *, then #."),
    (
        "Dial *67 first, or **21*555# to forward.",
        "Dial *67 first, or **21*555# to forward.",
    ),
    ("Press 5* or (*) for help.", "Press 5* or (*) for help."),
    ("*", "*"),
    ("#", "#"),
    (
        "See array[0] and array[1], x[2] and [sic].",
        "See array[0] and array[1], x[2] and [sic].",
    ),
    (
        "Set snake_case and __init__ to my_var_2.",
        "Set snake_case and __init__ to my_var_2.",
    ),
    (
        "Use `x = a*b` and ``code `tick` `` here.",
        "Use x = a*b and code `tick` here.",
    ),
    (
        "It costs $3.50 & that's 5% off, AT&T; R&D.",
        "It costs $3.50 & that's 5% off, AT&T; R&D.",
    ),
    (
        "If a < b and c > d, then i<n <3.",
        "If a < b and c > d, then i<n <3.",
    ),
    (
        "About ~20 euros, 5 \\* 3, 1\\. no",
        "About ~20 euros, 5 * 3, 1. no",
    ),
    (
        "Press [1] for sales, [2] for help.",
        "Press [1] for sales, [2] for help.",
    ),
    // emphasis
    (
        "**Sure!** *Really* ***both*** __this__ _that_ ~~not~~ this.",
        "Sure! Really both this that this.",
    ),
    (
        "**24 euros** and *3* people, **€5**.",
        "24 euros and 3 people, €5.",
    ),
    ("这是**重要**的。", "这是重要的。"),
    // between the letters of a word it is arithmetic: nobody emphasises half a word to a caller
    (
        "a*b*c and **bold *inside* it**, **bold**ly.",
        "a*b*c and bold inside it, boldly.",
    ),
    ("The fish* is fresh.", "The fish is fresh."),
    // links, images, sources
    (
        "See [the menu, drinks included](https://example.com/a_(b)?q=1 \"Our menu, in short\") for more.",
        "See the menu, drinks included for more.",
    ),
    (
        "[**Menu**](<https://x.y/a b> 'T (x)') and ![a plate](p.png), [text][ref].",
        "Menu and a plate, text.",
    ),
    ("[ref]: https://example.com/x\nHello.", "Hello."),
    (
        "We open at nine [1]. The terrace [^2] is heated 【3†source】.",
        "We open at nine. The terrace is heated.",
    ),
    (
        "It opens at nine[1][2], [3, 4] or ten [[5]](https://x.y).",
        "It opens at nine, or ten.",
    ),
    ("[^1]: Only in winter.", "Only in winter."),
    (
        "It is so \u{e200}cite\u{e202}turn0search1\u{e201}.",
        "It is so.",
    ),
    ("【注意】你好。", "【注意】你好。"),
    ("Cut off [menu](https://exam", "Cut off menu"),
    ("Not closed [menu", "Not closed [menu"),
    // lists, headings, quotes, rules, code
    (
        "## Hours\n- Monday: *closed*\n- `Tuesday` 5",
        "Hours. Monday: closed. Tuesday 5",
    ),
    (
        "We have:\n1. **Tea** – 3.50 €\n2. *Cake*: 4,20 €\n   - with cream\n   - without cream\n3. ~~Soup~~ (sold out)\n\n---\nWhat would you like?",
        "We have: 1. Tea – 3.50 €. 2. Cake: 4,20 €. with cream. without cream. 3. (sold out). What would you like?",
    ),
    ("- [ ] Call\n- [x] Book", "Call. Book"),
    (
        "> Quoted\n> words.\n\n***\n* * *\n===\nEnd.",
        "Quoted words. End.",
    ),
    ("```python\nx = 5*3\n```\nDone.", "x = 5*3. Done."),
    (
        "A line that is\nwrapped. Next",
        "A line that is wrapped. Next",
    ),
    (
        "- An item that\n  goes on\n- Another",
        "An item that goes on. Another",
    ),
    ("-5 degrees", "-5 degrees"),
    // tables
    (
        "Our hours:\n\n| Day | Hours |\n|---|:---:|\n| Monday | 9–5 |\n| *Sunday* | closed |\n\nSee you.",
        "Our hours: Monday: 9–5. Sunday: closed. See you.",
    ),
    (
        "| Dish | Price | Vegan |\n|---|---|---|\n| Soup | 5 € | yes |\n| Tart \\| cake | 6 € | |",
        "Soup: Price 5 €, Vegan yes. Tart | cake: Price 6 €",
    ),
    ("| a | b |\n| c | d |\n", "a, b. c, d"),
    ("Day | Hours\n--- | ---\nMon | 9", "Mon: 9"),
    (
        "┌────┬────┐\n│ Mon │ 9 │\n├────┼────┤\n│ Tue │ 5 │\n└────┴────┘",
        "Mon, 9. Tue, 5",
    ),
    // HTML
    (
        "Hello<br>there. We have <b>fresh</b> bread &amp; butter &nbsp; today.",
        "Hello there. We have fresh bread & butter today.",
    ),
    (
        "<p class=\"x\">One</p><ul><li>Two</li><li>Three</li></ul><!-- no --><script>if (a<b) {}</script>Four",
        "One. Two. Three. Four",
    ),
    (
        "Caf&eacute; &#8364;5 &lt;b&gt; &unknown; <https://example.com> <a@example.com>",
        "Café €5 <b> &unknown; https://example.com a@example.com",
    ),
    (
        "<table><tr><td>Tea</td><td>3 €</td></tr></table>",
        "Tea, 3 €,",
    ),
    (
        "<table><tr><th>Tea<th>3<tr><td>Cake<td>4</table>End",
        "Tea, 3. Cake, 4. End",
    ),
    (
        "Put it into a <script> tag, then save.",
        "Put it into a tag, then save.",
    ),
    // addresses are as they were written; how they are said is the voice's business
    (
        "Visit https://example.com/_a_/b*c*?id=1&x=2 or **www.example.org/x_y**, or write to a_b_c@example.com please.",
        "Visit https://example.com/_a_/b*c*?id=1&x=2 or www.example.org/x_y, or write to a_b_c@example.com please.",
    ),
    // arithmetic and keys among emphasis
    (
        "Area = a*b*c/2, and rows*cols*2, price*quantity*1.19.",
        "Area = a*b*c/2, and rows*cols*2, price*quantity*1.19.",
    ),
    (
        "The sum is (a*b)+(c*d), then p*(1-p)*n and x**2+y**2.",
        "The sum is (a*b)+(c*d), then p*(1-p)*n and x**2+y**2.",
    ),
    (
        "Or dial *100*1#. Enter 1*2*3. Then **1** then *9*.",
        "Or dial *100*1#. Enter 1*2*3. Then 1 then 9.",
    ),
    (
        "Say (*no*), ==marked==, was ==50==, ~struck~, H~2~O, x == y, a==b.",
        "Say (no), marked, was 50, struck, H2O, x == y, a==b.",
    ),
    (
        "**Note:**Text and max_len_ and _private.",
        "Note:Text and max_len_ and _private.",
    ),
    // values in brackets, and sources
    (
        "Your locker is number [7]. Your confirmation code is [42]. Table [12] is yours.",
        "Your locker is number [7]. Your confirmation code is [42]. Table [12] is yours.",
    ),
    (
        "The list is [1, 2, 3] and coordinates are [52, 13]. Pick a number in [1-10].",
        "The list is [1, 2, 3] and coordinates are [52, 13]. Pick a number in [1-10].",
    ),
    (
        "Room [5] is free. Your seat is in row [3], gate [7]. The code is: [42], so x=[5], 2*[3].",
        "Room [5] is free. Your seat is in row [3], gate [7]. The code is: [42], so x=[5], 2*[3].",
    ),
    ("Case [99]. Gleis [3] auch.", "Case [99]. Gleis [3] auch."),
    (
        "The data is {\"a\": [1, 2], \"b\": null}.",
        "The data is {\"a\": [1, 2], \"b\": null}.",
    ),
    (
        "Closed on Monday (see [2], [3]). Open daily [1] [2]. It is warm.[4]",
        "Closed on Monday. Open daily. It is warm.",
    ),
    (
        "It is cheap (cf. [4]), or not ([5]).",
        "It is cheap, or not.",
    ),
    (
        "Our [menu][1] and the [wine list][2] are online.\n\n[1]: https://example.com/m\n[2]: /wine",
        "Our menu and the wine list are online.",
    ),
    (
        "(see the [menu](https://example.com)) (sources) (a)",
        "(see the menu) (sources) (a)",
    ),
    (
        "Your table is **[12]**. Dogs are welcome![4]",
        "Your table is [12]. Dogs are welcome!",
    ),
    ("> [!NOTE]\n> Closed.", "Closed."),
    // signs of tables and ratings; the caller's language names them
    (
        "| Dish | Vegan | Nuts |\n|---|---|---|\n| Soup | ✅ | ❌ |\n| Stew | ✓ | – |",
        "Soup: Vegan ✓, Nuts ✗. Stew: Vegan ✓",
    ),
    (
        "+-----+------+\n| Day | Open |\n+-----+------+\n| Mon | 9-5  |\n+-----+------+\nDone.",
        "Mon: 9-5. Done.",
    ),
    (
        "Rating: ★★★★☆. Berlin → Hamburg. ✅ booked ★ → x",
        "Rating: ★★★★☆. Berlin → Hamburg. booked x",
    ),
    ("|x| = 3 and |y| < 2, a | b.", "|x| = 3 and |y| < 2, a, b."),
    // other markup
    (
        "<main><h2>Hours</h2><article><p>Nine</p></article></main><footer>Bye</footer><nav>Home</nav>",
        "Hours. Nine. Bye. Home",
    ),
    (
        "<figure><img src=\"a.png\" alt=\"A > B\"><figcaption>Lunch</figcaption></figure><iframe src=x>no</iframe>li<wbr>ne <video controls src=x>clip</video><my-tag a='b'>hello</my-tag>",
        "Lunch. line hello",
    ),
    (
        "A Vec<String>, a <b and c> d, List<T>, <3, <your name>, x<y>z, 5 <limit and more> 3.",
        "A Vec<String>, a <b and c> d, List<T>, <3, <your name>, x<y>z, 5 <limit and more> 3.",
    ),
    (
        "The area is $\\pi r^2$ and \\(x^2 = z\\), or $$E = mc^2$$, $\\frac{1}{2}$, \\frac{3}{4} cup, \\textbf{bold}.",
        "The area is π r^2 and x^2 = z, or E = mc^2, 1/2, 3/4 cup, bold.",
    ),
    (
        "It is $5, $5-$10, or US$ 3, $x and $y, C:\\Users\\text.",
        "It is $5, $5-$10, or US$ 3, $x and $y, C:\\Users\\text.",
    ),
    (
        "---\ntitle: Menu\ntags: [a, b]\n---\nHello there.",
        "Hello there.",
    ),
    ("---\nMonday: closed\n---\nBye.", "Monday: closed. Bye."),
    (
        "请看https://example.com/a，然后**预订**。예약은 https://example.kr에서 **하세요**.",
        "请看https://example.com/a， 然后预订。예약은 https://example.kr에서 하세요.",
    ),
    // fences: their marks are not read, and no words near them are lost
    (
        "Do this: ```bash\nls -l\n``` Then we open at nine.",
        "Do this: ls -l. Then we open at nine.",
    ),
    (
        "Type ```\nabc\n``` and wait. We open at nine.",
        "Type. abc. and wait. We open at nine.",
    ),
    (
        "```Then we open at nine.\nSee you.",
        "Then we open at nine. See you.",
    ),
    (
        "```Then we open.\n```\nBye **now**.",
        "Then we open. Bye now.",
    ),
    (
        "```json\n{\"a\": 1}```\nWe open **at** nine.",
        "{\"a\": 1}. We open at nine.",
    ),
    ("```\na\n```python\nb\n```\nWe *open*.", "a. b. We open."),
    (
        "~~~ Then we open at nine.\n~~~\nSee *you*.",
        "Then we open at nine. See you.",
    ),
    (
        "```你好，我们九点开门。\n再见",
        "你好， 我们九点开门。 再见",
    ),
    (
        "```js title=\"a\" {1}\nx\n``` ok, see ```42``` and ```no end",
        "x. ok, see 42 and no end",
    ),
    // what is struck is withdrawn
    (
        "It is ~~20 €~~ 15 € now, <del>30</del> <s>25 €</s> <b>20</b>.",
        "It is 15 € now, 20.",
    ),
    ("About ~~ 20 and ~~no end", "About ~~ 20 and ~~no end"),
    // tables without a frame
    (
        "Our prices:\nDay | Price\n--- | ---\nMon. | 5 €\nTue (late) | 6 €\n\nSee you.",
        "Our prices: Mon.: 5 €. Tue (late): 6 €. See you.",
    ),
    (
        "Dish of the day | Price | Vegan\n:-|-:|-\nSoup | 5 € | ✅",
        "Soup: Price 5 €, Vegan ✓",
    ),
    (
        "Room (double) | Price in € / night\n---|---\nNo. 1 | 89\n* a | b\n\n**Tea** | 3 €",
        "No. 1: 89. a, b. Tea, 3 €",
    ),
    (
        "1. Run:\n   ```bash\n   ls\n   ```\n1. Then `x`\n\n- a | b\n- c",
        "1. Run: ls. 2. Then x. a, b. c",
    ),
    (
        "> 1. Tea\n> 1. Cake\n\nWas ~~**20** €~~, ~~not~~**now** 15 €: ~~no",
        "1. Tea. 2. Cake. Was, now 15 €: ~~no",
    ),
    // letters and numbers of items
    (
        "Coffee:\na) black\nb) white\n(1) Tea\n(2) Cake\ni. One\nii. Two\nA. Paris\nB. London",
        "Coffee: a) black. b) white. (1) Tea. (2) Cake. i. One. ii. Two. A. Paris. B. London",
    ),
    (
        "I said\ni. e. now and\n(as before) we go.",
        "I said i. e. now and (as before) we go.",
    ),
    (
        "1. Tea\n1. Cake\n   1. big\n   1. small\n1. Soup\n\nThen:\n\n1. Go\n2. Stay\n2. Wait",
        "1. Tea. 2. Cake. 1. big. 2. small. 3. Soup. Then: 1. Go. 2. Stay. 3. Wait",
    ),
    (
        "1. Mai: zu\n1. Juni: auf\n6. Juli: zu\n6. August: auf",
        "1. Mai: zu. 1. Juni: auf. 6. Juli: zu. 6. August: auf",
    ),
    // raised marks, placeholders, elements that nobody knows
    (
        "We open at nine<sup>1</sup>, 20 m<sup>2</sup>, 10<sup>6</sup>, the 5<sup>th</sup>, ten.<sup>[2]</sup> Now² at 5 m², daily<sup>a</sup>.",
        "We open at nine, 20 m^2, 10^6, the 5th, ten. Now at 5 m², daily.",
    ),
    (
        "<details><summary>More</summary>We open.</details> <step>One</step><step>Two</step>",
        "More. We open. One Two",
    ),
    (
        "Please say <your name> and <date>. Then say <time> or <name>, please.",
        "Please say <your name> and <date>. Then say <time> or <name>, please.",
    ),
    (
        "<answer> We open <b>at</b> nine. </answer> <final> Yes",
        "We open at nine. Yes",
    ),
    (
        "$$x = \\frac{-b \\pm \\sqrt{b^2-4ac}}{2a}$$ and $x^{2y}$, \\sqrt{9}.",
        "x = (-b ± √(b^2-4ac))/(2a) and x^(2y), √9.",
    ),
    // emoji
    ("Sure 🍕👍🏽. 1️⃣ and #️⃣", "Sure. 1 and #"),
    ("🙂", ""),
    ("---", ""),
    ("...", ""),
    ("क्‍ष", "क्‍ष"),
];

#[test]
fn a_person_hears_words_and_no_markup() {
    let wrong: Vec<_> = CASES
        .iter()
        .map(|(text, words)| (heard(text), words))
        .filter(|(heard, words)| heard != *words)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_has_nothing_to_say_is_known() {
    for text in [
        "",
        "---",
        "***",
        "<br>",
        "👍",
        "\u{200b}",
        "![](a.png)",
        "```\n```",
        "...",
        "~~no~~",
        "&nbsp;",
        "<!-- x -->",
        "|---|",
    ] {
        assert!(!has_speech(text), "{text}");
    }
    for text in [
        "Hi",
        "*",
        "5",
        "★★★",
        "你好",
        "![a plate](a.png)",
        "```\nls\n```",
    ] {
        assert!(has_speech(text), "{text}");
    }
}

/// What is read of a text that arrives in these parts.
fn read<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut reader = Reader::default();
    let mut out = String::new();
    for part in parts {
        reader.push(part, &mut out);
    }
    reader.finish(&mut out);
    assert!(reader.is_empty(), "{reader:?}");
    out
}

#[test]
fn nothing_changes_wherever_the_tokens_are_cut() {
    for (text, _) in CASES {
        let whole = read([*text]);
        assert_eq!(read(characters(text)), whole, "{text}");
        for (at, _) in text.char_indices() {
            let (head, tail) = text.split_at(at);
            assert_eq!(read([head, tail]), whole, "{head}‖{tail}");
        }
    }
}

#[test]
fn sentences_end_in_every_script() {
    for text in [
        "ہم صبح نو بجے کھولتے ہیں۔ کیا آپ میز بک کرنا چاہتے ہیں؟ آپ کا بہت بہت شکریہ۔",
        "مرحبا بكم في مطعمنا. هل تريد حجز طاولة لشخصين؟ نحن نفتح في الساعة التاسعة صباحا!",
        "हम सुबह नौ बजे खुलते हैं। क्या आप मेज बुक करना चाहते हैं? आपका बहुत धन्यवाद।",
        "我们早上九点开门，晚上十点关门，星期一休息。您想在这里预订一张靠窗的桌子吗？非常感谢您今天打电话给我们！",
        "朝の九時に開店いたします｡ ご予約はいかがなさいますか。それではお待ちしております、どうぞよろしくお願いします！",
        "ከጠዋቱ ሦስት ሰዓት ላይ እንከፍታለን። ጠረጴዛ መያዝ ይፈልጋሉ። እናመሰግናለን።",
        "Մենք բացում ենք ժամը իննին։ Ցանկանու՞մ եք սեղան պատվիրել։ Շատ շնորհակալություն։",
        "យើងបើកនៅម៉ោងប្រាំបួនព្រឹក។ តើអ្នកចង់កក់តុទេ។ សូមអរគុណច្រើន។",
        "Ανοίγουμε στις εννέα το πρωί. Θέλετε να κλείσετε τραπέζι; Σας ευχαριστούμε πολύ.",
    ] {
        let ends: Vec<_> = pieces(characters(text))
            .iter()
            .map(|piece| piece.chars().next_back().unwrap())
            .collect();
        let marks = ends
            .iter()
            .filter(|c| !matches!(c, '，' | '、' | ',' | '،'))
            .count();
        assert!(marks >= 2, "{:?}", pieces(characters(text)));
        assert!(
            ends.iter().all(|c| !c.is_alphanumeric()),
            "{:?}",
            pieces(characters(text))
        );
    }
}

#[test]
fn abbreviations_numbers_and_times_end_no_sentence() {
    for text in [
        "Das kostet z. B. am Montag, dem 3. Mai, bzw. am Freitag etwa 4.50 Euro pro Person.",
        "Er kommt am 5. 6. 2026 mit dem 2. Gang und dem 3. Advent, geb. 1.1.1970, zum 1. Preis dazu.",
        "Options: 1. Tea with lemon 2. Coffee with milk 3. Juice 4. Water for everybody.",
        "Please come at 10.30 p.m. on Oct. 5 to see Dr. J. Smith Jr. about approx. 3.5 tons.",
        "Well... maybe… we could say No. 5 on St. James Ave. is ours, i.e. the white one.",
    ] {
        let pieces = pieces(characters(text));
        let (last, before) = pieces.split_last().unwrap();
        assert!(last.ends_with(['.', '。']));
        assert!(
            before
                .iter()
                .all(|piece| !piece.ends_with('.') || piece.ends_with(',')),
            "{pieces:?}"
        );
    }
}

#[test]
fn numbers_stay_with_their_items() {
    let list = "We have:\n1. **Tea** – 3.50 €\n2. *Cake*: 4,20 €\n   - with cream\n3. Soup of the day, with bread\n10. Coffee";
    for piece in pieces(characters(list)) {
        assert!(
            !piece.ends_with("2.") && !piece.ends_with("3.") && !piece.ends_with("10."),
            "{piece}"
        );
    }
}

#[test]
fn the_first_clause_does_not_wait_for_the_end_of_its_emphasis() {
    let mut chunker = Chunker::default();
    chunker.push("**Of course, I");
    assert_eq!(chunker.next_piece().unwrap(), "Of course,");
    let mut chunker = Chunker::default();
    chunker.push("Sure. ");
    assert_eq!(chunker.next_piece().unwrap(), "Sure.");
}

#[test]
fn a_text_without_spaces_or_ends_is_cut_between_its_words() {
    let text = "สวัสดีครับยินดีต้อนรับสู่ร้านอาหารของเรา".repeat(20);
    let pieces = pieces([text.as_str()]);
    assert!(pieces.len() > 1 && pieces.concat() == text);
    let is_mark = |c: char| matches!(c, '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}');
    assert!(
        pieces
            .iter()
            .all(|piece| piece.len() <= 400 && !piece.starts_with(is_mark)),
        "{pieces:?}"
    );
}

#[test]
fn an_address_at_the_end_of_a_sentence_is_said_in_the_callers_language() {
    let said = |text: &str, language| {
        Spoken::of(&heard(text), Tongue::of(Some(language)))
            .unwrap()
            .text
    };
    assert_eq!(
        said(
            "See [https://example.com/menu](https://example.com/menu).",
            "en"
        ),
        "See example dot com slash menu."
    );
    assert_eq!(
        said("Mehr auf **www.example.de**.", "de-DE"),
        "Mehr auf example Punkt de."
    );
}

proptest! {
    #[test]
    fn any_text_is_read_in_time_and_the_same_in_whatever_tokens(
        text in "[-a-z0-9 *_~`#<>/!\\[\\]()|&;:.,\"\n'\\\\é。🙂${}=+★→✅]{0,120}", cuts in prop::collection::vec(0..120_usize, 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| (0..=cut.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap()).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap());
        prop_assert_eq!(read(parts), read([text.as_str()]));
    }
}
