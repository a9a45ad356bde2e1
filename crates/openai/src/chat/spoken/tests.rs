#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

pub(super) fn tools() -> Arc<[ToolDefinition]> {
    let tool = |name: &str, properties: serde_json::Value| ToolDefinition {
        name: name.to_owned(),
        description: String::new(),
        parameters: json!({"type": "object", "properties": properties}),
    };
    Arc::from([
        tool(
            "lookup",
            json!({"city": {"type": "string"}, "days": {"type": "integer"}}),
        ),
        tool("hours", json!({})),
    ])
}

/// What is spoken, then a line for each call.
pub(super) fn told(pieces: Vec<Piece>) -> String {
    let mut words = String::new();
    let mut calls = String::new();
    for piece in pieces {
        match piece {
            Piece::Words(more) => words += &more,
            Piece::Withdrawn => words.clear(),
            Piece::Call(call) => {
                let cut = match (call.is_complete, call.is_quoted) {
                    (false, _) => " CUT",
                    (true, true) => " QUOTED",
                    (true, false) => "",
                };
                calls += &format!("\n{} {}{cut}", call.name, call.arguments);
            }
            Piece::Unreadable(_) => calls += "\nUNREADABLE",
            Piece::LeftOut(_) | Piece::Unclosed { .. } => {}
        }
    }
    words + &calls
}

pub(super) fn answer(pieces: &[&str], opening: Opening) -> (String, Opening) {
    let mut spoken = Spoken::new(tools(), opening);
    let mut all: Vec<Piece> = pieces.iter().flat_map(|piece| spoken.push(piece)).collect();
    all.extend(spoken.finish(true));
    (told(all), spoken.opening())
}

/// The same however it is cut: at every place, and letter by letter.
#[track_caller]
pub(super) fn says(text: &str, expected: &str) {
    let whole = answer(&[text], Opening::Words).0;
    assert_eq!(whole, expected, "{text}");
    let letters: Vec<String> = text.chars().map(String::from).collect();
    let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
    assert_eq!(
        answer(&letters, Opening::Words).0,
        expected,
        "letter by letter: {text}"
    );
    for (at, _) in text.char_indices() {
        let cut = [&text[..at], &text[at..]];
        assert_eq!(
            answer(&cut, Opening::Words).0,
            expected,
            "cut at {at}: {text}"
        );
    }
}

const OPEN: &str = "We open at nine.";
const OSLO: &str = "\nlookup {\"city\":\"Oslo\"}";

#[test]
fn thoughts_are_not_spoken_in_any_notation() {
    let thought = "The user asks for <b>hours</b>. I say 9 < 10.";
    for (open, close) in [
        ("<think>", "</think>"),
        ("<THINK>\n", "\n</THINK>\n\n"),
        ("<think duration=\"2\">", "</think>"),
        ("<thinking>", "</thinking>"),
        ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"),
        ("<reflection>", "</reflection>"),
        ("<analysis>", "</analysis>"),
        ("<scratchpad>", "</scratchpad>"),
        ("<seed:think>", "</seed:think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        (
            "<|begin_of_thought|>",
            "<|end_of_thought|>\n<|begin_of_solution|>",
        ),
        ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
        ("<|channel>thought\n", "<channel|>"),
        ("<unused94>thought\n", "<unused95>"),
        (
            "<|channel|>analysis<|message|>",
            "<|end|><|start|>assistant<|channel|>final<|message|>",
        ),
        (
            "<|start|>assistant<|channel|>commentary<|message|>",
            "<|end|><|start|>assistant<|channel|>final <|constrain|>text<|message|>",
        ),
        (
            "<|channel|>analysis<|message|>",
            "<|channel|>final<|message|>",
        ),
        ("analysisThe", "assistantfinal"),
        ("Here is my thought process: ", "Here is my response:\n"),
        ("<think>", "</think><response>"),
        ("<|im_start|>assistant\n<think>", "</think>"),
    ] {
        says(&format!("{open}{thought}{close}{OPEN}"), OPEN);
        if !open.starts_with(['a', 'H']) {
            says(
                &format!("Well. {open}{thought}{close} {OPEN}"),
                &format!("Well. {OPEN}"),
            );
            says(&format!("{open}{thought}"), "");
        }
    }
    says("<response>Yes.</response><|im_end|>", "Yes.");
    says("Yes.<|im_end|>\n<|im_start|>user\nAnd tomorrow?", "Yes.\n");
    says("Yes.<end_of_turn>\n<start_of_turn>user\nAnd?", "Yes.\n");
}

