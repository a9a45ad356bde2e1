#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use proptest::prelude::*;

use super::*;

fn tools() -> Arc<[ToolDefinition]> {
    Arc::from(["f", "g", "book"].map(|name| ToolDefinition {
        name: name.to_owned(),
        description: String::new(),
        parameters: serde_json::json!({"type": "object"}),
    }))
}

/// The chunks, then warnings and tokens.
fn answer(events: &[&str]) -> Result<Vec<ChatChunk>, AnswerError> {
    let mut answer = Answer::new(tools(), Opening::Words);
    let mut out = Vec::new();
    for event in events {
        answer.push(event, &mut out)?;
    }
    let ending = answer.finish(&mut out)?;
    out.extend(ending.warnings.into_iter().map(ChatChunk::Warning));
    out.extend(ending.usage.map(ChatChunk::Usage));
    Ok(out)
}

fn said(content: &str) -> String {
    serde_json::json!({"choices": [{"delta": {"content": content}}]}).to_string()
}

fn called(index: u32, id: &str, name: &str, arguments: &str) -> String {
    let call = serde_json::json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
    serde_json::json!({"choices": [{"delta": {"tool_calls": [call]}}]}).to_string()
}

fn finished(reason: &str) -> String {
    serde_json::json!({"choices": [{"delta": {}, "finish_reason": reason}]}).to_string()
}

fn refused(chunk: &ChatChunk) -> Option<(&str, &str)> {
    match chunk {
        ChatChunk::RefusedCall { call, why } => Some((&call.name, why)),
        _ => None,
    }
}

fn text(piece: &str) -> ChatChunk {
    ChatChunk::Text(piece.to_owned())
}

fn call(call_id: &str, name: &str, arguments: &str) -> ChatChunk {
    ChatChunk::ToolCall(ToolCall {
        call_id: call_id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

#[test]
fn text_and_tokens_of_openai() {
    let chunks = answer(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"lo."}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}"#,
        "[DONE]",
    ]);
    let usage = Usage {
        prompt_tokens: 9,
        cached_tokens: 4,
        completion_tokens: 2,
    };
    assert_eq!(
        chunks.unwrap(),
        [text("Hel"), text("lo."), ChatChunk::Usage(usage)]
    );
}

