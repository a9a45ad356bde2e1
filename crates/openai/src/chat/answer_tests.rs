#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn answer(events: &[&str]) -> Result<Vec<ChatChunk>, AnswerError> {
    let mut answer = Answer::default();
    let mut out = Vec::new();
    for event in events {
        answer.push(event, &mut out)?;
    }
    answer.finish(&mut out)?;
    Ok(out)
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
fn a_call_comes_out_whole_when_the_next_one_begins() {
    let mut answer = Answer::default();
    let mut out = Vec::new();
    let first = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]}"#;
    let rest =
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}"#;
    let second = r#"{"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":""}}]}}]}"#;
    answer.push(first, &mut out).unwrap();
    answer.push(rest, &mut out).unwrap();
    assert_eq!(out, []);
    answer.push(second, &mut out).unwrap();
    assert_eq!(out, [call("a", "f", r#"{"x":1}"#)]);
    answer
        .push(
            r#"{"choices":[{"delta":null,"finish_reason":"tool_calls"}]}"#,
            &mut out,
        )
        .unwrap();
    assert_eq!(out.last(), Some(&call("b", "g", "{}")));
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
fn a_missing_done_is_fine_but_a_cut_answer_is_not() {
    let piece = r#"{"choices":[{"delta":{"content":"Hi"}}]}"#;
    assert_eq!(answer(&[piece]), Err(AnswerError::Unfinished));
    assert_eq!(
        answer(&[
            piece,
            r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#
        ])
        .unwrap(),
        [text("Hi")]
    );
    assert_eq!(answer(&[piece, "[DONE]"]).unwrap(), [text("Hi")]);
}

#[test]
fn an_error_inside_the_stream_is_reported() {
    let error = answer(&[r#"{"error":{"message":"overloaded","code":503}}"#]).unwrap_err();
    assert_eq!(
        error,
        AnswerError::Reported {
            status: Some(503),
            message: "overloaded".to_owned()
        }
    );
    assert!(matches!(
        answer(&["<html>"]),
        Err(AnswerError::Malformed(_))
    ));
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
    let long = "x".repeat(MAX_ARGUMENT_BYTES + 1);
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