#[test]
fn thoughts_are_known_by_their_words_and_not_by_one_list_of_tags() {
    for text in [
        "<thinking_block>secret</thinking_block>We open at nine.",
        "<inner-thoughts>secret</inner-thoughts>We open at nine.",
        "<Chain_of_Thought>secret</Chain_of_Thought>We open at nine.",
        "<model:reasoning lang=\"en\">secret</model:reasoning>We open at nine.",
        "< think >secret</ think >We open at nine.",
        "&lt;think&gt;secret&lt;/think&gt;We open at nine.",
        "&lt;reasoning&gt;secret</reasoning>We open at nine.",
        "<details type=\"reasoning\" done=\"true\"><summary>Thought for 3 seconds</summary>secret</details>\nWe open at nine.",
        "<div class='thinking'>secret</div>We open at nine.",
        "<plan>secret</plan>We open at nine.",
        "<step>secret</step>\n<step>secret</step>\n<answer>We open at nine.",
        "<SUMMARY>secret</SUMMARY>\n\n<CAPTION>secret</CAPTION>\n\n<REASONING>secret</REASONING>\n\n<CONCLUSION>We open at nine.",
        "<tool_response>{\"secret\": 1}</tool_response>\nWe open at nine.",
        "```thinking\nsecret\n```\nWe open at nine.",
        "**Thinking:** secret\n\n**Answer:** We open at nine.",
        "### Thought process:\nsecret\n### Final response:\nWe open at nine.",
        "Thought: secret.\nFinal Answer: We open at nine.",
        "Thought: secret. Final Answer: We open at nine.",
        "**Final answer:** We open at nine.",
        "(thinking: secret) We open at nine.",
        "analysisuser wants hours. secretassistantfinalWe open at nine.",
        "assistantanalysissecretassistantfinalWe open at nine.",
        "assistantfinalWe open at nine.",
        "<|begin|>assistant<|think|>secret<|end|><|begin|>assistant<|content|>We open at nine.",
    ] {
        says(text, OPEN);
    }
    says(
        "We open <b>soon</b>.<think>x</think> Bye.",
        "We open <b>soon</b>. Bye.",
    );
    // what is all that there is was the answer
    says("<summary>We open at nine.</summary>", OPEN);
    says("<step>We open at nine.</step>\n", OPEN);
}

#[test]
fn an_example_for_the_caller_is_spoken_and_never_run() {
    let json = r#"{"name": "lookup", "arguments": {"city": "Oslo"}}"#;
    for text in [
        format!("You could send ```json\n{json}\n``` to us."),
        format!("Write {json} and wait."),
        "You can say `lookup(city=\"Oslo\")` to it.".to_owned(),
        format!("{json} is what it looks like."),
        format!("Look:\n```json\n{json}\n``` and so on."),
        format!("```text\nSend {json}\n``` Then wait."),
    ] {
        says(&text, &text);
    }
    // where it might be meant it is neither
    let quoted = format!("{OSLO} QUOTED");
    for (before, after) in [
        ("I will call ", ""),
        ("One moment.\n", ""),
        ("Shall I do this?\n", ""),
        ("The log says:\n", ""),
        ("# Example\n", ""),
        ("**Example:**\n", ""),
        ("Never send this!\n\n", ""),
        ("> ", ""),
        ("One moment. ", "Your table is booked."),
        ("", "\nThat is an example of a call."),
    ] {
        let spoken = format!("{before}{}", after.trim_start());
        says(
            &format!("{before}{json}{after}"),
            &format!("{spoken}{quoted}"),
        );
    }
    for fence in ["json\n", "\n", "tool_code\n"] {
        says(
            &format!("For example:\n```{fence}{json}\n```\nThat is all."),
            &format!("For example:\nThat is all.{quoted}"),
        );
    }
    says(
        &format!("For example:\n{json}\n{json}\nThat is all."),
        &format!("For example:\nThat is all.{quoted}{quoted}"),
    );
    // a mark helps it as little when it is quoted itself
    let marked = format!("<tool_call>{json}</tool_call>");
    let text = format!("Models write `{marked}` to call.");
    says(&text, &text);
    for (before, after, spoken) in [
        ("Like this:\n```\n", "\n```\nOr not.", "Like this:\nOr not."),
        ("Models write ", " to call.", "Models write to call."),
        ("He wrote \"", "\".", "He wrote \"\"."),
        ("<example>", "</example>", "<example></example>"),
    ] {
        says(
            &format!("{before}{marked}{after}"),
            &format!("{spoken}{quoted}"),
        );
    }
    for whole in [format!("```xml\n{marked}\n```"), format!("`{marked}`")] {
        says(&whole, OSLO);
    }
}

