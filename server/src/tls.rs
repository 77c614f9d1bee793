//! TLS: the certificate that is shown, the authority that clients must be known to, and both again when their files change.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs::default_provider},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{VerifierBuilderError, WebPkiClientVerifier, danger::ClientCertVerifier},
    },
};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::{
    limits::CERTIFICATE_WARNING,
    revocation::{Revocations, Serial},
};

/// The files that TLS is spoken with, all of them PEM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The certificate of the server, those of intermediate authorities behind it. Since 0.1.
    pub cert: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1. Since 0.1.
    pub key: PathBuf,
    /// The authorities that a client's certificate must come from; without them none is asked for. Default: none. Since 0.1.
    pub client_ca: Option<PathBuf>,
    /// The certificates that these authorities have revoked: lists of them (CRLs), at least one of each authority, and of each
    /// intermediate one. Without it none is taken for revoked. Default: none. Since 0.1.
    pub client_crl: Option<PathBuf>,
}

impl TlsOptions {
    /// A certificate and its key; clients are not asked for theirs.
    #[must_use]
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into(), client_ca: None, client_crl: None }
    }
}

/// A file that TLS cannot be spoken with.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be spoken with {}: {why}", path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

/// What TLS is spoken with now.
pub(crate) struct Tls {
    options: TlsOptions,
    now: ArcSwap<Loaded>,
}

struct Loaded {
    files: Files,
    config: Arc<ServerConfig>,
    revocations: Revocations,
    expires: SystemTime,
}

/// What stands in the files.
#[derive(PartialEq, Eq)]
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
    client_crl: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn load(options: TlsOptions, now: SystemTime) -> Result<Self, TlsError> {
        let loaded = Loaded::new(Files::read(&options)?, &options, now)?;
        Ok(Self { options, now: ArcSwap::from_pointee(loaded) })
    }

    /// Reads them again, and says whether they have changed. What cannot be used changes nothing.
    pub(crate) fn reload(&self, now: SystemTime) -> Result<bool, TlsError> {
        let files = Files::read(&self.options)?;
        if files == self.now.load().files {
            return Ok(false);
        }
        self.now.store(Arc::new(Loaded::new(files, &self.options, now)?));
        Ok(true)
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.now.load().config).into()
    }

    /// Whether clients are asked for certificates.
    pub(crate) fn asks_clients(&self) -> bool {
        self.options.client_ca.is_some()
    }

    /// Whether one of the certificates that a client has shown is revoked by now.
    pub(crate) fn has_revoked(&self, shown: &Certified) -> bool {
        self.now.load().revocations.has_any(&shown.serials)
    }

    /// Whether an authority was to have made a newer list of revoked certificates by now.
    pub(crate) fn is_list_overdue(&self, now: SystemTime) -> bool {
        self.now.load().revocations.is_overdue(now)
    }

    /// How long the certificate is still good, if that is not long.
    pub(crate) fn expires_in(&self, now: SystemTime) -> Option<Duration> {
        let left = self.now.load().expires.duration_since(now).unwrap_or_default();
        (left < CERTIFICATE_WARNING).then_some(left)
    }
}

impl Files {
    fn read(options: &TlsOptions) -> Result<Self, TlsError> {
        let client_ca = options.client_ca.as_deref().map(read).transpose()?;
        let client_crl = options.client_crl.as_deref().map(read).transpose()?;
        Ok(Self { cert: read(&options.cert)?, key: read(&options.key)?, client_ca, client_crl })
    }
}

impl Loaded {
    fn new(files: Files, options: &TlsOptions, now: SystemTime) -> Result<Self, TlsError> {
        let TlsOptions { cert, key, .. } = options;
        let chain = certificates(cert, &files.cert)?;
        let expires = good_until(cert, chain.first(), now)?;
        let private = PrivateKeyDer::from_pem_slice(&files.key)
            .map_err(|error| wrong(key, format!("there is no private key in it ({error})")))?;
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(cert, error.to_string()))?;
        let (builder, revocations) = match Clients::new(&files, options, provider)? {
            Some(clients) => (builder.with_client_cert_verifier(clients.verifier), clients.revocations),
            None => (builder.with_no_client_auth(), Revocations::default()),
        };
        let mut config = builder.with_single_cert(chain, private).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                wrong(key, format!("it is not the key of the certificate in {}", cert.display()))
            }
            other => wrong(key, other.to_string()),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { files, config: Arc::new(config), revocations, expires })
    }
}

