//! How a server is to behave.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use annalist_proto::PORT;
use annalist_store::StoreOptions;
use annalist_telemetry::{LogFormat, Telemetry, TelemetryBuilder};
use serde::{Deserialize, Serialize};

use crate::{limits, tls::TlsOptions};

/// Settings of a server. Everything has a default: without any it listens on loopback and stores in `./data`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Where it listens. Port 0: any that is free. Default: `127.0.0.1:2665`. Since 0.1.
    pub listen: SocketAddr,
    /// The folder of the store, made if need be. Default: `data`. Since 0.1.
    pub data: PathBuf,
    /// The file of the keys that are accepted; without one everybody who reaches the port may do everything. Default: none. Since
    /// 0.1.
    pub keys: Option<PathBuf>,
    /// Whether it may listen beyond loopback without keys, and without asking clients for certificates. Default: false. Since 0.1.
    pub without_keys: bool,
    /// The files that TLS is spoken with; without them it is not spoken. Default: none. Since 0.1.
    pub tls: Option<TlsOptions>,
    /// Where it is told who was refused and what was administered: a file that is added to, one JSON object for each line. Without
    /// it that goes to the log, as `annalist::audit`. Default: none. Since 0.1.
    pub audit: Option<PathBuf>,
    /// How log lines are written to standard error by [`serve`](crate::serve). Default: text. Since 0.1.
    pub log: LogFormat,
    /// Where [`serve`](crate::serve) sends traces by OTLP over HTTP, such as `http://collector:4318/v1/traces`. Default: where the
    /// variable `OTEL_EXPORTER_OTLP_ENDPOINT` says, and nowhere without it. Since 0.1.
    pub traces: Option<String>,
    /// The folder of the backups that clients may ask for; without it they cannot. It is best on another disk. Default: none. Since 0.1.
    pub backups: Option<PathBuf>,
    /// Memory for the bodies of all requests together, in bytes; those beyond are refused as unavailable. Default: 256 MiB. Since 0.1.
    pub request_memory_bytes: usize,
    /// Most reads and subscriptions at a time, of all connections together; those beyond are refused as unavailable. Default:
    /// 4,096. Since 0.1.
    pub answers_max: usize,
    /// How the store is to behave. Since 0.1.
    pub store: StoreOptions,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let (data, store) = (PathBuf::from("data"), StoreOptions::default());
        Self {
            listen,
            data,
            keys: None,
            without_keys: false,
            tls: None,
            audit: None,
            log: LogFormat::Text,
            traces: None,
            backups: None,
            request_memory_bytes: limits::REQUEST_MEMORY_BYTES,
            answers_max: limits::ANSWERS_MAX,
            store,
        }
    }
}

impl ServerOptions {
    /// What is told of the server while it runs.
    pub(crate) fn telemetry(&self) -> TelemetryBuilder {
        let telemetry = Telemetry::of("annalist-server").logs(self.log);
        match &self.traces {
            Some(endpoint) => telemetry.traces_to(endpoint),
            None => telemetry,
        }
    }
}
