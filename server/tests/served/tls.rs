//! TLS: who is believed, who is refused and why, and new certificates while the server runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use annalist_client::{AddressError, ApiKey, Identity, RemoteOptions, RemoteStore};
use annalist_core::{
    Append, AppendError, EventId, EventStore as _, EventType, Expected, NewEvent, StoreError, StreamId,
};
use annalist_server::{Server, ServerOptions, TlsOptions};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    KeyPair, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

use crate::support::Process;

/// An authority, and the folder where what it signs is put.
struct Authority {
    dir: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let dir = dir.join(name);
        fs::create_dir_all(&dir).expect("a folder");
        fs::write(dir.join("ca.pem"), issuer.pem()).expect("written");
        Self { dir, issuer }
    }

    fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Its list of revoked certificates, as a file, to be replaced in that year; those of these numbers are in it.
    fn revoke(&self, numbers: &[u64], year: i32) -> PathBuf {
        let (this_update, next_update) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 1));
        let revoked = numbers.iter().map(|&number| RevokedCertParams {
            serial_number: number.into(),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let file = self.dir.join("crl.pem");
        fs::write(&file, list.signed_by(&self.issuer).expect("a list").pem().expect("PEM")).expect("written");
        file
    }

    /// A certificate of this number.
    fn sign_numbered(&self, name: &str, number: u64) -> (PathBuf, PathBuf) {
        self.sign_by(name, 2100, &[], Some(number))
    }

    /// A certificate for this machine and its key, as files.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        self.sign_until(name, 2100)
    }

    fn sign_until(&self, name: &str, year: i32) -> (PathBuf, PathBuf) {
        self.sign_with(name, year, &[])
    }

    /// With further alternative names.
    fn sign_with(&self, name: &str, year: i32, more: &[SanType]) -> (PathBuf, PathBuf) {
        self.sign_by(name, year, more, None)
    }

    fn sign_by(&self, name: &str, year: i32, more: &[SanType], number: Option<u64>) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("valid names");
        params.subject_alt_names.extend_from_slice(more);
        params.serial_number = number.map(SerialNumber::from);
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (cert, private) = (self.dir.join(format!("{name}.pem")), self.dir.join(format!("{name}.key")));
        fs::write(&cert, certificate.pem()).expect("written");
        fs::write(&private, key.serialize_pem()).expect("written");
        (cert, private)
    }
}

fn command(dir: &Path, (cert, key): &(PathBuf, PathBuf)) -> Command {
    let mut command = Process::command(&dir.join("data"));
    command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
    command
}

fn options(ca: &Path) -> RemoteOptions {
    let mut options = RemoteOptions::default();
    options.ca = Some(ca.to_owned());
    options
}

fn append() -> Append {
    append_to("a-1")
}

fn append_to(stream: &'static str) -> Append {
    let event = NewEvent::new(EventId::generate(), EventType::new("greeted").expect("a valid type"), "{}");
    Append::new().events(StreamId::new(stream).expect("a valid name"), Expected::Any, [event])
}

fn curl(address: &str, path: &str, more: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-w", "%{http_code} %{http_version}", &format!("{address}{path}")]).args(more);
    curl.output().expect("curl runs")
}