/// What the certificates of clients are judged by.
struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    revocations: Revocations,
}

impl Clients {
    /// `None` if they are not asked for any.
    fn new(files: &Files, options: &TlsOptions, provider: Arc<CryptoProvider>) -> Result<Option<Self>, TlsError> {
        let (Some(path), Some(pem)) = (&options.client_ca, &files.client_ca) else { return Ok(None) };
        let authorities = certificates(path, pem)?;
        let revocations = match (&options.client_crl, &files.client_crl) {
            (Some(path), Some(pem)) => Revocations::read(pem, &authorities).map_err(|why| wrong(path, why))?,
            _ => Revocations::default(),
        };
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|error| wrong(path, format!("it holds no authority ({error})")))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
            .with_crls(revocations.lists())
            // Who has none is told so by an answer, and probes are answered without.
            .allow_unauthenticated()
            .build();
        let verifier = verifier.map_err(|error| match (&error, &options.client_crl) {
            (VerifierBuilderError::InvalidCrl(_), Some(lists)) => wrong(lists, error.to_string()),
            _ => wrong(path, error.to_string()),
        })?;
        Ok(Some(Self { verifier, revocations }))
    }
}

/// Whose certificate a client has shown.
#[derive(Debug)]
pub(crate) struct Certified {
    /// Its common name, or all of its subject if it has none.
    pub(crate) subject: String,
    /// Its alternative names, as a file of keys has them: `dns:shop.internal`, `uri:spiffe://internal/shop`.
    pub(crate) names: Vec<String>,
    /// Which it is, and which those of the intermediate authorities behind it are.
    serials: Vec<Serial>,
}

impl Certified {
    /// Of what it has shown, its own first; `None` if that is nothing.
    pub(crate) fn of(shown: &[CertificateDer<'_>]) -> Option<Self> {
        let mut chain = shown.iter().map(|certificate| Certificate::from_der(certificate));
        let first = chain.next()?;
        let serials = first.iter().chain(chain.flatten().collect::<Vec<_>>().iter()).map(Serial::of).collect();
        let Ok(certificate) = first else {
            return Some(Self { subject: "unreadable".to_owned(), names: Vec::new(), serials });
        };
        let subject = certificate.tbs_certificate.subject.to_string();
        let name = subject.split(',').find_map(|part| part.trim().strip_prefix("CN="));
        let alternative = certificate.tbs_certificate.get::<SubjectAltName>().ok().flatten();
        let named = |name: GeneralName| match name {
            GeneralName::DnsName(name) => Some(format!("dns:{}", name.as_str().to_ascii_lowercase())),
            GeneralName::UniformResourceIdentifier(name) => Some(format!("uri:{}", name.as_str())),
            _ => None,
        };
        let names = alternative.into_iter().flat_map(|(_, names)| names.0).filter_map(named).collect();
        Some(Self { subject: name.unwrap_or(&subject).to_owned(), names, serials })
    }
}

fn wrong(path: &Path, why: String) -> TlsError {
    TlsError { path: path.to_owned(), why }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| wrong(path, error.to_string()))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| wrong(path, format!("it is not PEM ({error})")))?;
    if all.is_empty() {
        return Err(wrong(path, "there is no certificate in it".to_owned()));
    }
    Ok(all)
}

/// Until when a certificate is good; an error if it is not now.
fn good_until(path: &Path, certificate: Option<&CertificateDer<'_>>, now: SystemTime) -> Result<SystemTime, TlsError> {
    let der = certificate.map(AsRef::as_ref).unwrap_or_default();
    let read = Certificate::from_der(der).map_err(|error| wrong(path, format!("not a certificate ({error})")))?;
    let validity = read.tbs_certificate.validity;
    let (from, until) = (validity.not_before, validity.not_after);
    if until.to_system_time() <= now {
        return Err(wrong(path, format!("it expired at {until}; renew it")));
    }
    if from.to_system_time() > now {
        return Err(wrong(path, format!("it is not valid before {from}; look at the clock of this machine")));
    }
    Ok(until.to_system_time())
}
