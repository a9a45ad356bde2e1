//! What stands in the brackets of `#[tool(…)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser as _;
use syn::{Ident, LitInt, LitStr, Path};

/// The options of one tool.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) description: Option<LitStr>,
    pub(crate) timeout_ms: Option<LitInt>,
    pub(crate) state: bool,
    root: Option<Path>,
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("description") {
                options.description = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("timeout_ms") {
                options.timeout_ms = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("state") {
                options.state = true;
            } else if meta.path.is_ident("crate") {
                options.root = Some(meta.value()?.call(Path::parse_mod_style)?);
            } else {
                return Err(meta.error(
                    "unknown option: use `name`, `description`, `timeout_ms`, `state` or `crate`",
                ));
            }
            Ok(())
        });
        parser.parse2(tokens)?;
        options.check_name()?;
        Ok(options)
    }

    /// Where the library is: named, or as the package depends on it.
    pub(crate) fn root(&self) -> TokenStream {
        match &self.root {
            Some(path) => quote!(#path),
            None if depends_on_facade_only() => quote!(::antiphon::agent),
            None => quote!(::antiphon_agent),
        }
    }

    fn check_name(&self) -> syn::Result<()> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        let text = name.value();
        let allowed = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if allowed && (1..=64).contains(&text.len()) {
            return Ok(());
        }
        Err(syn::Error::new(
            name.span(),
            "a tool's name is 1 to 64 letters, digits, `_` and `-`: providers refuse others",
        ))
    }
}

/// The error for a function whose own name providers would refuse.
pub(crate) fn check_function_name(name: &Ident) -> syn::Result<String> {
    let text = name.to_string();
    let text = text.strip_prefix("r#").unwrap_or(&text).to_owned();
    if text.is_ascii() && text.len() <= 64 {
        return Ok(text);
    }
    Err(syn::Error::new(
        name.span(),
        "providers accept only ASCII names of at most 64 letters: give another with `#[tool(name = \"…\")]`",
    ))
}

/// A package that depends on `antiphon` and not on `antiphon-agent` reaches the library through it.
fn depends_on_facade_only() -> bool {
    let Ok(folder) = std::env::var("CARGO_MANIFEST_DIR") else {
        return false;
    };
    let manifest = std::fs::read_to_string(std::path::Path::new(&folder).join("Cargo.toml"))
        .unwrap_or_default();
    !manifest.contains("antiphon-agent") && manifest.contains("antiphon")
}