#[test]
fn calls_come_out_when_the_answer_has_come_to_its_end_whatever_the_order_of_their_pieces() {
    let mut answer = Answer::new(tools(), Opening::Words);
    let mut out = Vec::new();
    for event in [
        called(0, "a", "f", ""),
        called(1, "b", "g", ""),
        called(0, "", "", "{\"x\""),
        called(1, "", "", "{}"),
        called(0, "", "", ":1}"),
        finished("tool_calls"),
    ] {
        answer.push(&event, &mut out).unwrap();
        assert_eq!(out, []);
    }
    answer.finish(&mut out).unwrap();
    assert_eq!(out, [call("a", "f", r#"{"x":1}"#), call("b", "g", "{}")]);
}

#[test]
fn a_call_of_an_answer_that_was_cut_off_is_refused_even_if_it_looks_whole() {
    let whole = called(0, "a", "f", "{}");
    let half = called(1, "b", "book", r#"{"guests":1"#);
    let empty = called(1, "b", "book", "");
    let text = said("One moment.");
    for reason in ["length", "content_filter", "MAX_TOKENS", "SAFETY", "error"] {
        for last in [&half, &empty, &whole] {
            let out = answer(&[&text, &whole, last, &finished(reason), "[DONE]"]).unwrap();
            let mut calls = 0;
            for chunk in &out {
                assert!(
                    !matches!(chunk, ChatChunk::ToolCall(_)),
                    "{reason}: {chunk:?}"
                );
                calls += usize::from(
                    refused(chunk).is_some_and(|(_, why)| why.contains("nothing has happened")),
                );
            }
            assert!(calls > 0);
            assert!(out.iter().any(|chunk| matches!(chunk, ChatChunk::Warning(why) if why.contains(reason) && why.contains("not run"))));
        }
    }
    // no end at all
    let out = answer(&[&whole]).unwrap();
    assert_eq!(refused(&out[0]).unwrap().0, "f");
    // an end by `[DONE]` alone
    assert_eq!(answer(&[&whole, "[DONE]"]).unwrap(), [call("a", "f", "{}")]);
    // what is half in a whole answer is for the agent to refuse
    let out = answer(&[&whole, &half, &finished("stop")]).unwrap();
    assert_eq!(
        out,
        [call("a", "f", "{}"), call("b", "book", r#"{"guests":1"#)]
    );
}

#[test]
fn only_an_end_that_is_known_to_be_proper_lets_a_call_run() {
    let whole = called(0, "a", "f", "{}");
    let last = |event: Value| {
        let event = event.to_string();
        let out = answer(&[&whole, &event, "[DONE]"]).unwrap();
        matches!(out[0], ChatChunk::ToolCall(_))
    };
    let ends = |field: &str, reason: Value| {
        last(serde_json::json!({"choices": [{"delta": {}, field: reason}]}))
    };
    for reason in [
        "stop",
        "tool_calls",
        "function_call",
        "eos",
        "eos_token",
        "end_turn",
        "tool_use",
        "stop_sequence",
        "COMPLETE",
        "completed",
        "STOP",
        "FinishReason.STOP",
        "TOOL_CALLS",
    ] {
        assert!(ends("finish_reason", reason.into()), "{reason}");
    }
    for reason in [
        "incomplete",
        "too_long",
        "time_limit",
        "timeout",
        "refusal",
        "sensitive",
        "unknown",
        "engine_overloaded",
        "not_finished",
        "max_output_tokens",
        "guardrail_intervened",
        "FINISH_REASON_UNSPECIFIED",
        "anything",
    ] {
        assert!(!ends("finish_reason", reason.into()), "{reason}");
        assert!(!ends("native_finish_reason", reason.into()), "{reason}");
    }
    assert!(ends(
        "finish_reason",
        serde_json::json!({"type": "stop", "matched": 7})
    ));
    assert!(!last(serde_json::json!({"choices": [
        {"delta": {}, "finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"}
    ]})));
    // no word at all, as some servers end, is an end when `[DONE]` says so
    assert!(ends("finish_reason", Value::Null) && ends("finish_reason", "".into()));
}

#[test]
fn no_call_runs_when_a_piece_of_the_answer_was_lost() {
    let (begin, end) = (
        called(0, "a", "book", r#"{"guests":1"#),
        called(0, "", "", "}"),
    );
    let stop = finished("tool_calls");
    let lost = [
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"2"#,
        r#"{"choices":"[{\"delta\":{}}]"}"#,
        r#"{"choices":[{"delta":{"tool_calls":"2"}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":["2"]}}]}"#,
        r#"{"choices":[{"delta":7}]}"#,
        r#"{"cho\nices":[{"delta":{"tool_calls":[]}}]}"#,
    ];
    for line in lost {
        let out = answer(&[&begin, line, &end, &stop, "[DONE]"]).unwrap();
        let (name, why) = refused(&out[0]).unwrap();
        assert!(
            name == "book" && why.contains("nothing has happened"),
            "{line}"
        );
        assert!(
            matches!(&out[1], ChatChunk::Warning(told) if told.contains("not run")),
            "{line}"
        );
        // words are said all the same
        let out = answer(&[&said("We open"), line, &said(" at nine."), &stop]).unwrap();
        assert_eq!(out[..2], [text("We open"), text(" at nine.")], "{line}");
        assert!(
            matches!(&out[2..], [ChatChunk::Warning(told)] if told.contains("may be missing")),
            "{line}"
        );
    }
    for harmless in [
        "ping",
        r#"{"type":"ping"}"#,
        "{}",
        r#"{"message":"queued","position":3}"#,
    ] {
        let out = answer(&[&begin, harmless, &end, &stop]).unwrap();
        assert_eq!(out, [call("a", "book", r#"{"guests":1}"#)], "{harmless}");
    }
}

#[test]
fn a_call_that_is_sent_and_written_runs_once() {
    let written = said(r#"<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>"#);
    let sent = called(0, "a", "f", r#"{"x":1}"#);
    let stop = finished("stop");
    let once = [call("a", "f", r#"{"x":1}"#)];
    assert_eq!(answer(&[&written, &sent, &stop]).unwrap(), once);
    assert_eq!(answer(&[&sent, &written, &stop]).unwrap(), once);
    let other = called(0, "a", "f", r#"{"x":2}"#);
    let out = answer(&[&written, &other, &stop]).unwrap();
    assert_eq!(out.len(), 2);
}

#[test]
fn carelessly_written_pieces_keep_their_words_and_calls() {
    let nine = "We open at nine.";
    for events in [
        &[
            r#"{"choices":[{"delta":{"content":"We open at nine."},"logprobs":NaN}],"usage":{"prompt_tokens":NaN}}"#,
        ][..],
        &[
            r#"{"choices":[{"delta":{"content":"We open "}}]}{"choices":[{"delta":{"content":"at nine."}}]}"#,
        ],
        &[
            "{\"choices\":[{\"delta\":{\"content\":\"We open \"}}]}\n{\"choices\":[{\"delta\":{\"content\":\"at nine.\"}}]}\n[DONE]",
        ],
        &[r#"data: {"choices":[{"delta":{"content":"We open at nine."}}]}"#],
        &[r#"[{"choices":[{"delta":{"content":"We open at nine."}}]}]"#],
        &[r#"{"choices":[{"index":"0","delta":"We open at nine."}]}"#],
        &[r#"{"choices":[{"delta":{"content":"We open at nine."}}],"error":0}"#],
        &[
            r#"{"message":"queued"}"#,
            r#"{"choices":[{"delta":{"content":"We open at nine."},"error":null}]}"#,
        ],
        // everything once more
        &[
            r#"{"choices":[{"delta":{"content":"We open "}}]}"#,
            r#"{"choices":[{"delta":{"content":"at nine."}}]}"#,
            r#"{"choices":[{"message":{"content":"We open at nine."}}]}"#,
        ],
        &[
            r#"{"choices":[{"delta":{"content":"We open at nine."}}]}"#,
            r#"{"object":"chat.completion","choices":[{"delta":{"content":"We open at nine."}}]}"#,
        ],
        &[
            r#"{"choices":[{"delta":{"content":"We open at nine."}}]}"#,
            r#"{"choices":[{"delta":{"content":"We open at nine."},"finish_reason":"stop"}]}"#,
        ],
        // messages that grow, and messages in pieces
        &[
            r#"{"choices":[{"message":{"content":"We open "}}]}"#,
            r#"{"choices":[{"message":{"content":"We open at nine."}}]}"#,
        ],
        &[
            r#"{"choices":[{"message":{"content":"We open "}}]}"#,
            r#"{"choices":[{"message":{"content":"at nine."}}]}"#,
        ],
    ] {
        let stop = finished("stop");
        let mut events = events.to_vec();
        events.push(&stop);
        let out = answer(&events).unwrap();
        let words: String = out
            .iter()
            .map(|chunk| match chunk {
                ChatChunk::Text(words) => words.as_str(),
                ChatChunk::Usage(_) => "",
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(words, nine, "{events:?}");
    }
    let one = r#"{"choices":[{"delta":{"tool_calls":{"id":"a","function":{"name":"f","arguments":"{}"}}}}]}"#;
    let again = r#"{"choices":[{"delta":{},"message":{"tool_calls":[{"id":"a2","function":{"name":"f","arguments":"{}"}}]}}]}"#;
    for events in [&[one][..], &[one, again], &[again]] {
        let mut events = events.to_vec();
        let stop = finished("tool_calls");
        events.push(&stop);
        let out = answer(&events).unwrap();
        assert!(matches!(&out[..], [ChatChunk::ToolCall(_)]), "{out:?}");
    }
}

#[test]
fn a_call_written_as_text_is_a_call_like_others() {
    let written = r#"Wait. <tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>"#;
    assert_eq!(
        answer(&[&said(written), &finished("stop")]).unwrap(),
        [text("Wait. "), call("call_1", "f", r#"{"x":1}"#)]
    );
    let out = answer(&[&said(written), &finished("length")]).unwrap();
    assert_eq!(refused(&out[1]).unwrap().0, "f");
    let half = answer(&[&said(&written[..45]), &finished("stop")]).unwrap();
    assert_eq!(refused(&half[1]).unwrap().0, "f");
    let unreadable = answer(&[&said("<tool_call>hm</tool_call>"), &finished("stop")]).unwrap();
    assert!(matches!(&unreadable[..], [ChatChunk::Warning(why)] if why.contains("cannot be read")));
}

#[test]
fn a_tool_that_was_not_offered_is_not_run_and_its_name_does_no_harm() {
    let out = answer(&[&called(0, "a", "rm -rf", "{}"), &finished("stop")]).unwrap();
    assert_eq!(
        refused(&out[0]),
        Some((
            "rm_-rf",
            "There is no tool `rm -rf`. The tools are: f, g, book"
        ))
    );
    let prefixed = answer(&[&called(0, "a", "functions.f", "{}"), &finished("stop")]).unwrap();
    assert_eq!(prefixed, [call("a", "f", "{}")]);
}

#[test]
fn a_line_or_field_that_cannot_be_read_costs_only_itself() {
    let expected = [text("We open "), text("at nine.")];
    let (one, two, end) = (said("We open "), said("at nine."), finished("stop"));
    for odd in [
        "ping",
        "{\"id\":",
        "[]",
        "7",
        r#"{"type":"ping"}"#,
        r#"{"choices":7}"#,
        r#"{"choices":[7,null,{}]}"#,
        r#"{"choices":[{"delta":{"content":7,"tool_calls":{}}}]}"#,
    ] {
        let mut out = answer(&[odd, &one, odd, &two, odd, &end]).unwrap();
        // what may have held words is told
        out.retain(|chunk| !matches!(chunk, ChatChunk::Warning(_)));
        assert_eq!(out, expected, "{odd}");
    }
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":12.0,"completion_tokens":-35,"prompt_tokens_details":[]}}"#;
    let tokens = Usage {
        prompt_tokens: 12,
        ..Usage::default()
    };
    assert_eq!(
        answer(&[&one, &two, usage, &end]).unwrap(),
        [text("We open "), text("at nine."), ChatChunk::Usage(tokens)]
    );
    let halves = [
        r#"{"choices":[{"delta":{"content":"Enjoy \ud83c"}}]}"#,
        r#"{"choices":[{"delta":{"content":"\udf55!"}}]}"#,
    ];
    assert_eq!(
        answer(&[halves[0], halves[1], &end]).unwrap(),
        [text("Enjoy "), text("🍕!")]
    );
    assert_eq!(
        answer(&[halves[0], &end]).unwrap(),
        [text("Enjoy "), text("\u{FFFD}")]
    );
}

#[test]
fn half_a_sentence_is_told() {
    for (end, why) in [("length", "length"), ("content_filter", "content_filter")] {
        let out = answer(&[&said("Well, the answer is"), &finished(end)]).unwrap();
        assert!(
            matches!(&out[1], ChatChunk::Warning(told) if told.contains(why)),
            "{out:?}"
        );
    }
    let out = answer(&[&said("We open at nine.")]).unwrap();
    assert!(
        matches!(&out[..], [ChatChunk::Text(_), ChatChunk::Warning(told)] if told.contains("without a finish reason"))
    );
}

#[test]
fn calls_without_index_and_with_the_same_index_are_told_apart() {
    let ollama = r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"f","arguments":{"x":2}}}]},"finish_reason":"tool_calls"}]}"#;
    assert_eq!(
        answer(&[ollama]).unwrap(),
        [call("a", "f", "{}"), call("b", "f", r#"{"x":2}"#)]
    );
    let gemini = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
    assert_eq!(
        answer(&[gemini]).unwrap(),
        [call("a", "f", "{}"), call("b", "g", "{}")]
    );
    let no_ids = r#"{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}]},"finish_reason":"stop"}]}"#;
    assert_eq!(
        answer(&[no_ids]).unwrap(),
        [call("call_1", "f", "{}"), call("call_2", "g", "{}")]
    );
}

#[test]
fn a_server_that_does_not_stream_or_sends_parts_is_understood() {
    let whole = r#"{"choices":[{"message":{"content":[{"type":"text","text":"<think>x</think> Hi"},{"type":"text","text":"!"}]},"finish_reason":"stop"}]}"#;
    assert_eq!(answer(&[whole]).unwrap(), [text("Hi!")]);
}

#[test]
fn a_missing_done_is_fine_but_an_answer_without_anything_is_not() {
    let piece = said("Hi");
    assert_eq!(answer(&[]), Err(AnswerError::Unfinished));
    assert_eq!(answer(&[&piece, &finished("stop")]).unwrap(), [text("Hi")]);
    assert_eq!(answer(&[&piece, "[DONE]"]).unwrap(), [text("Hi")]);
}

#[test]
fn what_the_server_says_about_its_failure_is_reported() {
    let reported = |event: &str| match answer(&[event]) {
        Err(AnswerError::Reported(error)) => (error.status, error.message),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reported(r#"{"error":{"message":"overloaded","code":503}}"#),
        (Some(503), "overloaded".to_owned())
    );
    assert_eq!(
        reported(r#"{"object":"error","message":"engine","code":500}"#),
        (Some(500), "engine".to_owned())
    );
    assert_eq!(reported(r#"{"detail":"no"}"#), (None, "no".to_owned()));
    assert_eq!(
        answer(&["<html><title>Sign in</title>", "<p>"]),
        Err(AnswerError::Malformed("a web page, \"Sign in\"; the base URL must be that of an OpenAI-compatible API, usually ending with /v1".to_owned()))
    );
}

#[test]
fn arguments_are_repaired_as_little_as_possible() {
    assert_eq!(repaired("  ".to_owned()), "{}");
    assert_eq!(repaired("null".to_owned()), "{}");
    assert_eq!(repaired(r#""{\"a\":1}""#.to_owned()), r#"{"a":1}"#);
    assert_eq!(repaired("{broken".to_owned()), "{broken");
}

#[test]
fn an_endless_answer_is_refused() {
    let long = "x".repeat(crate::chat::calls::MAX_ARGUMENT_BYTES + 1);
    let chunk = format!(
        r#"{{"choices":[{{"delta":{{"tool_calls":[{{"function":{{"name":"f","arguments":"{long}"}}}}]}}}}]}}"#
    );
    assert!(matches!(answer(&[&chunk]), Err(AnswerError::Malformed(_))));
}

proptest! {
    #[test]
    fn nothing_a_server_sends_makes_it_panic(events in prop::collection::vec(
        r#"(\[DONE\]|\{"choices":\[\{"delta":(null|\{\}|\{"content":("a"|null|\[\]|7)\}|\{"tool_calls":\[(|\{\}|\{"index":-1,"id":"x"\}|\{"function":\{"name":"n"\}\})\]\})(,"finish_reason":("stop"|null|""))?\}\]\}|[a-z\{\}"]{0,9})"#, 0..8)) {
        let _ = answer(&events.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

fn call_told(out: &[ChatChunk]) -> Vec<String> {
    let told = out.iter().filter_map(|chunk| match chunk {
        ChatChunk::ToolCall(call) => Some(format!("{} {}", call.name, call.arguments)),
        ChatChunk::RefusedCall { call, why } => Some(format!("{}: {why}", call.name)),
        _ => None,
    });
    told.collect()
}

#[test]
fn the_same_call_runs_once_however_often_it_is_sent() {
    let stop = finished("tool_calls");
    let arguments = r#"{"guests":2}"#;
    let written = format!(r#"<tool_call>{{"name":"book","arguments":{arguments}}}</tool_call>"#);
    let (one, two) = (called(0, "a", "book", arguments), said(&written));
    for again in [
        called(1, "a", "book", arguments),
        called(1, "b", "book", r#"{ "guests": 2 }"#),
        called(0, "b", "book", arguments),
        two.clone(),
    ] {
        let out = answer(&[&one, &again, &stop]).unwrap();
        assert_eq!(call_told(&out), [format!("book {arguments}")], "{again}");
    }
    let out = answer(&[&two, &two, &stop]).unwrap();
    assert_eq!(call_told(&out), [format!("book {arguments}")]);
    // another is another
    let other = called(1, "b", "book", r#"{"guests":3}"#);
    assert_eq!(call_told(&answer(&[&one, &other, &stop]).unwrap()).len(), 2);
}

#[test]
fn a_call_among_words_is_sent_back_as_a_quotation_and_not_as_cut_off() {
    let text = said("For example:\nbook(guests=2)\nThat is all.");
    let told = call_told(&answer(&[&text, &finished("stop")]).unwrap());
    assert!(
        told[0].contains("among other words") && !told[0].contains("cut off"),
        "{told:?}"
    );
}

#[test]
fn a_tool_is_known_by_its_letters_whatever_sticks_to_its_name() {
    for name in [
        "functions.book",
        "default_api.book",
        "functions.book:0",
        "book<|channel|>commentary",
        "assistant<|channel|>book",
        "Book",
        " book\n",
        "book<|constrain|>json",
    ] {
        let out = answer(&[&called(0, "a", name, "{}"), &finished("tool_calls")]).unwrap();
        assert_eq!(call_told(&out), ["book {}"], "{name}");
    }
    let out = answer(&[&called(0, "a", "books", "{}"), &finished("tool_calls")]).unwrap();
    assert!(call_told(&out)[0].contains("There is no tool"));
}

#[test]
fn every_word_for_a_proper_end_is_understood() {
    for word in [
        "FINISH_REASON_STOP",
        "normal",
        "end",
        "finish",
        "eos_token_id",
    ] {
        let out = answer(&[&called(0, "a", "f", "{}"), &finished(word)]).unwrap();
        assert_eq!(out, [call("a", "f", "{}")], "{word}");
    }
    for word in ["FINISH_REASON_MAX_TOKENS", "pause_turn", "recitation"] {
        let out = answer(&[&called(0, "a", "f", "{}"), &finished(word)]).unwrap();
        assert!(call_told(&out)[0].contains("cut off"), "{word}");
    }
}

#[test]
fn what_the_caller_or_a_tool_is_to_have_said_is_not_spoken() {
    for role in ["user", "tool", "system"] {
        let echo = format!(r#"{{"choices":[{{"delta":{{"role":"{role}","content":"secret"}}}}]}}"#);
        let out = answer(&[&echo, &said("We open."), &finished("stop")]).unwrap();
        assert_eq!(out, [text("We open.")], "{role}");
    }
}
