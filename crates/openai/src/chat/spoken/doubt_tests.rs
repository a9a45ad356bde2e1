//! What is doubtful does not run, and words are not lost for it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

use super::tests::{answer, says, told, tools};
use super::*;

const B: &str = r#"{"name":"lookup","arguments":{"city":"Oslo"}}"#;
const OSLO: &str = "\nlookup {\"city\":\"Oslo\"}";

/// What an answer says that does not come to its proper end, and how the next one is expected to begin.
fn cut(text: &str, opening: Opening) -> (String, Opening) {
    let mut spoken = Spoken::new(tools(), opening);
    let mut all = spoken.push(text);
    all.extend(spoken.finish(false));
    (told(all), spoken.opening())
}

#[test]
fn a_call_in_thoughts_whose_beginning_was_not_seen_does_not_run() {
    for inside in [
        format!("Maybe <tool_call>{B}</tool_call> hmm, wait."),
        format!("<tool_call>{B}</tool_call>"),
        format!("Maybe <tool_call>{B}"),
        format!("I could call\n{B}\nbut first I should ask."),
        "Maybe lookup(city=\"Oslo\")\n".to_owned(),
        format!("Maybe [TOOL_CALLS][{B}]"),
    ] {
        for opening in [Opening::Words, Opening::Thoughts] {
            let text = format!("{inside}</think>May I have your name?");
            for at in 0..=text.len() {
                let pieces = [&text[..at], &text[at..]];
                let told = answer(&pieces, opening);
                let expected = ("May I have your name?".to_owned(), Opening::Thoughts);
                assert_eq!(told, expected, "{at}: {text}");
            }
        }
    }
    let text = format!("secret</think><tool_call>{B}</tool_call>");
    assert_eq!(answer(&[&text], Opening::Thoughts).0, OSLO);
    // a model that is known to begin in thoughts, and does not end them
    let text = format!("I could <tool_call>{B}</tool_call> but not now");
    let told = answer(&[&text], Opening::Thoughts).0;
    assert!(told.ends_with(" QUOTED"), "{told}");
    let text = format!("<tool_call>{B}</tool_call>");
    assert_eq!(answer(&[&text], Opening::Thoughts).0, OSLO);
}

#[test]
fn an_answer_cut_off_in_thoughts_says_nothing_and_teaches_nothing() {
    for text in [
        "Secret thoughts that never end and".to_owned(),
        format!("Secret <tool_call>{B}</tool_call> and"),
    ] {
        let nothing = (String::new(), Opening::Thoughts);
        assert_eq!(cut(&text, Opening::Thoughts), nothing, "{text}");
    }
    assert_eq!(cut("Thought: secret and", Opening::Words).0, "");
    assert_eq!(cut("Well, <think>secret and", Opening::Words).0, "Well, ");
    assert_eq!(cut("We open at", Opening::Words).0, "We open at");
}

#[test]
fn a_call_that_is_cut_inside_another_parameter_is_not_whole() {
    for text in [
        "<function=lookup><parameter=city>Oslo</parameter><parameter=da</function>",
        "<function=lookup><parameter=city>Oslo</parameter><para</function>",
        "<function=lookup><parameter=city>Oslo</parameter>da</function>",
        "<function=lookup><parameter=city>Oslo<parameter=days>1</parameter></function>",
        "<function=lookup><parameter=city>Oslo</function>",
        "<tool_call>lookup<arg_key>city</arg_key><arg_value>Oslo\n</tool_call>",
        "<tool_call>lookup<arg_key>city</arg_key><arg_value>Oslo</arg_value><arg_key>da</tool_call>",
        "<tool_call>lookup<arg_key>city</arg_key><arg_value>Oslo</arg_value><arg_k</tool_call>",
        "<tool_call>lookup<arg_key>city</arg_key><arg_value>Oslo</arg_value>da</tool_call>",
        "<tool_call>lookup<arg_key>city</arg_key><arg_value>Oslo<arg_key>days</arg_key><arg_value>1</arg_value></tool_call>",
        "<lookup><city>Oslo</city><da</lookup>",
        "<lookup><city>Oslo</city>da</lookup>",
        "<lookup><city>Oslo</lookup>",
        "<invoke name=\"lookup\"><parameter name=\"city\">Oslo</parameter><parameter name=\"da</invoke>",
        "<lookup city=\"Oslo\"/>",
    ] {
        let told = answer(&[text], Opening::Words).0;
        assert!(
            told.starts_with("\nlookup ") && told.ends_with(" CUT"),
            "{text}: {told}"
        );
    }
}

