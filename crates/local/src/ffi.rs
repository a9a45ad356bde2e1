//! The few functions of PocketSphinx (0.8+5prealpha, `libpocketsphinx.so.3`) that we call. The only `unsafe` of the crate:
//! a C library loaded at run time cannot be called otherwise. It runs in a child process only (see `worker`), so that a
//! fault in it ends one child and not the calls of everybody.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use libloading::{Library, Symbol};

type Handle = *mut c_void;

/// Coefficients of a cepstrum.
const CEPSTRUM: usize = 13;
/// [`Decoder::adaptation`]: the mean, the sum over the frames, their number.
pub(crate) const ADAPTATION_BYTES: usize = 4 * (CEPSTRUM + CEPSTRUM + 1);

/// The head of sphinxbase's public `feat_t` (feat.h), up to the cepstral mean.
#[repr(C)]
struct Feat {
    refcount: c_int,
    name: *mut c_char,
    cepsize: i32,
    n_stream: i32,
    stream_len: *mut u32,
    window_size: i32,
    n_sv: i32,
    sv_len: *mut u32,
    subvecs: *mut *mut i32,
    sv_buf: *mut f32,
    sv_dim: i32,
    cmn: c_int,
    varnorm: i32,
    agc: c_int,
    compute_feat: *mut c_void,
    cmn_struct: *mut Cmn,
}

/// sphinxbase's public `cmn_t` (cmn.h).
#[repr(C)]
struct Cmn {
    mean: *mut f32,
    variance: *mut f32,
    sum: *mut f32,
    frames: i32,
    length: i32,
}

/// A decoder. Not `Send`: it lives on the worker's only thread.
pub(crate) struct Decoder {
    sphinx: Library,
    _base: Library,
    decoder: Handle,
    /// The running mean of the cepstrum: all that one utterance leaves behind for the next.
    mean: *mut Cmn,
    /// It for a caller of whom nothing is known.
    unknown: Vec<u8>,
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
        // SAFETY: the function takes the decoder alone; what it points to is checked as far as it can be.
        let mean = unsafe {
            let features: Symbol<unsafe extern "C" fn(Handle) -> *mut Feat> =
                sphinx.get(b"ps_get_feat\0").map_err(text)?;
            let features = features(decoder).as_ref();
            features
                .filter(|features| features.cepsize == CEPSTRUM as i32)
                .map(|features| features.cmn_struct)
                .filter(|mean| {
                    mean.as_ref()
                        .is_some_and(|mean| mean.length == CEPSTRUM as i32 && mean.frames == 0)
                })
                .ok_or("this version of libpocketsphinx is not known (0.8+5prealpha is)")?
        };
        let mut decoder = Self {
            sphinx,
            _base: base,
            decoder,
            mean,
            unknown: Vec::new(),
            _arguments: arguments,
            _pointers: pointers,
        };
        decoder.unknown = decoder.adaptation();
        Ok(decoder)
    }

    /// What was learned of the caller so far; for [`Decoder::adapt`], opaque to others.
    pub(crate) fn adaptation(&self) -> Vec<u8> {
        // SAFETY: `new` has checked that the structure holds vectors of this length; they live as long as the decoder.
        let (vectors, frames) = unsafe {
            let mean = &*self.mean;
            (
                [mean.mean, mean.sum]
                    .map(|vector| std::slice::from_raw_parts(vector, CEPSTRUM).to_vec()),
                mean.frames,
            )
        };
        let mut bytes: Vec<u8> = vectors
            .iter()
            .flatten()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        bytes.extend(frames.to_le_bytes());
        bytes
    }

    /// Listen to the caller of this adaptation, or to a new one when it is empty. Returns the number of frames that it
    /// rests on.
    pub(crate) fn adapt(&mut self, adaptation: &[u8]) -> Result<i32, String> {
        let unknown = std::mem::take(&mut self.unknown);
        let bytes = if adaptation.is_empty() {
            &unknown
        } else {
            adaptation
        };
        let known = self.set(bytes);
        self.unknown = unknown;
        // the noise that was heard before is forgotten too
        known.and_then(|frames| self.call(b"ps_start_stream").map(|()| frames))
    }

    fn set(&mut self, adaptation: &[u8]) -> Result<i32, String> {
        let words: Vec<[u8; 4]> = adaptation
            .chunks_exact(4)
            .filter_map(|word| word.try_into().ok())
            .collect();
        let Some((frames, values)) = words
            .split_last()
            .filter(|_| adaptation.len() == ADAPTATION_BYTES)
        else {
            return Err("an adaptation of a wrong length".into());
        };
        let values: Vec<f32> = values
            .iter()
            .map(|word| f32::from_le_bytes(*word))
            .collect();
        let frames = i32::from_le_bytes(*frames);
        // SAFETY: as in `adaptation`; nothing else reads or writes them between utterances.
        unsafe {
            let mean = &mut *self.mean;
            mean.frames = frames;
            for (vector, values) in [mean.mean, mean.sum].iter().zip(values.chunks(CEPSTRUM)) {
                std::slice::from_raw_parts_mut(*vector, CEPSTRUM).copy_from_slice(values);
            }
        }
        Ok(frames)
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
