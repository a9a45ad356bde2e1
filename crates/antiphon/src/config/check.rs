//! What the types cannot say. Every finding names the key, and after a semicolon the fix; all are reported at once. `doctor`
//! and the other verbs come through here.

use antiphon_dialogue::Options;
use antiphon_server::Tls;

use super::address::{is_http, shown_url};
use super::{Config, ToolConfig};

/// Several findings, each with its fix.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n  "))]
pub struct Findings(pub Vec<String>);

/// Tools that a model can choose between without confusion.
const MAX_TOOLS: usize = 64;
/// Deepgram's limit on key terms.
const MAX_KEYTERMS: usize = 100;
/// HTTP methods that a tool may use.
pub(super) const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Tool sets in the binary.
pub(super) const BUILTIN_TOOLS: [&str; 1] = ["restaurant_bookings"];

/// Everything that is wrong with a configuration.
pub fn check(config: &Config) -> Vec<String> {
    let mut findings = Vec::new();
    let mut need = |good: bool, finding: &str| {
        if !good {
            findings.push(finding.to_owned());
        }
    };
    need(
        !config.name.trim().is_empty(),
        "name is empty; give the agent a name such as \"front-desk\"",
    );
    need(
        config.name.len() <= 64,
        "name is longer than 64 bytes; shorten it",
    );
    need(
        !config
            .name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control()),
        "name holds white space; use a name such as \"front-desk\"",
    );
    need(
        config
            .greeting
            .as_deref()
            .is_none_or(|text| !text.trim().is_empty()),
        "greeting is empty; leave the key out for an agent that waits for the caller",
    );
    need(
        config.stt.keyterms.len() <= MAX_KEYTERMS,
        "[stt] keyterms has more than 100 entries; keep the most unusual words",
    );
    need(
        config
            .llm
            .temperature
            .is_none_or(|t| (0.0..=2.0).contains(&t)),
        "[llm] temperature is out of range; it must be between 0 and 2",
    );
    need(
        config.tts.speed.is_none_or(|s| (0.25..=4.0).contains(&s)),
        "[tts] speed is out of range; it must be between 0.25 and 4",
    );
    need(
        config
            .vad
            .activation_threshold
            .is_none_or(|p| p > 0.0 && p < 1.0),
        "[vad] activation_threshold is out of range; it must be between 0 and 1",
    );
    if let Err(error) = config.turn.patch().onto(&Options::default()) {
        findings.push(format!("[turn] {error}"));
    }
    let mut need = |good: bool, finding: &str| {
        if !good {
            findings.push(finding.to_owned());
        }
    };
    need(
        config.server.tls_cert.is_some() == config.server.tls_key.is_some(),
        "[server] tls_cert and tls_key belong together; give both or neither",
    );
    need(
        config.server.tls_cert.is_none() || config.server.acme_domains.is_empty(),
        "[server] tls_cert and acme_domains are two certificates; give one",
    );
    need(
        !config.server.acme_domains.is_empty()
            || config.server.acme_email.is_none()
                && config.server.acme_directory.is_none()
                && config.server.acme_directory_ca.is_none(),
        "[server] acme_email, acme_directory and acme_directory_ca do nothing without acme_domains; name the host, as in \
         acme_domains = [\"voice.example.com\"]",
    );
    need(
        config.telemetry.record_files != Some(0) && config.telemetry.record_days != Some(0),
        "[telemetry] record_files and record_days must be at least 1; to record nothing leave out record",
    );
    need(
        config
            .knowledge
            .as_ref()
            .and_then(|k| k.top_k)
            .is_none_or(|k| (1..=20).contains(&k)),
        "[knowledge] top_k is out of range; it must be between 1 and 20",
    );
    need(
        config
            .knowledge
            .as_ref()
            .is_none_or(|k| k.path.is_some() || !k.sources.is_empty()),
        "[knowledge] names nothing to search; set path to a folder, or add [[knowledge.sources]]",
    );
    need(
        config.tools.len() <= MAX_TOOLS,
        "more than 64 [[tool]] entries; models confuse so many: leave some out",
    );
    for url in [&config.llm.base_url, &config.tts.base_url]
        .into_iter()
        .flatten()
    {
        if !is_http(url) {
            findings.push(format!(
                "base_url `{}` is not an address; write it like http://localhost:11434/v1",
                shown_url(url)
            ));
        }
    }
    check_request(config, &mut findings);
    check_limits(config, &mut findings);
    check_server(config, &mut findings);
    let mut names = Vec::new();
    for tool in &config.tools {
        check_tool(tool, &mut names, &mut findings);
    }
    findings
}

