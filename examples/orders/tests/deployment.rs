//! The folder `deploy`: the resources are what Kubernetes takes and what the services need, and the probes that they name are
//! answered by the real processes as they are numbered there.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper that fails fails the test")]

#[expect(unreachable_pub, reason = "a module that another test uses, too")]
mod deployed;

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use annalist_service::{
    BreakerPolicy, ShutdownOptions,
    outbound::{Bulkhead, Clients, OutboundClient, RetryBudget},
};
use deployed::{deploy, hadolint, promtool, python, root};
use orders::services;
use serde_json::Value;
use tokio::time::{sleep, timeout};

/// The versions of Kubernetes that the resources are checked for: the oldest with all that is used (`preStop` by `sleep`),
/// and the newest that there are schemas of.
const KUBERNETES: [&str; 2] = ["1.32", "1.37"];

const OVERLAYS: [&str; 2] = ["development", "production"];

const SERVICES: [&str; 4] = ["inventory", "orders", "payments", "shipping"];

/// The resources of an overlay, checked against the schemas.
fn rendered(overlay: &str) -> Vec<Value> {
    let folder = format!("deploy/kustomize/overlays/{overlay}");
    let output = python("tools/deploy/render.py").arg(folder).args(KUBERNETES).output().unwrap();
    assert!(output.status.success(), "{overlay}:\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn name(resource: &Value) -> &str {
    resource["metadata"]["name"].as_str().unwrap()
}

fn of_kind<'a>(resources: &'a [Value], kind: &str) -> Vec<&'a Value> {
    resources.iter().filter(|resource| resource["kind"] == kind).collect()
}

fn named<'a>(resources: &'a [Value], kind: &str, wanted: &str) -> &'a Value {
    let found = of_kind(resources, kind).into_iter().find(|resource| name(resource) == wanted);
    found.unwrap_or_else(|| panic!("there is no {kind} {wanted}"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The container of one of our services.
fn service(set: &Value) -> &Value {
    let containers = &set["spec"]["template"]["spec"]["containers"];
    list(containers).find(|container| container["name"] == "service").unwrap()
}

#[test]
fn the_resources_are_what_kubernetes_takes_and_kustomize_makes() {
    for overlay in OVERLAYS {
        let resources = rendered(overlay);
        assert!(resources.len() > 30, "{overlay}");
        // Where kustomize is installed, it says the same.
        let folder = deploy("kustomize").join("overlays").join(overlay);
        for program in [&["kustomize", "build"][..], &["kubectl", "kustomize"]] {
            let Ok(made) = Command::new(program[0]).args(&program[1..]).arg(&folder).output() else { continue };
            assert!(made.status.success(), "{overlay}: {}", String::from_utf8_lossy(&made.stderr));
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), made.stdout).unwrap();
            let read = python("tools/deploy/render.py").arg("--yaml").arg(file.path()).output().unwrap();
            let mut theirs: Vec<Value> = serde_json::from_slice(&read.stdout).unwrap();
            let mut ours = resources.clone();
            let key = |resource: &Value| (resource["kind"].to_string(), name(resource).to_owned());
            theirs.sort_by_key(key);
            ours.sort_by_key(key);
            assert_eq!(ours, theirs, "{overlay}");
        }
    }
}

/// The names that resources use of each other: each is there, or is said to be made elsewhere.
#[test]
fn what_a_resource_refers_to_is_there() {
    for overlay in OVERLAYS {
        let resources = rendered(overlay);
        let names = |kind| of_kind(&resources, kind).into_iter().map(name).collect::<BTreeSet<_>>();
        let (accounts, services, secrets) = (names("ServiceAccount"), names("Service"), names("Secret"));
        let labels: Vec<_> = of_kind(&resources, "StatefulSet")
            .iter()
            .map(|set| &set["spec"]["template"]["metadata"]["labels"])
            .collect();
        let matched = |selector: &Value| {
            let wanted = selector.as_object().unwrap();
            labels.iter().any(|labels| wanted.iter().all(|(label, value)| labels[label] == *value))
        };
        for set in of_kind(&resources, "StatefulSet") {
            let (spec, pod) = (&set["spec"], &set["spec"]["template"]["spec"]);
            assert!(services.contains(spec["serviceName"].as_str().unwrap()), "{}", name(set));
            assert!(accounts.contains(pod["serviceAccountName"].as_str().unwrap()), "{}", name(set));
            assert!(matched(&spec["selector"]["matchLabels"]), "{}", name(set));
            for container in list(&pod["containers"]) {
                for secret in
                    list(&container["env"]).filter_map(|env| env["valueFrom"]["secretKeyRef"]["name"].as_str())
                {
                    let documented = fs::read_to_string(root().join("docs/deployment.md")).unwrap().contains(secret);
                    assert!(secrets.contains(secret) || (overlay == "production" && documented), "{overlay}: {secret}");
                }
                let claims = list(&spec["volumeClaimTemplates"]).map(name);
                let volumes = list(&pod["volumes"]).map(|volume| volume["name"].as_str().unwrap());
                let volumes: BTreeSet<_> = claims.chain(volumes).collect();
                let mounted = list(&container["volumeMounts"]).map(|mount| mount["name"].as_str().unwrap());
                assert!(mounted.collect::<BTreeSet<_>>().is_subset(&volumes), "{}", name(set));
            }
        }
        for service in of_kind(&resources, "Service").iter().filter(|service| service["spec"]["type"] != "ExternalName")
        {
            assert!(matched(&service["spec"]["selector"]), "{overlay}: nothing is behind service {}", name(service));
        }
        for budget in of_kind(&resources, "PodDisruptionBudget") {
            assert!(matched(&budget["spec"]["selector"]["matchLabels"]), "{overlay}: {}", name(budget));
            // With one pod, `minAvailable` would keep its node from ever being drained.
            assert_eq!(budget["spec"]["maxUnavailable"], 1);
        }
    }
}