/// What reading is refused with.
async fn unread(address: &str, options: RemoteOptions) -> String {
    match RemoteStore::connect_with(address, options).expect("an address").head().await {
        Err(StoreError::Unavailable { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_protocols_speak_tls_on_one_port() {
    let dir = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(dir.path(), "ours");
    let server = Process::run(command(dir.path(), &authority.sign("server")));
    assert!(server.address.starts_with("https://"), "{}", server.address);
    let store = RemoteStore::connect_with(&server.address, options(&authority.ca())).expect("an address");
    store.append(append()).await.expect("appended over TLS");
    let ca = authority.ca();
    let ca = ca.to_str().expect("text");
    for (version, spoken) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let output = curl(&server.address, "/v1/head", &["--cacert", ca, version]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("\"position\":1") && text.ends_with(&format!("200 {spoken}")), "{text}");
    }
    let plain = curl(&server.address.replace("https", "http"), "/v1/head", &[]);
    assert!(!plain.status.success(), "it does not answer who does not speak TLS: {plain:?}");
    let why = unread(&server.address.replace("https", "http"), quick(RemoteOptions::default())).await;
    assert!(!why.is_empty());
}

/// Does not wait long for a server that will not come.
fn quick(mut options: RemoteOptions) -> RemoteOptions {
    options.call_timeout = Duration::from_millis(300);
    options
}

#[tokio::test]
async fn who_is_not_known_is_not_believed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let server = Process::run(command(dir.path(), &ours.sign("server")));
    for options in [options(&theirs.ca()), RemoteOptions::default()] {
        let store = RemoteStore::connect_with(&server.address, options).expect("an address");
        // Refused, not unknown: it is certain that nothing was asked.
        match store.append(append()).await {
            Err(AppendError::Unavailable { why }) => assert!(why.contains("UnknownIssuer"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    let elsewhere = server.address.replace("127.0.0.1", "127.0.0.2");
    let listening = unread(&elsewhere, quick(options(&ours.ca()))).await;
    assert!(!listening.is_empty(), "it listens on 127.0.0.1 alone");
}

#[tokio::test]
async fn clients_show_certificates_of_an_authority() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let mut command = command(dir.path(), &ours.sign("server"));
    command.arg("--tls-client-ca").arg(ours.ca());
    let server = Process::run(command);
    let with = |(cert, key): (PathBuf, PathBuf)| {
        let mut options = options(&ours.ca());
        options.identity = Some(Identity::new(cert, key));
        options
    };
    let shop = with(ours.sign("shop"));
    RemoteStore::connect_with(&server.address, shop).expect("an address").append(append()).await.expect("it may");
    let why = unread(&server.address, options(&ours.ca())).await;
    assert!(why.contains("no certificate"), "{why}");
    let why = unread(&server.address, quick(with(theirs.sign("stranger")))).await;
    assert!(why.contains("issued this client's certificate"), "{why}");
    let ca = ours.ca();
    let ca = ca.to_str().expect("text");
    let status =
        |path: &str| String::from_utf8_lossy(&curl(&server.address, path, &["--cacert", ca]).stdout).into_owned();
    assert!(status("/v1/head").contains("401"), "{}", status("/v1/head"));
    assert!(status("/health/ready").contains("200"), "probes hold no certificates");
}

#[tokio::test]
async fn a_certificate_is_good_for_what_its_name_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let ours = Authority::new(dir.path(), "ours");
    let (keys, audit) = (dir.path().join("keys"), dir.path().join("audit"));
    fs::write(&keys, "append shop uri:spiffe://internal/shop a=append\nread grafana dns:grafana.internal\n")
        .expect("written");
    let mut command = command(dir.path(), &ours.sign("server"));
    command.arg("--tls-client-ca").arg(ours.ca()).arg("--keys").arg(&keys).env("ANNALIST_AUDIT", &audit);
    let server = Process::run(command);
    let shown = |name: &str, more: &[SanType]| {
        let (cert, key) = ours.sign_with(name, 2100, more);
        let mut options = options(&ours.ca());
        options.identity = Some(Identity::new(cert, key));
        options
    };
    let store = |options: RemoteOptions| RemoteStore::connect_with(&server.address, options).expect("an address");
    let text = |text: &str| text.try_into().expect("a name");
    let shop = shown("a", &[SanType::URI(text("spiffe://internal/shop"))]);
    store(shop.clone()).append(append()).await.expect("it may, without a key");
    let grafana = store(shown("b", &[SanType::DnsName(text("Grafana.internal"))]));
    grafana.head().await.expect("it may read");
    for (why, refused) in [
        ("`grafana` may read; this needs append", grafana.append(append()).await),
        ("no key, and a certificate", store(shown("grafana.internal", &[])).append(append()).await),
        ("`shop` may nothing in `b`", store(shop.clone()).append(append_to("b-1")).await),
    ] {
        match refused {
            Err(AppendError::Unavailable { why: said }) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }
    // Who sends a key is who bears it.
    let mut with_key = shop.clone();
    with_key.key = Some(ApiKey::new("annalist_00"));
    assert!(unread(&server.address, with_key).await.contains("no key, or one that is not known"));

    let told = fs::read_to_string(&audit).expect("it is there");
    let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let who: Vec<_> = told.iter().map(|line| (line["who"].as_str(), line["result"].as_str().expect("text"))).collect();
    assert_eq!(who, [(Some("grafana"), "denied"), (None, "unknown"), (Some("shop"), "denied"), (None, "unknown")]);

    // Taken away while it is connected.
    let connected = store(shop);
    connected.head().await.expect("it may");
    fs::write(&keys, "read grafana dns:grafana.internal\n").expect("written");
    hang_up(&server);
    while connected.head().await.is_ok() {}
    grafana.head().await.expect("others are as before");
}

#[tokio::test]
async fn certificates_are_named_where_they_are_asked_for_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ours, keys) = (Authority::new(dir.path(), "ours"), dir.path().join("keys"));
    fs::write(&keys, "append shop dns:shop.internal\n").expect("written");
    let output = command(dir.path(), &ours.sign("server")).arg("--keys").arg(&keys).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--tls-client-ca"), "{said}");
}

fn hang_up(server: &Process) {
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
}

#[tokio::test]
async fn what_an_authority_has_revoked_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let lists = ours.revoke(&[7], 2100);
    let mut command = command(dir.path(), &ours.sign("server"));
    command.arg("--tls-client-ca").arg(ours.ca()).arg("--tls-client-crl").arg(&lists);
    let server = Process::run(command);
    let store = |(cert, key): &(PathBuf, PathBuf)| {
        let mut options = options(&ours.ca());
        options.identity = Some(Identity::new(cert, key));
        RemoteStore::connect_with(&server.address, options).expect("an address")
    };
    let ca = ours.ca();
    // Whether it agrees on TLS: curl succeeds with any answer.
    let agrees = |(cert, key): &(PathBuf, PathBuf)| {
        let [ca, cert, key] = [&ca, cert, key].map(|path| path.to_str().expect("text"));
        curl(&server.address, "/v1/head", &["--cacert", ca, "--cert", cert, "--key", key]).status.success()
    };
    let (lost, shop) = (ours.sign_numbered("lost", 7), ours.sign_numbered("shop", 8));
    assert!(agrees(&shop) && !agrees(&lost), "one of the two is revoked");
    let (connected, other) = (store(&shop), store(&ours.sign_numbered("other", 9)));
    connected.append(append()).await.expect("it may");
    other.head().await.expect("it may");
    // A list of another authority, by mistake: who of ours is revoked could not be told.
    fs::copy(theirs.revoke(&[], 2100), &lists).expect("copied");
    hang_up(&server);
    store(&shop).head().await.expect("the list before it stays in force");
    // Revoked while it is connected, by a list that is late.
    ours.revoke(&[7, 8], 2001);
    hang_up(&server);
    let refused = loop {
        if let Err(error) = connected.head().await {
            break error.to_string();
        }
    };
    assert!(refused.contains("a certificate that was revoked"), "{refused}");
    assert!(!agrees(&shop), "it cannot connect again either");
    other.head().await.expect("others are as before");
    let new = store(&ours.sign_numbered("new", 10));
    new.head().await.expect("a list that is late says who is revoked, and keeps nobody else out");
}

#[tokio::test]
async fn a_new_certificate_needs_no_new_server() {
    let dir = tempfile::tempdir().expect("a folder");
    let (old, new) = (Authority::new(dir.path(), "old"), Authority::new(dir.path(), "new"));
    let pair = old.sign("server");
    let server = Process::run(command(dir.path(), &pair));
    let head = async |authority: &Authority| {
        let store = RemoteStore::connect_with(&server.address, options(&authority.ca())).expect("an address");
        store.head().await
    };
    head(&old).await.expect("the old one is shown");
    // Half of a change: the certificate is new, the key is not.
    let renewed = new.sign("server");
    fs::copy(&renewed.0, &pair.0).expect("copied");
    hang_up(&server);
    head(&old).await.expect("the old one stays in force");
    fs::copy(&renewed.1, &pair.1).expect("copied");
    hang_up(&server);
    while let Err(error) = head(&new).await {
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }
    head(&old).await.expect_err("the new one is shown");
}

#[test]
fn what_cannot_be_spoken_with_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(dir.path(), "ours");
    let (good, other) = (authority.sign("good"), authority.sign("other"));
    let expired = authority.sign_until("expired", 2001);
    let empty = dir.path().join("empty.pem");
    fs::write(&empty, "").expect("written");
    let said = |cert: &Path, key: &Path, more: &[&str]| {
        let output = command(dir.path(), &(cert.to_owned(), key.to_owned())).args(more).output().expect("it runs");
        assert!(!output.status.success(), "it does not start");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let missing = said(&dir.path().join("missing.pem"), &good.1, &[]);
    assert!(missing.contains("missing.pem: No such file"), "{missing}");
    let swapped = said(&good.1, &good.0, &[]);
    assert!(swapped.contains("good.key: there is no certificate in it"), "{swapped}");
    let foreign = said(&good.0, &other.1, &[]);
    assert!(foreign.contains("other.key: it is not the key of the certificate in"), "{foreign}");
    let late = said(&expired.0, &expired.1, &[]);
    assert!(late.contains("expired.pem: it expired at 2001-01-01T00:00:00Z"), "{late}");
    let nobody = said(&good.0, &good.1, &["--tls-client-ca", empty.to_str().expect("text")]);
    assert!(nobody.contains("empty.pem: there is no certificate in it"), "{nobody}");
    let (ca, theirs) = (authority.ca(), Authority::new(dir.path(), "theirs").revoke(&[], 2100));
    let broken = dir.path().join("broken.pem");
    let list = fs::read_to_string(authority.revoke(&[], 2100)).expect("it is there");
    let (begin, rest) = list.split_at(100);
    fs::write(&broken, format!("{begin}{}", rest.replacen('M', "A", 1))).expect("written");
    let list = |file: &Path| {
        let (ca, file) = (ca.to_str().expect("text"), file.to_str().expect("text"));
        said(&good.0, &good.1, &["--tls-client-ca", ca, "--tls-client-crl", file])
    };
    let none = list(&ca);
    assert!(none.contains("ca.pem: there is no list of revoked certificates in it"), "{none}");
    let broken = list(&broken);
    assert!(broken.contains("broken.pem: it cannot be read"), "{broken}");
    let foreign = list(&theirs);
    assert!(foreign.contains("crl.pem: there is no list of the authority `CN=ours`"), "{foreign}");
    // So does `config check`.
    let (mut tls, mut options) = (TlsOptions::new(&good.0, &good.1), ServerOptions::default());
    (tls.client_ca, tls.client_crl) = (Some(ca), Some(theirs));
    options.tls = Some(tls);
    let checked = Server::check(&options).expect_err("it would not start").to_string();
    assert!(checked.contains("there is no list of the authority"), "{checked}");
    assert!(!dir.path().join("data").exists(), "nothing was made");
}

#[tokio::test]
async fn a_client_says_which_of_its_files_is_wrong() {
    let dir = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(dir.path(), "ours");
    let (good, other) = (authority.sign("good"), authority.sign("other"));
    let refused = |address: &str, options: RemoteOptions| match RemoteStore::connect_with(address, options) {
        Err(error @ (AddressError::Tls { .. } | AddressError::Malformed { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let missing = refused("https://localhost:1", options(&dir.path().join("missing.pem")));
    assert!(missing.contains("missing.pem: No such file"), "{missing}");
    let key = refused("https://localhost:1", options(&good.1));
    assert!(key.contains("good.key: there is no certificate in it"), "{key}");
    let mut mixed = options(&authority.ca());
    mixed.identity = Some(Identity::new(good.0, other.1));
    let mixed = refused("https://localhost:1", mixed);
    assert!(mixed.contains("other.key: it is not the key of the certificate"), "{mixed}");
    let plain = refused("http://localhost:1", options(&authority.ca()));
    assert!(plain.contains("begins with `http://`"), "{plain}");
}