/// Fields of the request to the model that have keys of their own, or without which there is no request.
fn check_request(config: &Config, findings: &mut Vec<String>) {
    let llm = &config.llm;
    let own = [
        ("model", "use the key model"),
        ("messages", "use instructions"),
        ("tools", "use [[tool]]"),
        ("stream", "answers are always streamed"),
    ];
    for (name, fix) in own {
        if llm.extra_body.contains_key(name) {
            findings.push(format!(
                "[llm] extra_body holds `{name}`; take it out: {fix}"
            ));
        }
        if llm.leave_out.iter().any(|left| left == name) {
            findings.push(format!(
                "[llm] leave_out holds `{name}`, without which no model can answer; take it out"
            ));
        }
    }
    for name in llm
        .leave_out
        .iter()
        .filter(|name| llm.extra_body.contains_key(*name))
    {
        findings.push(format!(
            "[llm] `{name}` stands in extra_body and in leave_out; take it out of one of them"
        ));
    }
}

/// The room server looks back this long for a caller whom a leaving agent has left unanswered.
const LONGEST_GRACE: std::time::Duration = std::time::Duration::from_secs(60);

fn check_limits(config: &Config, findings: &mut Vec<String>) {
    if config
        .room
        .return_grace
        .is_some_and(|grace| grace.0 > LONGEST_GRACE)
    {
        findings.push(
            "[room] return_grace is more than 60 seconds; an agent without a caller is sent home sooner".to_owned(),
        );
    }
    let limits = &config.limits;
    let zero = [
        ("joins_per_second", limits.joins_per_second == Some(0)),
        ("api_per_second", limits.api_per_second == Some(0)),
        ("key_per_second", limits.key_per_second == Some(0)),
        ("max_connections", limits.max_connections == Some(0)),
        (
            "max_connections_per_address",
            limits.max_connections_per_address == Some(0),
        ),
        ("max_rooms", limits.max_rooms == Some(0)),
        ("max_sessions", limits.max_sessions == Some(0)),
    ];
    for (name, _) in zero.into_iter().filter(|(_, is_zero)| *is_zero) {
        findings.push(format!(
            "[limits] {name} is 0: nobody could call; leave it out for the default"
        ));
    }
}

/// TLS and logs: what would otherwise be found out when the port is bound, or not at all.
fn check_server(config: &Config, findings: &mut Vec<String>) {
    if let Some(tls) = config.tls()
        && let Err(error) = tls.check()
    {
        findings.push(match tls {
            Tls::Files { .. } | Tls::SelfSigned { .. } => format!(
                "[server] tls_cert, tls_key: {error}; give a certificate chain and the private key that belongs to it, as PEM \
                 files that this user can read"
            ),
            Tls::Acme(_) => format!("[server] {error}"),
        });
    }
    for listed in &config.server.allowed_origins {
        let Err(meant) = antiphon_server::check_origin(listed) else {
            continue;
        };
        let origin = meant.as_deref().unwrap_or("https://app.example");
        findings.push(format!(
            "[server] allowed_origins: `{listed}` is not what a browser sends; write each page's origin in full, as \
             \"{origin}\". There is no pattern for all: with an API key of your own every page may"
        ));
    }
    if let Some(level) = &config.telemetry.log_level
        && let Err(error) = antiphon_telemetry::logs::check_level(level)
    {
        findings.push(format!("[telemetry] log_level: {error}"));
    }
}

/// What stands in braces is an argument of the tool. A `${NAME}` here would send an argument called NAME.
fn check_url(name: &str, url: &str, tool: &ToolConfig, findings: &mut Vec<String>) {
    if !is_http(url) {
        findings.push(format!(
            "[[tool]] `{name}`: url is not an http:// or https:// address with a fixed host; placeholders stand in path and query only"
        ));
    }
    let properties = tool
        .parameters
        .as_ref()
        .and_then(|schema| schema.get("properties"))
        .and_then(toml::Value::as_table);
    let mut before = "";
    for (at, part) in url.split('{').enumerate() {
        let placeholder = part.split_once('}').map(|(inside, _)| inside);
        match placeholder {
            _ if at == 0 => {}
            None => findings.push(format!(
                "[[tool]] `{name}`: url has a `{{` without `}}`; close it, or write %7B for the character itself"
            )),
            Some(inside) if before.ends_with('$') => findings.push(format!(
                "[[tool]] `{name}`: ${{{inside}}} stands in url, and only headers are filled from the environment; \
                 send it in [tool.headers]"
            )),
            Some(inside) if properties.is_none_or(|known| !known.contains_key(inside)) => {
                findings.push(format!(
                    "[[tool]] `{name}`: {{{inside}}} stands in url but is not among its parameters; \
                     add [tool.parameters.properties.{inside}]"
                ));
            }
            Some(_) => {}
        }
        before = part;
    }
}