#[test]
fn calls_are_known_by_the_tools_that_were_offered() {
    for text in [
        "default_api.lookup(city=\"Oslo\")",
        "print(default_api.lookup(city=\"Oslo\"))",
        "```tool_code\nprint(default_api.lookup(city=\"Oslo\"))\n```",
        "`lookup(city=\"Oslo\")`",
        "lookup(city='Oslo')",
        r#"{"tool": "lookup", "input": {"city": "Oslo"}}"#,
        r#"{"function_name": "lookup", "arguments": {"city": "Oslo"}}"#,
        r#"{"action": "lookup", "action_input": {"city": "Oslo"}}"#,
        r#"{"tool_calls": [{"id": "x", "type": "function", "function": {"name": "lookup", "arguments": "{\"city\":\"Oslo\"}"}}]}"#,
        r#"{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "lookup", "arguments": {"city": "Oslo"}}}]}"#,
        r#"{"function_call": {"name": "lookup", "arguments": "{\"city\":\"Oslo\"}"}}"#,
        r#"{"lookup": {"city": "Oslo"}}"#,
        r#"<|tools_prefix|>[{"lookup": {"city": "Oslo"}}]<|tools_suffix|>"#,
        ">>>lookup\n{\"city\":\"Oslo\"}",
        "lookup\n{\"city\":\"Oslo\"}",
        "<lookup><city>Oslo</city></lookup>",
        "<lookup>\n<city>Oslo</city>\n</lookup>",
        "<lookup>{\"city\":\"Oslo\"}</lookup>",
        "Action: lookup\nAction Input: {\"city\": \"Oslo\"}\nObservation: It rains.\nFinal Answer: Rain.",
        "Action: lookup(city=\"Oslo\")",
        "&lt;tool_call&gt;{&quot;name&quot;: &quot;lookup&quot;, &quot;arguments&quot;: {&quot;city&quot;: &quot;Oslo&quot;}}&lt;/tool_call&gt;",
        "<steptml:invoke name=\"lookup\"><steptml:parameter name=\"city\">Oslo</steptml:parameter></steptml:invoke>",
    ] {
        says(text, OSLO);
        let told = answer(&[&format!("One moment.\n{text}")], Opening::Words).0;
        assert!(told.starts_with(&format!("One moment.\n{OSLO}")), "{told}");
    }
    says(
        "Thought: secret\nAction: lookup\nAction Input: {\"city\": \"Oslo\"}",
        OSLO,
    );
    says(
        "assistantcommentary to=functions.lookup json{\"city\":\"Oslo\"}",
        OSLO,
    );
    says(
        "analysissecretassistantcommentary to=functions.lookup json{\"city\":\"Oslo\"}",
        OSLO,
    );
    for text in [
        "<tool_call>hours</tool_call>",
        "<hours></hours>",
        "<hours/>",
        "hours()",
    ] {
        says(text, "\nhours {}");
    }
    for text in ["<lookup><city>Os", "lookup(city=\"Os"] {
        let told = answer(&[text], Opening::Words).0;
        assert!(
            told.starts_with("\nlookup ") && told.ends_with(" CUT"),
            "{told}"
        );
    }
}