#[test]
fn each_writer_is_one_careful_pod_with_a_volume_of_its_own() {
    for overlay in OVERLAYS {
        let resources = rendered(overlay);
        for wanted in SERVICES {
            let set = named(&resources, "StatefulSet", wanted);
            let (spec, pod, container) = (&set["spec"], &set["spec"]["template"]["spec"], service(set));
            assert_eq!((&spec["replicas"], &spec["podManagementPolicy"]), (&1.into(), &"OrderedReady".into()));
            assert_eq!(spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
            let claim = &spec["volumeClaimTemplates"][0];
            assert_eq!(name(claim), "data");
            assert!(claim["spec"]["accessModes"][0].as_str().unwrap().starts_with("ReadWriteOnce"));
            assert!(
                list(&container["volumeMounts"]).any(|mount| mount["name"] == "data" && mount["mountPath"] == "/data")
            );
            // It makes backups of itself, on another volume than that of its store.
            let told = list(&container["env"]).find(|env| env["name"] == "BACKUPS").unwrap();
            let mount = list(&container["volumeMounts"]).find(|mount| mount["mountPath"] == told["value"]).unwrap();
            assert_eq!(mount["name"], "backups");
            let claims: Vec<_> = list(&spec["volumeClaimTemplates"]).map(name).collect();
            assert_eq!(claims, ["data", "backups"], "{wanted}");

            let security = &container["securityContext"];
            assert_eq!(
                (&pod["securityContext"]["runAsNonRoot"], &pod["securityContext"]["runAsUser"]),
                (&true.into(), &65532.into())
            );
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            assert_eq!(
                (&security["allowPrivilegeEscalation"], &security["readOnlyRootFilesystem"]),
                (&false.into(), &true.into())
            );
            assert_eq!(security["capabilities"]["drop"][0], "ALL");
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert!(
                container["resources"]["requests"]["memory"].is_string()
                    && container["resources"]["limits"]["memory"].is_string()
            );

            // It has the time to end in order, with the pause before it and some more.
            let ShutdownOptions { unready_pause, drain_max, consumers_max, flush_max, telemetry_max, .. } =
                ShutdownOptions::default();
            let ending = unready_pause + drain_max + consumers_max + flush_max + telemetry_max;
            let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
            let grace = Duration::from_secs(pod["terminationGracePeriodSeconds"].as_u64().unwrap());
            assert!(grace > ending + Duration::from_secs(pause), "{grace:?}");
            named(&resources, "PodDisruptionBudget", wanted);
        }
        // What is not named in a policy is not let through.
        let nothing_else = named(&resources, "NetworkPolicy", "nothing-else");
        assert_eq!(
            nothing_else["spec"],
            serde_json::json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] })
        );
        // The broker syncs before it acknowledges, and there are as many servers as replicas.
        let config = named(&resources, "ConfigMap", "nats")["data"]["nats.conf"].as_str().unwrap();
        assert!(config.contains("sync_interval: always"));
        let replicas = named(&resources, "StatefulSet", "nats")["spec"]["replicas"].to_string();
        for wanted in SERVICES {
            let set = named(&resources, "StatefulSet", wanted);
            let said = list(&service(set)["env"]).find(|env| env["name"] == "NATS_REPLICAS").unwrap();
            assert_eq!(said["value"], *replicas, "{wanted}");
        }
    }
}

#[test]
fn the_broker_takes_its_configuration_and_lets_each_service_do_what_it_must() {
    let written = deploy("kustomize/base/accounts.conf");
    let accounts = services::permissions().unwrap();
    if std::env::var("ANNALIST_LOCK").is_ok_and(|mode| mode == "update") {
        fs::write(&written, &accounts).unwrap();
    }
    assert_eq!(fs::read_to_string(written).unwrap(), accounts, "write it anew with ANNALIST_LOCK=update");
    let mut server = Command::new(orders::nats_server::find_binary().unwrap());
    server.args(["-t", "-c", "nats.conf"]).env("POD_NAME", "nats-0").current_dir(deploy("kustomize/base"));
    for service in SERVICES {
        server.env(format!("{}_PASSWORD", service.to_uppercase()), "a-password");
    }
    let checked = server.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn the_dockerfile_and_the_scrape_configuration_have_no_faults() {
    let linted = Command::new(hadolint()).arg(deploy("Dockerfile")).output().unwrap();
    assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stdout));
    let checked =
        Command::new(promtool()).args(["check", "config"]).arg(deploy("monitoring/prometheus.yaml")).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()));
    // The compiler of the image is the one that is pinned.
    let pinned = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let version = pinned.lines().find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"')).unwrap();
    assert!(fs::read_to_string(deploy("Dockerfile")).unwrap().contains(&format!("FROM rust:{version}-")));
}