fn check_tool<'a>(tool: &'a ToolConfig, names: &mut Vec<&'a str>, findings: &mut Vec<String>) {
    let label = tool.name.as_ref().or(tool.builtin.as_ref());
    let label = label.map_or("?", String::as_str);
    let says_when =
        tool.filler_after.is_some() || tool.filler_every.is_some() || tool.filler_max.is_some();
    if tool.filler.is_none() && says_when {
        findings.push(format!(
            "[[tool]] `{label}` says when a filler is spoken and not what; add filler = \"…\""
        ));
    }
    if tool.filler.as_ref().is_some_and(|filler| filler.is_empty()) {
        findings.push(format!(
            "[[tool]] `{label}`: filler is empty; write what is said while the tool is slow, or leave it out"
        ));
    }
    if let Some(builtin) = &tool.builtin {
        if !BUILTIN_TOOLS.contains(&builtin.as_str()) {
            findings.push(format!(
                "[[tool]] builtin `{builtin}` is unknown; known: {}",
                BUILTIN_TOOLS.join(", ")
            ));
        }
        if tool.name.is_some() || tool.url.is_some() {
            findings
                .push("[[tool]] has both builtin and name or url; make two entries of it".into());
        }
        return;
    }
    let Some(name) = &tool.name else {
        findings.push("[[tool]] without name; add name = \"…\" or builtin = \"…\"".into());
        return;
    };
    let valid = !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if !valid {
        findings.push(format!(
            "[[tool]] name `{name}` cannot be used; it must be 1 to 64 letters, digits, `_` or `-`"
        ));
    }
    if names.contains(&name.as_str()) {
        findings.push(format!(
            "[[tool]] name `{name}` is there twice; names must differ"
        ));
    }
    names.push(name);
    if tool
        .description
        .as_deref()
        .is_none_or(|text| text.trim().is_empty())
    {
        findings.push(format!(
            "[[tool]] `{name}` has no description; say what it does and when to use it"
        ));
    }
    match &tool.url {
        None => findings.push(format!(
            "[[tool]] `{name}` has no url; add url = \"https://…\""
        )),
        Some(url) => check_url(name, url, tool, findings),
    }
    if let Some(method) = &tool.method
        && !METHODS.contains(&method.as_str())
    {
        findings.push(format!(
            "[[tool]] `{name}`: method `{method}` is unknown; use one of {}",
            METHODS.join(", ")
        ));
    }
    let object =
        |table: &toml::Table| table.get("type").and_then(|kind| kind.as_str()) == Some("object");
    if tool.parameters.as_ref().is_some_and(|table| !object(table)) {
        findings.push(format!(
            "[[tool]] `{name}`: parameters is no JSON Schema of an object; add type = \"object\""
        ));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use crate::config::parse;

    fn error(text: &str) -> String {
        parse(text, Path::new("antiphon.toml"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn all_findings_come_at_once_and_each_names_its_fix() {
        let text = error("greeting = \"\"\n[llm]\ntemperature = 3.0\n[[tool]]\nname = \"a b\"");
        for part in [
            "leave the key out",
            "between 0 and 2",
            "letters, digits",
            "no description",
            "no url",
        ] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
    }

    #[test]
    fn a_filler_without_words_is_refused() {
        let tool = "[[tool]]\nbuiltin = \"restaurant_bookings\"\n";
        assert!(error(&format!("{tool}filler_after = 2")).contains("add filler"));
        assert!(error(&format!("{tool}filler = [\" \"]")).contains("filler is empty"));
        assert!(error(&format!("{tool}on_duplicate = \"refuse\"")).contains("reject"));
    }

    #[test]
    fn two_tools_of_one_name_are_refused() {
        let tool =
            "[[tool]]\nname = \"weather\"\ndescription = \"d\"\nurl = \"https://example.com\"\n";
        assert!(error(&tool.repeat(2)).contains("there twice"));
    }

    #[test]
    fn a_field_of_the_request_that_is_not_the_users_is_refused_with_the_fix() {
        assert!(error("[llm]\nextra_body = { model = \"x\" }").contains("use the key model"));
        assert!(error("[llm]\nleave_out = [\"messages\"]").contains("without which"));
        let both = "[llm]\nextra_body = { user = \"x\" }\nleave_out = [\"user\"]";
        assert!(error(both).contains("one of them"));
        let fine = "[llm]\nreasoning_effort = \"low\"\nservice_tier = \"flex\"\nleave_out = [\"stream_options\"]\n\
                    [llm.extra_body]\ntop_p = 0.9\nmetadata = { shop = \"north\" }";
        let config = parse(fine, Path::new("a.toml")).unwrap();
        let body = config.llm.extra_fields();
        assert_eq!(body["metadata"]["shop"], "north");
    }

    #[test]
    fn limits_that_let_nobody_in_are_refused_together() {
        let text =
            error("[limits]\njoins_per_second = 0\nmax_rooms = 0\nmax_connections_per_address = 0");
        for name in [
            "joins_per_second",
            "max_rooms",
            "max_connections_per_address",
        ] {
            assert!(text.contains(&format!("{name} is 0")), "{text}");
        }
    }

    #[test]
    fn a_log_level_that_is_none_is_refused_with_what_to_use() {
        for level in ["loud", "antiphon=loud", "info,,=", ""] {
            let text = error(&format!("[telemetry]\nlog_level = \"{level}\""));
            assert!(
                text.contains("use error, warn, info, debug or trace"),
                "{level}: {text}"
            );
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_read_is_found_before_the_port_is_bound() {
        let text = error("[server]\ntls_cert = \"missing.pem\"\ntls_key = \"missing.key\"");
        assert!(
            text.contains("missing.pem") && text.contains("PEM files"),
            "{text}"
        );
    }

    #[test]
    fn a_placeholder_of_a_url_that_is_no_parameter_is_refused() {
        let tool = "[[tool]]\nname = \"t\"\ndescription = \"d\"\n";
        let with = |url: &str| error(&format!("{tool}url = \"{url}\""));
        assert!(with("https://example.com/{id}").contains("add [tool.parameters.properties.id]"));
        assert!(with("https://example.com/?k=${API_KEY}").contains("[tool.headers]"));
        assert!(with("https://example.com/{id").contains("close it"));
        assert!(with("https://{host}/").contains("fixed host"));
        let good = "url = \"https://example.com/{id}\"\n[tool.parameters]\ntype = \"object\"\n\
                    [tool.parameters.properties.id]\ntype = \"string\"";
        assert!(parse(&format!("{tool}{good}"), Path::new("a.toml")).is_ok());
    }

    #[test]
    fn a_password_in_a_base_url_is_not_repeated_by_the_error_about_it() {
        let text = error("[llm]\nbase_url = \"ftp://user:never-print@host/v1\"");
        assert!(
            text.contains("ftp://host/v1") && !text.contains("never-print"),
            "{text}"
        );
    }

    #[test]
    fn a_name_that_no_authority_certifies_is_refused() {
        for name in ["203.0.113.7", "localhost", "*.example.com", ""] {
            let text = error(&format!("[server]\nacme_domains = [\"{name}\"]"));
            assert!(text.contains("voice.example.com"), "{name}: {text}");
        }
        let text = error("[server]\nacme_email = \"kim@example.com\"");
        assert!(text.contains("without acme_domains"), "{text}");
    }

    #[test]
    fn half_a_tls_configuration_is_refused() {
        assert!(error("[server]\ntls_cert = \"cert.pem\"").contains("belong together"));
    }

    #[test]
    fn an_origin_that_no_page_has_is_refused_with_the_right_one() {
        for (wrong, right) in [
            ("app.example", "\"https://app.example\""),
            ("*", "an API key of your own"),
        ] {
            let text = error(&format!("[server]\nallowed_origins = [\"{wrong}\"]"));
            assert!(
                text.contains("allowed_origins") && text.contains(right),
                "{text}"
            );
        }
    }

    #[test]
    fn a_proxy_that_is_no_address_is_refused_with_the_right_form() {
        let text = error("[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"proxy\"]");
        assert!(
            text.contains("antiphon.toml:2") && text.contains("`proxy`"),
            "{text}"
        );
    }
}