#[test]
fn ordinary_answers_survive() {
    for text in [
        "Plan: first we eat, then we talk.",
        "I think so. A <step> up, and a <plan> for it",
        "Answer: yes.",
        "Thoughtful people: they come.",
        "Action: we open at nine.",
        "hours are nine to five.\nlookup is a word",
        "Tools: lookup and hours.",
        "R&D, AT&T & &lt;b&gt;",
        "(thoughtfully: no) yes",
        "> a quote\n# Title\n* one\n* two",
        "{\"a\": [1, 2], \"b\": null} is the data.",
        "analysis: we sell well",
        "1 < 2, see <example",
        "<div class=\"no reasoning here\">x</div>",
    ] {
        says(text, text);
    }
}

#[test]
fn what_only_looks_like_a_mark_is_spoken() {
    for text in [
        "1 < 2 and <thin ice, 2 <t",
        "a <b>bold</b> [laughs] word",
        "Analysis shows that. He is here.",
        "analysis is hard",
        "I think <thinking about it> is fine",
        "Here is the thing: [1, 2] {x} `code` ``` {\"a\": 1}",
        "{\"name\": \"Bob\", \"age\": 3}",
        "[lovely] {\"name\"",
        "He said {\"name\": \"lookup\", \"arguments\": {}} to me.",
        "the function lookup(city) is mine",
        "<functional> and <invoked>",
        "a <| b |> c",
    ] {
        says(text, text);
    }
}

#[test]
fn an_ordinary_answer_is_not_held_up() {
    let mut spoken = Spoken::new(tools(), Opening::Words);
    for word in [
        "We ", "open ", "at ", "nine, ", "and <", "b", "> [", "x] ", "then.",
    ] {
        let out = spoken.push(word);
        let held = matches!(word, "and <" | "b" | "> [");
        assert!(
            held || told(out).ends_with(word.chars().last().unwrap()),
            "{word}"
        );
    }
}

#[test]
fn thoughts_whose_beginning_stood_in_the_template_are_taken_back_and_expected_the_next_time() {
    let text = "Okay, the hours. <tool_call>{\"name\": \"hours\"}\n</think>\n\nWe open at nine.";
    for opening in [Opening::Words, Opening::Thoughts] {
        let whole = answer(&[text], opening);
        assert!(whole.0.starts_with(OPEN) || opening == Opening::Words);
        let text = text.replace("<tool_call>{\"name\": \"hours\"}", "");
        assert_eq!(
            answer(&[&text], opening),
            (OPEN.to_owned(), Opening::Thoughts)
        );
        for (at, _) in text.char_indices() {
            let cut = [&text[..at], &text[at..]];
            assert_eq!(answer(&cut, opening).0, OPEN, "cut at {at}");
        }
    }
    // who does not think this time is heard to the end, and believed the next time
    let plain = answer(&["We open <b>at</b>", " nine."], Opening::Thoughts);
    assert_eq!(
        plain,
        ("We open <b>at</b> nine.".to_owned(), Opening::Words)
    );
    // a call alone says nothing about it; a server that sends the thoughts apart does
    assert_eq!(answer(&[""], Opening::Thoughts).1, Opening::Thoughts);
    let mut apart = Spoken::new(tools(), Opening::Thoughts);
    apart.expect_no_thoughts();
    assert_eq!(told(apart.push("We open")), "We open");
    let opened = answer(&["<think>x</think>We open."], Opening::Thoughts);
    assert_eq!(opened, ("We open.".to_owned(), Opening::Words));
}

