//! Calls that name their tool in words of the text, and words that only look like them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use super::tests::{answer, says};
use super::*;

const OSLO: &str = "\nlookup {\"city\":\"Oslo\"}";

#[test]
fn a_call_that_names_its_tool_runs_when_it_is_the_whole_answer_and_is_never_read_aloud() {
    for text in [
        r#"call:lookup{"city":"Oslo"}"#,
        r#"call:lookup{city:"Oslo"}"#,
        r#"call:lookup{city:<|"|>Oslo<|"|>}"#,
        r#"result = lookup(city="Oslo")"#,
        "weather = lookup(city=\"Oslo\")\nprint(weather)",
        "```python\nresult = lookup(city=\"Oslo\")\nprint(result)\n```",
        "tool_code\nprint(lookup(city=\"Oslo\"))\n",
        r#"Action: lookup / Action Input: {"city":"Oslo"}"#,
        "Calling tool: lookup\nArguments: {\"city\":\"Oslo\"}",
        r#"Calling lookup with {"city":"Oslo"}"#,
        r#"Calling the lookup function with arguments {"city":"Oslo"}..."#,
        r#"functions.lookup({"city":"Oslo"})"#,
        r#"functions.lookup:0{"city":"Oslo"}"#,
        r#"commentary to=functions.lookup json{"city":"Oslo"}"#,
        r#"print(default_api.lookup(city="Oslo"))"#,
        r#"[lookup(city="Oslo")]"#,
        r#"[calling lookup(city="Oslo")]"#,
        r#"const r = await lookup({ city: "Oslo" });"#,
        r#"await Promise.all([lookup({city:"Oslo"})])"#,
        r#">>> lookup(city="Oslo")"#,
        r#"lookup city="Oslo""#,
        r#"lookup(city: "Oslo")"#,
        "lookup\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>",
        "name: lookup\narguments: {\"city\":\"Oslo\"}",
        r#"{"function":"lookup","city":"Oslo"}"#,
        r#"multi_tool_use.parallel({"tool_uses":[{"recipient_name":"functions.lookup","parameters":{"city":"Oslo"}}]})"#,
        "json\n{\"name\":\"lookup\",\"arguments\":{\"city\":\"Oslo\"}}",
        r#"<function=lookup{"city":"Oslo"}</function>"#,
        r#"<function(lookup){"city":"Oslo"}</function>"#,
        r#"<xai:function_call name="lookup"><parameter name="city">Oslo</parameter></xai:function_call>"#,
        r#"<call_tool name="lookup">{"city":"Oslo"}</call_tool>"#,
        r#"<tool_name>lookup</tool_name><tool_input>{"city":"Oslo"}</tool_input>"#,
        r#"<function>lookup</function><parameters>{"city":"Oslo"}</parameters>"#,
        r#"<tool_use name="lookup"><city>Oslo</city></tool_use>"#,
        r#"<tool_call>{"tool":"lookup","city":"Oslo"}</tool_call>"#,
        r#"{lookup(city="Oslo")}"#,
        r#"[TOOL_REQUEST]{"name":"lookup","arguments":{"city":"Oslo"}}[END_TOOL_REQUEST]"#,
        r#"Lookup(city="Oslo")"#,
        r#"lookup.invoke({"city":"Oslo"})"#,
        "🔧 Calling lookup(city=\"Oslo\")...",
        "Tool used: lookup\nTool input: {\"city\":\"Oslo\"}",
        r#"{"functionCall":{"name":"lookup","args":{"city":"Oslo"}}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"lookup","arguments":{"city":"Oslo"}}}"#,
        r#"{"name":"lookup","arguments":{"city":"Oslo"},"reason":"to know"}"#,
    ] {
        says(text, OSLO);
        let told = answer(&["One moment.\n", text], Opening::Words).0;
        assert!(told.starts_with("One moment.\n\nlookup"), "{text}: {told}");
    }
    says("result = hours()", "\nhours {}");
    says("Action: hours[]", "\nhours {}");
}

#[test]
fn a_call_behind_a_sentence_is_not_read_aloud_and_does_not_run() {
    for text in [
        r#"One moment. lookup(city="Oslo")"#,
        r#"One moment. ```lookup(city="Oslo")```"#,
        r#"One moment. Action: lookup(city="Oslo")"#,
        "One moment. lookup(city=\"Oslo\") -> sunny",
    ] {
        says(text, &format!("One moment. {OSLO} QUOTED"));
    }
    let text = r#"I will use lookup: {"city":"Oslo"}"#;
    says(text, &format!("I will use lookup: {OSLO} QUOTED"));
    let text = r#"I will call lookup(city="Oslo")."#;
    says(text, &format!("I will call {OSLO} QUOTED"));
}

#[test]
fn what_cannot_be_read_as_arguments_never_runs() {
    for text in [
        r#"lookup("Oslo")"#,
        r#"lookup("Oslo", 2)"#,
        "lookup(city=Oslo)",
        "lookup(city=\"Oslo\"",
        "Action: lookup[Oslo]",
        r#"lookup: {"mon": 9}"#,
        r#"{"lookup":{"city":"Oslo"}"#,
        r#"[lookup(city="Oslo")"#,
        r#"{"command":"lookup","args":{"city":"Oslo"}}"#,
        r#"lookup({"mon": 9})"#,
    ] {
        let told = answer(&[text], Opening::Words).0;
        assert!(
            told.starts_with("\nlookup ") && told.ends_with(" CUT"),
            "{text}: {told}"
        );
    }
}