#[test]
fn marks_that_are_quoted_and_names_that_only_sound_like_thoughts_are_words() {
    for text in [
        "Our site is <thinkgeek.com>. We open at nine.",
        "Visit <reflections-spa.com> to book.",
        "The class is List<Thought>. We open at nine.",
        "The tag `<think>` opens thoughts. We open at nine.",
        "A model ends thoughts with `</think>` always.",
        "Write <reason> in the form. We open at nine.",
        "Use the <analysis> tag here. <think> twice.",
        "Write this:\n```\n<think>hm</think>\n```\nThat is all.",
        "Do this: ```bash\nls -l\n``` Then we open at nine.",
        "Here is my thought process: first soup, then steak.",
        "Thoughts: I would recommend the lamb. It is tender.",
        "Reasoning: the train leaves at nine.",
        "**Thoughts:** I like the blue one.\n\nShall I order it?",
        "Action: lookup the weather today.",
        "Action: hours vary by season.",
        "Tool: lookup the city in the list.",
        "(Thinking of you: that is the bouquet.",
        "(thoughts: none",
        "analysis1 is the file. We open at nine.",
        "Fields:\nUser: the name\nPassword: the word",
        "<tool>hammer</tool> is needed.",
        "<code>x = 1</code>\nThat is all.",
        "Turn left, turn 0, then: stop.",
        "It is 【new】 and: good.",
    ] {
        says(text, text);
    }
    let told = |text: &str| answer(&[text], Opening::Words).0;
    assert_eq!(told("We open.\n<think>secret about next"), "We open.\n");
}

#[test]
fn thoughts_end_with_the_tag_they_began_with_or_its_sister() {
    for text in [
        "<think>secret</thinking>We open.",
        "<thinking>secret</think>We open.",
        "<reasoning>secret</think>We open.",
        "<think>a <thinking>b</thinking> secret</think>We open.",
        "<thinking>a <think>b</think> secret</thinking>We open.",
        "<commentary>secret</commentary>We open.",
        "<|reasoning_start|>secret<|reasoning_end|>We open.",
        "<|begin_of_reflection|>secret<|end_of_reflection|>We open.",
        "[BEGIN THOUGHTS] secret [END THOUGHTS] We open.",
        "## Thinking\nsecret\n\n## Answer\nWe open.",
        "**Reasoning**\nsecret\n\n**Answer**\nWe open.",
        "### Reasoning:\nsecret\n### Response:\nWe open.",
        "Assistant: We open.",
    ] {
        says(text, "We open.");
    }
}

