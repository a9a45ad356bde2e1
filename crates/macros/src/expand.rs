//! The code that `#[tool]` writes: the function itself, a struct of its parameters, and the tool.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, FnArg, Ident, ItemFn, Lit, Meta, Pat, ReturnType, Type};

use crate::options::{Options, check_function_name};

pub(crate) fn tool(options: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let options = Options::parse(options)?;
    let function: ItemFn = syn::parse2(function)?;
    check_signature(&function)?;
    let parts = Parts::of(&options, function)?;
    parts.into_tokens(&options)
}

fn check_signature(function: &ItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(syn::Error::new(
            signature.fn_token.span(),
            "a tool is an async function: write `async fn`",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(syn::Error::new(
            signature.generics.span(),
            "a tool has no generics: the model cannot choose types",
        ));
    }
    if let Some(variadic) = &signature.variadic {
        return Err(syn::Error::new(
            variadic.span(),
            "a tool's parameters are fixed",
        ));
    }
    Ok(())
}

/// One parameter that the model fills in.
struct Field {
    name: Ident,
    ty: Type,
    attributes: Vec<Attribute>,
}

/// What a parameter gets in the call.
enum Argument {
    State,
    Context { by_reference: bool },
    Field(Ident),
}

struct Parts {
    function: ItemFn,
    tool_name: String,
    description: String,
    state: Option<Type>,
    fields: Vec<Field>,
    arguments: Vec<Argument>,
}

impl Parts {
    fn of(options: &Options, mut function: ItemFn) -> syn::Result<Self> {
        let tool_name = match &options.name {
            Some(name) => name.value(),
            None => check_function_name(&function.sig.ident)?,
        };
        let description = options
            .description
            .as_ref()
            .map_or_else(|| docs(&function.attrs), syn::LitStr::value);
        if description.trim().is_empty() {
            return Err(syn::Error::new(
                function.sig.ident.span(),
                "a tool needs a description, or the model does not know when to call it: write a doc comment (`/// …`) above the function",
            ));
        }
        let (mut state, mut fields, mut arguments) = (None, Vec::new(), Vec::new());
        for input in &mut function.sig.inputs {
            let FnArg::Typed(parameter) = input else {
                return Err(syn::Error::new(
                    input.span(),
                    "a tool is a free function: pass what `self` would hold as first parameter with `#[tool(state)]`",
                ));
            };
            let attributes = std::mem::take(&mut parameter.attrs);
            let context = is_context(&parameter.ty);
            if let Some(by_reference) = context {
                arguments.push(Argument::Context { by_reference });
            } else if options.state && state.is_none() {
                if matches!(*parameter.ty, Type::Reference(_)) {
                    return Err(syn::Error::new(
                        parameter.ty.span(),
                        "the state is cloned for each call: take it by value, for instance as `Arc<…>`",
                    ));
                }
                state = Some((*parameter.ty).clone());
                arguments.push(Argument::State);
            } else {
                fields.push(field(
                    &parameter.pat,
                    &parameter.ty,
                    attributes,
                    &mut arguments,
                )?);
            }
        }
        if options.state && state.is_none() {
            return Err(syn::Error::new(
                function.sig.ident.span(),
                "`#[tool(state)]` needs a first parameter that is the state",
            ));
        }
        Ok(Self {
            function,
            tool_name,
            description,
            state,
            fields,
            arguments,
        })
    }

    fn into_tokens(self, options: &Options) -> syn::Result<TokenStream> {
        let root = options.root();
        let run = options.run(&root)?;
        let Self {
            mut function,
            tool_name,
            description,
            state,
            fields,
            arguments,
        } = self;
        let public_name = function.sig.ident.clone();
        let visibility = std::mem::replace(&mut function.vis, syn::Visibility::Inherited);
        let docs: Vec<Attribute> = function
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("doc"))
            .cloned()
            .collect();
        let result = result(&function.sig.output, &root);
        let inner = format_ident!("call");
        function.sig.ident = inner.clone();
        let (names, types) = (fields.iter().map(|f| &f.name), fields.iter().map(|f| &f.ty));
        let attributes = fields.iter().map(|f| &f.attributes);
        let passed = arguments.iter().map(|argument| match argument {
            Argument::State => quote!(::std::clone::Clone::clone(&self.0)),
            Argument::Context { by_reference: true } => quote!(&context),
            Argument::Context {
                by_reference: false,
            } => quote!(::std::clone::Clone::clone(&context)),
            Argument::Field(name) => quote!(arguments.#name),
        });
        let declaration = match &state {
            Some(state) => quote!(#visibility struct #public_name(pub #state);),
            None => quote!(#visibility struct #public_name;),
        };
        let serde = format!("{root}::__private::serde").replace(' ', "");
        let schemars = format!("{root}::__private::schemars").replace(' ', "");
        Ok(quote! {
            #(#docs)*
            #[allow(non_camel_case_types)]
            #[derive(Clone)]
            #declaration

            const _: () = {
                #[derive(#root::__private::serde::Deserialize, #root::__private::schemars::JsonSchema)]
                #[serde(crate = #serde)]
                #[schemars(crate = #schemars)]
                struct Arguments { #(#(#attributes)* #names: #types,)* }

                #function

                impl #root::Tool for #public_name {
                    fn definition(&self) -> #root::provider::ToolDefinition {
                        #root::__private::definition_of::<Arguments>(#tool_name, #description)
                    }

                    fn call<'a>(
                        &'a self,
                        arguments: #root::__private::serde_json::Value,
                        context: #root::ToolContext,
                    ) -> #root::provider::BoxFuture<'a, ::std::result::Result<#root::ToolReply, #root::ToolError>> {
                        ::std::boxed::Box::pin(async move {
                            #[allow(unused_imports)]
                            use #root::__private::{ErrorByDisplay as _, ErrorByInto as _, ReplyByInto as _, ReplyBySerialize as _, Wrap};
                            #[allow(unused_variables)]
                            let arguments: Arguments = #root::__private::parse(arguments)?;
                            let _ = &context;
                            let result = #inner(#(#passed),*).await;
                            #result
                        })
                    }

                    #run
                }
            };
        })
    }
}

