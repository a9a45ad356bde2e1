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
    /// Statements about `options`, a `ToolOptions`.
    run: Vec<TokenStream>,
    filler: Option<Filler>,
    pub(crate) state: bool,
    root: Option<Path>,
}

/// What is said while it is slow.
#[derive(Default)]
struct Filler {
    text: Option<LitStr>,
    delay_ms: Option<LitInt>,
    interval_ms: Option<LitInt>,
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
                let ms: LitInt = meta.value()?.parse()?;
                let duration = quote!(::std::time::Duration::from_millis(#ms));
                options
                    .run
                    .push(quote!(options.timeout = ::std::option::Option::Some(#duration);));
            } else if meta.path.is_ident("interruption") {
                let value = variant(&meta.value()?.parse()?, &INTERRUPTION)?;
                let value = quote!(::std::option::Option::Some(root::ToolInterruption::#value));
                options.run.push(quote!(options.interruption = #value;));
            } else if meta.path.is_ident("on_duplicate") {
                let value = variant(&meta.value()?.parse()?, &ON_DUPLICATE)?;
                options
                    .run
                    .push(quote!(options.on_duplicate = root::OnDuplicate::#value;));
            } else if meta.path.is_ident("duplicate_scope") {
                let value = variant(&meta.value()?.parse()?, &SCOPE)?;
                options
                    .run
                    .push(quote!(options.duplicate_scope = root::DuplicateScope::#value;));
            } else if meta.path.is_ident("cancellable") {
                options.run.push(quote!(options.cancellable = true;));
            } else if meta.path.is_ident("filler") {
                options.filler.get_or_insert_default().text = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("filler_after_ms") {
                options.filler.get_or_insert_default().delay_ms = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("filler_every_ms") {
                options.filler.get_or_insert_default().interval_ms = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("state") {
                options.state = true;
            } else if meta.path.is_ident("crate") {
                options.root = Some(meta.value()?.call(Path::parse_mod_style)?);
            } else {
                return Err(meta.error(
                    "unknown option: use `name`, `description`, `timeout_ms`, `interruption`, `filler`, `filler_after_ms`, \
                     `filler_every_ms`, `on_duplicate`, `duplicate_scope`, `cancellable`, `state` or `crate`",
                ));
            }
            Ok(())
        });
        parser.parse2(tokens)?;
        options.check_name()?;
        Ok(options)
    }

    /// How it is run: `fn options`, or nothing when all is as usual.
    pub(crate) fn run(&self, root: &TokenStream) -> syn::Result<TokenStream> {
        let mut statements = self.run.clone();
        if let Some(filler) = &self.filler {
            let Some(text) = &filler.text else {
                return Err(syn::Error::new(
                    proc_macro2::Span::call_site(),
                    "`filler_after_ms` and `filler_every_ms` need `filler = \"…\"`: what is said",
                ));
            };
            statements.push(quote!(let mut filler = root::Filler::from(#text);));
            if let Some(ms) = &filler.delay_ms {
                statements.push(quote!(filler.delay = ::std::time::Duration::from_millis(#ms);));
            }
            if let Some(ms) = &filler.interval_ms {
                let every = quote!(::std::time::Duration::from_millis(#ms));
                statements.push(quote!(filler.interval = ::std::option::Option::Some(#every);));
            }
            statements.push(quote!(options.filler = ::std::option::Option::Some(filler);));
        }
        if statements.is_empty() {
            return Ok(TokenStream::new());
        }
        Ok(quote! {
            fn options(&self) -> #root::ToolOptions {
                use #root as root;
                let mut options = root::ToolOptions::default();
                #(#statements)*
                options
            }
        })
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

const INTERRUPTION: [(&str, &str); 3] = [
    ("detach", "Detach"),
    ("cancel", "Cancel"),
    ("protect", "Protect"),
];
const ON_DUPLICATE: [(&str, &str); 4] = [
    ("allow", "Allow"),
    ("reject", "Reject"),
    ("replace", "Replace"),
    ("confirm", "Confirm"),
];
const SCOPE: [(&str, &str); 2] = [("name", "Name"), ("name_and_args", "NameAndArgs")];

/// The variant that a word stands for.
fn variant(word: &LitStr, known: &[(&str, &str)]) -> syn::Result<Ident> {
    let text = word.value();
    let found = known.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, variant)| Ident::new(variant, word.span()))
        .ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            syn::Error::new(word.span(), format!("use one of: {}", names.join(", ")))
        })
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