#[test]
fn what_stands_for_a_call_is_not_spoken() {
    for text in [
        format!("TOOL_CALLS [{B}]"),
        format!("TOOL_CALL: {B}"),
        "Action:\n```json\n{\"action\": \"lookup\", \"action_input\": {\"city\": \"Oslo\"}}\n```".to_owned(),
        "<tool name=\"lookup\">{\"city\":\"Oslo\"}</tool>".to_owned(),
        "<call>lookup(city=\"Oslo\")</call>".to_owned(),
        "<execute>lookup(city=\"Oslo\")</execute>".to_owned(),
        format!("<action>{B}</action>"),
        "<use_mcp_tool>\n<tool_name>lookup</tool_name>\n<arguments>{\"city\":\"Oslo\"}</arguments>\n</use_mcp_tool>".to_owned(),
        "```tool_code\nresult = lookup(city=\"Oslo\")\nprint(result)\n```".to_owned(),
    ] {
        says(&text, OSLO);
        says(
            &format!("One moment.\n{text}"),
            &format!("One moment.\n{OSLO} QUOTED"),
        );
    }
    for text in [r#"{"name":"hours"}"#, r#"{"name":"lookup","city":"Oslo"}"#] {
        let told = answer(&[text], Opening::Words).0;
        assert!(told.ends_with(" CUT"), "{told}");
    }
}

#[test]
fn the_model_does_not_go_on_as_the_caller() {
    for text in [
        "We open at nine.\nUser: And when do you close?\nAssistant: At five.",
        "We open at nine.\n\nHuman: Thanks.\n\nAI: Bye.\nUser: x",
        "We open at nine.\n**Customer:** Thanks.\n**Agent:** Bye.",
    ] {
        let told = answer(&[text], Opening::Words).0;
        assert_eq!(told.trim_end(), "We open at nine.", "{text}");
        says(text, &told);
    }
}

#[test]
fn references_that_only_a_server_understands_are_not_spoken() {
    says(
        "We open at nine turn0search1. Closed :contentReference[oaicite:0]{index=0}.",
        "We open at nine . Closed .",
    );
    says("We open【4:0†menu.md】 at nine.", "We open at nine.");
    says(
        "We open\u{e200}cite\u{e202}turn0search1\u{e201}.",
        "We open.",
    );
    says("At nine turn0view12", "At nine ");
}

#[test]
fn a_value_is_text_where_the_tool_wants_text() {
    let parameters = serde_json::json!({"type": "object", "properties": {
        "party_size": {"type": "integer"},
        "name": {"type": ["string", "null"]},
        "phone": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "day": {"enum": ["1", "2"]},
    }});
    let tool = ToolDefinition {
        name: "book".to_owned(),
        description: String::new(),
        parameters,
    };
    let called = |text: &str| {
        let mut spoken = Spoken::new(Arc::from([tool.clone()]), Opening::Words);
        let mut all = spoken.push(text);
        all.extend(spoken.finish(true));
        told(all)
    };
    let glm = |key: &str, value: &str| {
        called(&format!(
            "<tool_call>book<arg_key>{key}</arg_key><arg_value>{value}</arg_value></tool_call>"
        ))
    };
    assert_eq!(glm("name", "5550123"), "\nbook {\"name\":\"5550123\"}");
    assert_eq!(glm("phone", "5550123"), "\nbook {\"phone\":\"5550123\"}");
    assert_eq!(glm("day", "1"), "\nbook {\"day\":\"1\"}");
    assert_eq!(glm("party_size", "2"), "\nbook {\"party_size\":2}");
    assert_eq!(glm("name", "None"), "\nbook {\"name\":null}");
    let dsml = |is_string: &str| {
        called(&format!(
            "<｜DSML｜function_calls><｜DSML｜invoke name=\"book\"><｜DSML｜parameter name=\"x\" string=\"{is_string}\">12</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>"
        ))
    };
    assert_eq!(dsml("true"), "\nbook {\"x\":\"12\"}");
    assert_eq!(dsml("false"), "\nbook {\"x\":12}");
}

#[test]
fn where_the_text_is_cut_changes_nothing() {
    let text =
        r#"<{"name":"lookup","arguments":{}}/think<ObservassistanObservation:tfinalation:think>>"#;
    let whole = answer(&[text], Opening::Words);
    for size in 1..9 {
        let letters: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = letters
            .chunks(size)
            .map(|piece| piece.iter().collect())
            .collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        assert_eq!(answer(&pieces, Opening::Words), whole, "{size}");
    }
}
