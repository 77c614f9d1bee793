//! What TLS is spoken with. The files are looked at here, so that each mistake is told with its place.

use std::{fs, path::Path};

use tokio_rustls::rustls::{
    RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::{address::AddressError, options::RemoteOptions};

/// As the options say.
pub(crate) fn config(options: &RemoteOptions) -> Result<ClientTlsConfig, AddressError> {
    let mut config = ClientTlsConfig::new();
    config = match &options.ca {
        None => config.with_enabled_roots(),
        Some(path) => {
            let pem = read(path)?;
            let mut roots = RootCertStore::empty();
            for authority in certificates(path, &pem)? {
                roots.add(authority).map_err(|error| wrong(path, format!("it holds no authority ({error})")))?;
            }
            config.ca_certificate(Certificate::from_pem(pem))
        }
    };
    if let Some(identity) = &options.identity {
        let (cert, key) = (read(&identity.cert)?, read(&identity.key)?);
        let private = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|error| wrong(&identity.key, format!("there is no private key in it ({error})")))?;
        let belongs = CertifiedKey::from_der(certificates(&identity.cert, &cert)?, private, &default_provider());
        belongs.map_err(|error| {
            let why = format!("it is not the key of the certificate in {} ({error})", identity.cert.display());
            wrong(&identity.key, why)
        })?;
        config = config.identity(Identity::from_pem(cert, key));
    }
    Ok(config)
}

fn wrong(path: &Path, why: String) -> AddressError {
    AddressError::Tls { path: path.to_owned(), why }
}

fn read(path: &Path) -> Result<Vec<u8>, AddressError> {
    fs::read(path).map_err(|error| wrong(path, error.to_string()))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| wrong(path, format!("it is not PEM ({error})")))?;
    if all.is_empty() {
        return Err(wrong(path, "there is no certificate in it".to_owned()));
    }
    Ok(all)
}