#[test]
fn a_call_in_quotation_marks_or_brackets_is_not_spoken_and_does_not_run() {
    for text in [
        r#""lookup(city='Oslo')""#,
        r#"(lookup(city="Oslo"))"#,
        r#"(calls lookup(city="Oslo"))"#,
        r#"“lookup(city="Oslo")”"#,
    ] {
        says(text, &format!("{OSLO} QUOTED"));
    }
}

#[test]
fn a_value_without_a_key_is_understood_when_the_tool_has_one_parameter() {
    let tool = ToolDefinition {
        name: "hours".to_owned(),
        description: String::new(),
        parameters: serde_json::json!({"type": "object", "properties": {"day": {"type": "string"}}}),
    };
    for text in [r#"hours("Friday")"#, "Action: hours[Friday]"] {
        let mut spoken = Spoken::new(Arc::from([tool.clone()]), Opening::Words);
        let mut all = spoken.push(text);
        all.extend(spoken.finish(true));
        assert_eq!(super::tests::told(all), "\nhours {\"day\":\"Friday\"}");
    }
}

#[test]
fn words_that_share_a_name_with_a_tool_are_spoken() {
    for text in [
        "hours(9-5) today, hours(10-4) tomorrow.",
        "hours (Mon-Fri): nine to five.",
        "Our hours(winter) differ. We open at nine.",
        "Our hours: {9-5}.",
        "hours [Mon-Fri]: 9-5",
        "hours: Monday to Friday",
        "Use hours, not minutes.",
        "Call hours: nine to five. Then wait.",
        "x = 5, y = 6.",
        "hours = count * 2. We open at nine.",
        "- lookup: finds a city\n- hours: tells the hours\nWhich one?",
        "I have these functions: lookup(city), hours(), order(items). Which one?",
        "I can call lookup() for you, shall I?",
        "The function lookup(city, days) takes two values.",
        "Run lookup(city=\"Oslo\") in the console, then wait.",
        "result = lookup(city=\"Oslo\") gives you the result.",
        "def lookup(city):\n    return city",
        "function lookup(city) { return 1; }",
        "return your lookup (unopened) within 14 days.",
        "weather(city=\"Oslo\")",
        "Action: weather\nAction Input: {\"city\": \"Oslo\"}",
        "/hours is the command. We open at nine.",
        "> hours() is quoted",
        "--- \nWe open at nine.",
    ] {
        says(text, text);
    }
}

#[test]
fn the_tag_of_a_call_is_a_word_where_no_call_follows() {
    for text in [
        "In HTML, write <function> before the name. We open at nine.",
        "The <invoke> element calls a template. We open at nine.",
        "Use <tool_call> in the prompt and it works.",
        "Write <answer> in the box. We open at nine.",
        "<function> is a word. We open at nine.",
        "<invoke> is a word. We open at nine.",
    ] {
        says(text, text);
    }
    let text = "I will use <function>lookup(city=\"Oslo\")</function>";
    says(text, &format!("I will use {OSLO}"));
}

#[test]
fn a_summary_is_spoken_unless_the_answer_follows_in_its_own_tag() {
    for tag in ["summary", "draft", "notes", "caption"] {
        says(
            &format!("<{tag}>The terrace is heated.</{tag}>\nWe open at nine."),
            "The terrace is heated.\nWe open at nine.",
        );
        says(
            &format!("Look:\n<{tag}>It is heated.</{tag}>"),
            "Look:\nIt is heated.",
        );
        says(
            &format!("<{tag}>secret</{tag}>\n<answer>We open at nine.</answer>"),
            "We open at nine.",
        );
    }
}

#[test]
fn what_is_left_out_without_being_thoughts_is_told() {
    for text in [
        "<plan>secret</plan>We open at nine.",
        "<notes>secret</notes><final>We open at nine.",
        "We open at nine.\nUser: secret\nAssistant: x",
    ] {
        let mut spoken = Spoken::new(super::tests::tools(), Opening::Words);
        let mut all = spoken.push(text);
        all.extend(spoken.finish(true));
        let is_told =
            |piece: &Piece| matches!(piece, Piece::LeftOut(words) if words.contains("secret"));
        assert!(all.iter().any(is_told), "{text}: {all:?}");
    }
}

#[test]
fn an_answer_that_is_wrapped_in_json_is_spoken_without_it() {
    for text in [
        r#"{"response": "We open at nine."}"#,
        "```json\n{\"answer\": \"We open at nine.\"}\n```",
        r#"{"role": "assistant", "content": "We open at nine."}"#,
        r#"{"action": "Final Answer", "action_input": "We open at nine."}"#,
    ] {
        says(text, "We open at nine.");
    }
    let text = r#"{"name": "Anna", "text": "Hi"}"#;
    says(text, text);
}

#[test]
fn thoughts_of_terminals_and_leaked_tokens_are_thoughts() {
    for text in [
        "Thinking...\nsecret\n...done thinking.\n\nWe open at nine.",
        "<ctrl94>thought\nsecret<ctrl95>We open at nine.",
        "<internal>secret</internal>We open at nine.",
        "<details>\n<summary>Thought for 2s</summary>\nsecret\n</details>\n\nWe open at nine.",
        "```tool_output\nsecret\n```\nWe open at nine.",
        "assistant\nWe open at nine.",
        "### Response:\nWe open at nine.",
        "<output>We open at nine.</output>",
        "*thinking: secret*\n\nWe open at nine.",
    ] {
        says(text, "We open at nine.");
    }
}
