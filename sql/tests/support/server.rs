//! A real PostgreSQL server of our own in a folder of its own.

use std::{
    env, fs,
    io::Write as _,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use annalist_sql::sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::within;

/// The server listens on a socket in its folder alone. It ends with this, and also when the test is killed.
pub(crate) struct Server {
    folder: TempDir,
    /// Ends the server when its standard input ends.
    keeper: Option<Child>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        if let Some((user, group)) = unprivileged() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut server = Self { folder, keeper: None };
        let mut initdb = server.command("initdb");
        initdb.args(["--auth=trust", "--username=annalist", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]);
        let made = initdb.arg(server.data()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.restart().await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://annalist@localhost/postgres?host={}", self.folder.path().display())
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }

    /// Starts it with what it has stored so far, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        self.keeper = None;
        within("PostgreSQL to answer", async {
            loop {
                // What is left of one that was killed may be in the way for a moment.
                let ended = self.keeper.as_mut().is_none_or(|keeper| keeper.try_wait().unwrap().is_some());
                if ended {
                    self.keeper = Some(self.spawn());
                }
                if let Ok(connection) = PgConnection::connect(&self.url()).await {
                    return connection.close().await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    fn spawn(&self) -> Child {
        // The server has the shell for a parent, which waits for the end of its input: of this process.
        let script =
            r#"exec 3<&0; "$@" </dev/null 3<&- & server=$!; (cat <&3 >/dev/null; kill -QUIT $server) & wait $server"#;
        let mut shell = self.command_at(Path::new("/bin/sh"));
        shell.args(["-c", script, "sh"]).arg(binary("postgres")).arg("-D").arg(self.data());
        for setting in ["listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=60"] {
            shell.args(["-c", setting]);
        }
        shell.arg("-k").arg(self.folder.path());
        let log = fs::File::options().append(true).create(true).open(self.folder.path().join("log")).unwrap();
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let killed = Command::new("kill").args(["-KILL", pid.lines().next().unwrap()]).status().unwrap();
        assert!(killed.success());
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        self.command_at(&binary(name))
    }

    /// PostgreSQL refuses to run as root.
    fn command_at(&self, path: &Path) -> Command {
        let mut command = Command::new(path);
        command.current_dir(self.folder.path()).env_remove("PGDATA");
        if let Some((user, group)) = unprivileged() {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
            std::io::stderr().write_all(&log).unwrap();
        }
    }
}

/// The user and the group to run the server as, if this is root.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)));
    Some(user.expect("PostgreSQL does not run as root: there must be a user `postgres` or `nobody`"))
}

fn binary(name: &str) -> PathBuf {
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.extend(env::var_os("POSTGRES_BIN").map(PathBuf::from));
    folders.reverse();
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no `{name}`: run `make tools`, or set POSTGRES_BIN to the folder with initdb and postgres")
    })
}