/// A probe as a manifest has it.
struct Probe {
    path: String,
    timeout: Duration,
    period: Duration,
    failures_max: u32,
}

impl Probe {
    fn of(container: &Value, kind: &str) -> Self {
        let probe = &container[kind];
        let seconds = |field: &str| Duration::from_secs(probe[field].as_u64().unwrap());
        let port = list(&container["ports"]).find(|port| port["name"] == probe["httpGet"]["port"]);
        assert_eq!(port.unwrap()["containerPort"], 8080, "{kind}");
        Self {
            path: probe["httpGet"]["path"].as_str().unwrap().to_owned(),
            timeout: seconds("timeoutSeconds"),
            period: seconds("periodSeconds"),
            failures_max: u32::try_from(probe["failureThreshold"].as_u64().unwrap()).unwrap(),
        }
    }

    /// Asks once, as a kubelet does.
    async fn ask(&self, client: &OutboundClient) -> bool {
        let answer = timeout(self.timeout, client.get(&self.path).send()).await;
        answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()))
    }

    /// Asks until it is answered well, or until the kubelet would give up.
    async fn passes(&self, client: &OutboundClient) -> bool {
        for _ in 0..self.failures_max {
            if self.ask(client).await {
                return true;
            }
            sleep(self.period).await;
        }
        false
    }
}

/// A process as a manifest has it started, but on this machine: another folder, another port, no broker.
struct Pod {
    process: Child,
    client: OutboundClient,
    addr: SocketAddr,
}

impl Pod {
    fn start(container: &Value, dir: &std::path::Path) -> Self {
        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
        command.arg("--dir").arg(dir).env("RUST_LOG", "off").stdin(Stdio::null()).stderr(Stdio::null());
        for argument in list(&container["args"]) {
            command.arg(match argument.as_str().unwrap() {
                "0.0.0.0:8080" => addr.to_string(),
                "$(PROVIDER_URL)" => {
                    let provider = list(&container["env"]).find(|env| env["name"] == "PROVIDER_URL").unwrap();
                    provider["value"].as_str().unwrap().to_owned()
                }
                argument => argument.to_owned(),
            });
        }
        command.env("NATS_URL", "nats://user:password@127.0.0.1:1").env("NATS_REPLICAS", "3");
        let client = Clients::default().client("pod", &format!("http://{addr}")).unwrap();
        let client = client.timeout(Duration::from_secs(30)).retry_budget(RetryBudget::none());
        let client = client.breaker(BreakerPolicy::consecutive(u32::MAX)).bulkhead(Bulkhead::new(8));
        let client = client.no_fallback("a probe wants to know").build().unwrap();
        Self { process: command.spawn().unwrap(), client, addr }
    }

    fn signal(&self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // An error says that it has ended.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_are_answered_by_the_processes_as_the_manifests_have_them() {
    let resources = rendered("production");
    for wanted in SERVICES {
        let set = named(&resources, "StatefulSet", wanted);
        let container = service(set);
        let probes = ["startupProbe", "livenessProbe", "readinessProbe"].map(|kind| Probe::of(container, kind));
        let [startup, live, ready] = &probes;
        assert_eq!(probes.each_ref().map(|probe| &*probe.path), ["/health/startup", "/health/live", "/health/ready"]);
        let dir = tempfile::tempdir().unwrap();
        let mut pod = Pod::start(container, dir.path());
        assert!(startup.passes(&pod.client).await, "{wanted} does not start");
        // No broker, no other service, no provider: it is alive and ready all the same.
        assert!(live.ask(&pod.client).await && ready.ask(&pod.client).await, "{wanted}");

        // Told to end, it is not ready before it takes no more connections, and alive until then; it ends within its grace.
        pod.signal();
        let mut unready = false;
        while TcpStream::connect(pod.addr).is_ok() {
            let told = pod.client.get(&ready.path).send().await;
            unready |= matches!(&told, Err(error) if error.to_string().contains("503"))
                || told.is_ok_and(|answer| answer.status().as_u16() == 503);
            sleep(Duration::from_millis(20)).await;
        }
        assert!(unready, "{wanted} was never unready before it ended");
        let grace = set["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap();
        let ended = tokio::task::spawn_blocking(move || pod.process.wait().map(|status| (status, pod)));
        let (status, _pod) =
            timeout(Duration::from_secs(grace), ended).await.expect("it ends in time").unwrap().unwrap();
        assert!(status.success(), "{wanted}: {status}");
    }
}
