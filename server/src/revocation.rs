//! The lists of certificates that their authorities have revoked.

use std::{collections::HashSet, time::SystemTime};

use tokio_rustls::rustls::pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject as _};
use x509_cert::{
    Certificate,
    crl::CertificateList,
    der::{Decode as _, Encode as _},
    name::Name,
    serial_number::SerialNumber,
};

/// Which certificate it is: who issued it, and its number there.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Serial {
    issuer: Vec<u8>,
    number: Vec<u8>,
}

impl Serial {
    fn new(issuer: &Name, number: &SerialNumber) -> Self {
        Self { issuer: encoded(issuer), number: number.as_bytes().to_vec() }
    }

    pub(crate) fn of(certificate: &Certificate) -> Self {
        let certificate = &certificate.tbs_certificate;
        Self::new(&certificate.issuer, &certificate.serial_number)
    }
}

/// What stands in a file of such lists.
#[derive(Default)]
pub(crate) struct Revocations {
    lists: Vec<CertificateRevocationListDer<'static>>,
    revoked: HashSet<Serial>,
    overdue_from: Option<SystemTime>,
}

impl Revocations {
    /// Reads lists, which must be there for each of the authorities; says what is wrong otherwise.
    pub(crate) fn read(pem: &[u8], authorities: &[CertificateDer<'_>]) -> Result<Self, String> {
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
        let lists = lists.map_err(|error| format!("it is not PEM ({error})"))?;
        if lists.is_empty() {
            return Err("there is no list of revoked certificates in it (`BEGIN X509 CRL`)".to_owned());
        }
        let (mut revoked, mut issuers, mut overdue_from) = (HashSet::new(), HashSet::new(), None::<SystemTime>);
        for list in &lists {
            let read = CertificateList::from_der(list).map_err(|error| unreadable(&error))?.tbs_cert_list;
            issuers.insert(encoded(&read.issuer));
            let certificates = read.revoked_certificates.into_iter().flatten();
            revoked.extend(certificates.map(|entry| Serial::new(&read.issuer, &entry.serial_number)));
            let next = read.next_update.map(|next| next.to_system_time());
            overdue_from = overdue_from.into_iter().chain(next).min();
        }
        for authority in authorities {
            let subject = Certificate::from_der(authority).map_err(|error| unreadable(&error))?.tbs_certificate.subject;
            if !issuers.contains(&encoded(&subject)) {
                return Err(format!(
                    "there is no list of the authority `{subject}` in it, so nobody of it could be let in"
                ));
            }
        }
        Ok(Self { lists, revoked, overdue_from })
    }

    pub(crate) fn lists(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.lists.iter().cloned()
    }

    /// Whether one of these certificates is revoked.
    pub(crate) fn has_any(&self, serials: &[Serial]) -> bool {
        !self.revoked.is_empty() && serials.iter().any(|serial| self.revoked.contains(serial))
    }

    /// Whether an authority was to have made a newer list by now.
    pub(crate) fn is_overdue(&self, now: SystemTime) -> bool {
        self.overdue_from.is_some_and(|from| from <= now)
    }
}

/// Names are compared as they are encoded, as they are in handshakes.
fn encoded(name: &Name) -> Vec<u8> {
    name.to_der().unwrap_or_default()
}

fn unreadable(error: &x509_cert::der::Error) -> String {
    format!("it cannot be read ({error})")
}