/// How the function's result becomes the tool's.
fn result(output: &ReturnType, _root: &TokenStream) -> TokenStream {
    if is_result(output) {
        quote! {
            match result {
                ::std::result::Result::Ok(value) => (&Wrap::new(value)).reply(),
                ::std::result::Result::Err(error) => ::std::result::Result::Err((&Wrap::new(error)).error()),
            }
        }
    } else {
        quote!((&Wrap::new(result)).reply())
    }
}

fn field(
    pattern: &Pat,
    ty: &Type,
    attributes: Vec<Attribute>,
    arguments: &mut Vec<Argument>,
) -> syn::Result<Field> {
    let Pat::Ident(name) = pattern else {
        return Err(syn::Error::new(
            pattern.span(),
            "a tool's parameter has a plain name: the model sees it",
        ));
    };
    if matches!(ty, Type::Reference(_)) {
        return Err(syn::Error::new(
            ty.span(),
            "a tool's parameter is owned (`String`, not `&str`): it is read from the model's JSON",
        ));
    }
    for attribute in &attributes {
        let known = ["doc", "serde", "schemars"]
            .iter()
            .any(|known| attribute.path().is_ident(known));
        if !known {
            return Err(syn::Error::new(
                attribute.span(),
                "on a tool's parameter stand doc comments, `#[serde(…)]` and `#[schemars(…)]`",
            ));
        }
    }
    arguments.push(Argument::Field(name.ident.clone()));
    Ok(Field {
        name: name.ident.clone(),
        ty: ty.clone(),
        attributes,
    })
}

/// `Some(by reference?)` when the type is `ToolContext`.
fn is_context(ty: &Type) -> Option<bool> {
    match ty {
        Type::Reference(reference) => is_context(&reference.elem).map(|_| true),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .filter(|last| last.ident == "ToolContext")
            .map(|_| false),
        _ => None,
    }
}

fn is_result(output: &ReturnType) -> bool {
    match output {
        ReturnType::Type(_, ty) => match &**ty {
            Type::Path(path) => path
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == "Result"),
            _ => false,
        },
        ReturnType::Default => false,
    }
}

/// The text of doc comments, one space after `///` taken off.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(doc) => match &doc.value {
                Expr::Lit(literal) => match &literal.lit {
                    Lit::Str(text) => {
                        let text = text.value();
                        Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
                    }
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
    lines.collect::<Vec<_>>().join("\n")
}