#[test]
fn calls_written_as_text_are_taken_out_in_every_notation() {
    for text in [
        r#"<tool_call>{"name": "lookup", "arguments": {"city": "Oslo"}}</tool_call>"#,
        "<tool_call>\n{\"name\": \"lookup\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>",
        r#"<tool_call>{"name": "lookup", "arguments": "{\"city\":\"Oslo\"}"}"#,
        r#"<tools><tool_call>{"name": "lookup", "parameters": {"city": "Oslo"}}</tool_call>"#
            .strip_prefix("<tools>")
            .unwrap(),
        r#"<TOOLCALL>[{"name": "lookup", "arguments": {"city": "Oslo"}}]</TOOLCALL>"#,
        r#"<tool_calls>[{"name": "lookup", "arguments": {"city": "Oslo"}}]</tool_calls>"#,
        r#"<function_call>{"name": "lookup", "arguments": {"city": "Oslo"}}"#,
        r#"<function=lookup>{"city": "Oslo"}</function>"#,
        r#"<|python_tag|>{"name": "lookup", "parameters": {"city": "Oslo"}}<|eom_id|>"#,
        r#"<|python_tag|>{"type": "function", "name": "lookup", "parameters": {"city": "Oslo"}}"#,
        r#"<|python_tag|>lookup.call(city="Oslo")"#,
        r#"[TOOL_CALLS][{"name": "lookup", "arguments": {"city": "Oslo"}}]"#,
        r#"[TOOL_CALLS]lookup[ARGS]{"city": "Oslo"}"#,
        r#"[TOOL_CALLS]lookup[CALL_ID]abc123[ARGS]{"city": "Oslo"}</s>"#,
        r#"[TOOL_CALLS]lookup{"city": "Oslo"}"#,
        "<tool_call>\n<function=lookup>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>lookup\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>",
        "<longcat_tool_call>lookup\n<longcat_arg_key>city</longcat_arg_key>\n<longcat_arg_value>Oslo</longcat_arg_value>\n</longcat_tool_call>",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>lookup\n```json\n{\"city\": \"Oslo\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>lookup<｜tool▁sep｜>{\"city\": \"Oslo\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
        "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"lookup\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Oslo</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        r#"<|tool_calls_section_begin|><|tool_call_begin|>functions.lookup:0<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|><|tool_calls_section_end|>"#,
        r#"<|tool_call_begin|>functions.lookup:0<|tool_call_argument_begin|>{"city": "Oslo"}<|tool_call_end|>"#,
        r#"<|tool_call|>[{"name": "lookup", "arguments": {"city": "Oslo"}}]"#,
        r#"<|tool_call|>[{"name": "lookup", "arguments": {"city": "Oslo"}}]<|/tool_call|>"#,
        "<|tool_call>call:lookup{city:<|\"|>Oslo<|\"|>}<tool_call|>",
        "<start_function_call>call:lookup{city:<escape>Oslo<escape>}<end_function_call>",
        "<minimax:tool_call>\n<invoke name=\"lookup\">\n<parameter name=\"city\">Oslo</parameter>\n</invoke>\n</minimax:tool_call>",
        "<function_calls><invoke name=\"lookup\"><parameter name=\"city\">Oslo</parameter></invoke></function_calls>",
        "<seed:tool_call>\n<function=lookup>\n<parameter=city>Oslo</parameter>\n</function>\n</seed:tool_call>",
        "<tool_calls>\n<tool_call>lookup\n```json\n{\"city\": \"Oslo\"}\n```\n</tool_call></tool_calls>",
        r#"<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "lookup", "parameters": {"city": "Oslo"}}]<|END_ACTION|>"#,
        "<|action_start|><|plugin|>\n{\"name\": \"lookup\", \"parameters\": {\"city\": \"Oslo\"}}<|action_end|>",
        r#"<|tool_call_start|>[lookup(city="Oslo")]<|tool_call_end|>"#,
        r#"functools[{"name": "lookup", "arguments": {"city": "Oslo"}}]"#,
        r#"<|channel|>commentary to=functions.lookup <|constrain|>json<|message|>{"city": "Oslo"}<|call|>"#,
        r#"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant to=functions.lookup<|channel|>commentary json<|message|>{"city": "Oslo"}"#,
        r#"{"name": "lookup", "arguments": {"city": "Oslo"}}"#,
        r#"{"name": "lookup", "parameters": {"city": "Oslo"}}"#,
        r#"{"type": "function", "name": "lookup", "parameters": {"city": "Oslo"}}"#,
        r#"{"type": "function", "function": {"name": "lookup", "arguments": {"city": "Oslo"}}}"#,
        r#"{"arguments": {"city": "Oslo"}, "name": "lookup"}"#,
        r#"[{"name": "lookup", "arguments": {"city": "Oslo"}}]"#,
        "```json\n{\"name\": \"lookup\", \"arguments\": {\"city\": \"Oslo\"}}\n```",
        "```\n{\"name\": \"lookup\", \"arguments\": {\"city\": \"Oslo\"}}\n```\n",
        "```tool_code\nprint(lookup(city=\"Oslo\"))\n```",
        "```tool_code\nlookup(city='Oslo')\n```",
        "[lookup(city=\"Oslo\")]",
        "<think>I could <tool_call>{}</tool_call></think><tool_call>{\"name\": \"lookup\", \"arguments\": {\"city\": \"Oslo\"}}</tool_call>",
    ] {
        says(text, OSLO);
        // an ordinary word but for the beginning
        if !text.starts_with("functools") {
            let is_marked = text.starts_with('<') || text.starts_with("[TOOL");
            let fate = if is_marked { "" } else { " QUOTED" };
            says(
                &format!("One moment.\n{text}"),
                &format!("One moment.\n{OSLO}{fate}"),
            );
        }
    }
}

#[test]
fn several_calls_and_words_around_them_are_kept_apart() {
    let one = r#"{"name": "lookup", "arguments": {"city": "Oslo"}}"#;
    let two = r#"{"name": "hours", "arguments": {}}"#;
    let both = format!("{OSLO}\nhours {{}}");
    says(
        &format!("<tool_call>{one}</tool_call>\n<tool_call>{two}</tool_call>"),
        &both,
    );
    says(&format!("<tool_call>{one}\n{two}</tool_call>"), &both);
    says(&format!("[TOOL_CALLS][{one}, {two}]"), &both);
    says(&format!("{one}\n{two}"), &both);
    says(&format!("{one};{two}"), &both);
    says(&format!("```json\n{one}\n{two}\n```"), &both);
    says("[lookup(city=\"Oslo\"), hours()]", &both);
    says(
        "<tool_call>lookup<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call><tool_call>hours<arg_key></arg_key><arg_value></arg_value></tool_call>",
        &format!("{OSLO}\nhours {{\"\":\"\"}}"),
    );
    says(
        &format!("Let me see. <tool_call>{one}</tool_call> Done."),
        &format!("Let me see. Done.{OSLO}"),
    );
    says(
        "[TOOL_CALLS]lookup[ARGS]{\"city\": \"Oslo\"}[TOOL_CALLS]hours[ARGS]{}",
        &both,
    );
    says(
        "<function=lookup><parameter=city>Oslo</parameter><parameter=days>3</parameter></function>",
        "\nlookup {\"city\":\"Oslo\",\"days\":3}",
    );
    says(
        "<function=lookup><parameter=city>7</parameter></function>",
        "\nlookup {\"city\":\"7\"}",
    );
    says("<function=hours></function>", "\nhours {}");
}

#[test]
fn half_a_call_is_neither_spoken_nor_complete() {
    for (text, expected) in [
        (
            r#"<tool_call>{"name": "lookup", "arguments": {"city": "Os"#,
            "lookup",
        ),
        (
            r#"<tool_call>{"name": "lookup", "arguments": {"city": "Oslo"}"#,
            "lookup",
        ),
        (r#"<function=lookup>{"city": "Oslo""#, "lookup"),
        ("<function=lookup><parameter=city>Os", "lookup"),
        (
            "<function=lookup><parameter=city>Oslo</parameter>",
            "lookup",
        ),
        (
            "<tool_call>lookup<arg_key>city</arg_key><arg_value>Os",
            "lookup",
        ),
        (
            r#"{"name": "lookup", "arguments": {"city": "Oslo"}"#,
            "lookup",
        ),
        (r#"[TOOL_CALLS]lookup[ARGS]{"city": "Oslo""#, "lookup"),
        ("<|python_tag|>lookup.call(city=\"Os", "lookup"),
        (
            r#"<|channel|>commentary to=functions.lookup<|message|>{"city": "Os"#,
            "lookup",
        ),
    ] {
        let told = answer(&[text], Opening::Words).0;
        assert!(
            told.starts_with(&format!("\n{expected} ")) && told.ends_with(" CUT"),
            "{text}: {told}"
        );
    }
    says("One moment. <tool_call>", "One moment. \nUNREADABLE");
    says("One moment. <tool_ca", "One moment. ");
    says("<tool_call>what?</tool_call>Yes.", "Yes.\nUNREADABLE");
}

#[test]
fn a_call_of_which_no_mark_says_so_must_be_of_a_known_tool() {
    let unknown = r#"{"name": "rm", "arguments": {}}"#;
    says(unknown, "\nrm {}");
    let data = r#"{"name": "Bob", "age": 3}"#;
    says(data, data);
    let more = r#"{"name": "lookup", "arguments": {}, "note": "x"}"#;
    says(more, more);
    says(&format!("<tool_call>{unknown}</tool_call>"), "\nrm {}");
    let mut without = Spoken::new(Arc::from([]), Opening::Words);
    let mut all = without.push(r#"{"name": "lookup", "arguments": {}}"#);
    all.extend(without.finish(true));
    assert_eq!(told(all), r#"{"name": "lookup", "arguments": {}}"#);
}

#[test]
fn a_call_without_end_does_not_grow_for_ever() {
    let mut spoken = Spoken::new(tools(), Opening::Words);
    spoken.push("<tool_call>{\"name\": \"lookup\", \"arguments\": {\"city\": \"");
    for _ in 0..100 {
        spoken.push(&"x".repeat(10_000));
    }
    assert!(spoken.held.len() < 100);
    let mut rest = spoken.push("\"}}</tool_call>Yes.");
    rest.extend(spoken.finish(true));
    let told = told(rest);
    assert!(told.starts_with("Yes.\nlookup ") && told.ends_with(" CUT"));
}

const SCRAPS: &str = r#"(a|é|A| |\n|<|>|\[|\]|\{|\}|"|:|,|```|json|<think>|</think>|<thi|nk>|\[THINK\]|\[/THINK\]|<tool_call>|</tool_call>|<function=lookup>|</function>|<parameter=city>|</parameter>|\{"name": "lookup", "arguments": \{"city": "Oslo"\}\}|"name"|lookup|lookup\(|city=1|\)|\(|<\|python_tag\|>|<\|channel\|>|analysis|final|<\|message\|>|<\|start\|>|<\|end\|>|to=functions.lookup|<\||\|>|｜|◁think▷|◁/think▷|\[TOOL_CALLS\]|\[ARGS\]|user|<\|im_start\|>|<arg_key>|</arg_key>|here is my thought process:|&lt;|&gt;|<plan>|</plan>|<lookup>|</lookup>|<city>|</city>|Thought: |Final Answer: |Action: lookup|Observation:|\*\*|`|```thinking|>>>|hours\(\)|\.|print\(|assistantfinal|</thinking>|<think>|<thinking>|\nUser: x|\nAssistant: |turn0search1|:contentReference\[x\]|\}|<tool>|</tool>|```tool_code\n|TOOL_CALLS |## Thinking\n|## Answer\n|Action:\n|Action Input|<lookup city=|/>|<Thought>|. One|assistantcommentary to=|analysis){0,14}"#;

proptest! {
    #[test]
    fn any_cut_gives_the_same_words_and_calls(
        text in SCRAPS,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        thinks in any::<bool>(),
    ) {
        let opening = if thinks { Opening::Thoughts } else { Opening::Words };
        let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut at: Vec<usize> = cuts.iter().map(|cut| bounds[cut.index(bounds.len())]).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(answer(&pieces, opening), answer(&[&text], opening));
    }
}
