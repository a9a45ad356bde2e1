//! The few functions of PocketSphinx (0.8+5prealpha, `libpocketsphinx.so.3`) that we call. The only `unsafe` of the crate:
//! a C library loaded at run time cannot be called otherwise. It runs in a child process only (see `worker`), so that a
//! fault in it ends one child and not the calls of everybody.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use libloading::{Library, Symbol};

type Handle = *mut c_void;

/// A decoder. Not `Send`: it lives on the worker's only thread.
pub(crate) struct Decoder {
    sphinx: Library,
    _base: Library,
    decoder: Handle,
    // PocketSphinx keeps pointers into its arguments
    _arguments: Vec<CString>,
    _pointers: Vec<*const c_char>,
}

impl Decoder {
    /// Load library and model; the error is in words.
    pub(crate) fn new(model: &str) -> Result<Self, String> {
        let text = |error: libloading::Error| error.to_string();
        // SAFETY: loading runs the libraries' initialisers, of which these two have none beyond libc's.
        let (base, sphinx) = unsafe {
            (
                Library::new("libsphinxbase.so.3").map_err(text)?,
                Library::new("libpocketsphinx.so.3").map_err(text)?,
            )
        };
        let arguments = [
            "antiphon",
            "-hmm",
            &format!("{model}/en-us"),
            "-lm",
            &format!("{model}/en-us.lm.bin"),
            "-dict",
            &format!("{model}/cmudict-en-us.dict"),
            "-logfn",
            "/dev/null",
        ]
        .iter()
        .map(|argument| CString::new(*argument).map_err(|error| error.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
        let mut pointers: Vec<*const c_char> =
            arguments.iter().map(|argument| argument.as_ptr()).collect();
        // SAFETY: the signatures are those of the library's public headers for this major version of its ABI; the
        // argument array and its strings live as long as the decoder.
        let decoder = unsafe {
            let quiet: Symbol<unsafe extern "C" fn(*const c_char) -> c_int> =
                base.get(b"err_set_logfile\0").map_err(text)?;
            quiet(c"/dev/null".as_ptr());
            let definitions: Symbol<unsafe extern "C" fn() -> Handle> =
                sphinx.get(b"ps_args\0").map_err(text)?;
            let parse: Symbol<
                unsafe extern "C" fn(Handle, Handle, c_int, *mut *const c_char, c_int) -> Handle,
            > = base.get(b"cmd_ln_parse_r\0").map_err(text)?;
            let init: Symbol<unsafe extern "C" fn(Handle) -> Handle> =
                sphinx.get(b"ps_init\0").map_err(text)?;
            let count = c_int::try_from(pointers.len()).unwrap_or(0);
            let config = parse(
                std::ptr::null_mut(),
                definitions(),
                count,
                pointers.as_mut_ptr(),
                0,
            );
            if config.is_null() {
                return Err("the recogniser refused its options".into());
            }
            init(config)
        };
        if decoder.is_null() {
            return Err(format!(
                "the recogniser could not load its model from {model}"
            ));
        }
        Ok(Self {
            sphinx,
            _base: base,
            decoder,
            _arguments: arguments,
            _pointers: pointers,
        })
    }

    fn call(&self, name: &[u8]) -> Result<(), String> {
        // SAFETY: both functions called this way take the decoder alone and return an int.
        let status = unsafe {
            let function: Symbol<unsafe extern "C" fn(Handle) -> c_int> =
                self.sphinx.get(name).map_err(|error| error.to_string())?;
            function(self.decoder)
        };
        if status < 0 {
            Err(format!("{} failed", String::from_utf8_lossy(name)))
        } else {
            Ok(())
        }
    }

    /// Begin an utterance.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.call(b"ps_start_utt")
    }

    /// End it: the exact passes over what was heard.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        self.call(b"ps_end_utt")
    }

    /// Decode 16 kHz samples.
    pub(crate) fn process(&mut self, samples: &[i16]) -> Result<(), String> {
        // SAFETY: pointer and length belong to one slice that outlives the call.
        let status = unsafe {
            let function: Symbol<
                unsafe extern "C" fn(Handle, *const i16, usize, c_int, c_int) -> c_int,
            > = self
                .sphinx
                .get(b"ps_process_raw")
                .map_err(|error| error.to_string())?;
            function(self.decoder, samples.as_ptr(), samples.len(), 0, 0)
        };
        if status < 0 {
            Err("decoding failed".into())
        } else {
            Ok(())
        }
    }

    /// The best words so far.
    pub(crate) fn words(&self) -> String {
        // SAFETY: the returned string belongs to the decoder and is copied before the next call.
        unsafe {
            let Ok(function) = self
                .sphinx
                .get::<unsafe extern "C" fn(Handle, *mut i32) -> *const c_char>(b"ps_get_hyp")
            else {
                return String::new();
            };
            let text = function(self.decoder, std::ptr::null_mut());
            if text.is_null() {
                String::new()
            } else {
                CStr::from_ptr(text).to_string_lossy().into_owned()
            }
        }
    }
}
