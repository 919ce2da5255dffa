//! A real browser: Debian's Chromium without a window, driven through its chromedriver. Each has an
//! empty profile of its own, goes nowhere but where it is sent, and is gone when dropped.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broadside::cmd::client::{Place, once};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything in the browser may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at the page.
const LOOK: Duration = Duration::from_millis(50);
/// Nothing is asked of anybody but the page's own server.
const FLAGS: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
];

/// Where the pictures are kept.
pub fn screenshots() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target")),
        PathBuf::from,
    );
    target.join("tests/screenshots")
}

/// One line of the browser's console.
#[derive(Clone, Debug)]
pub struct Said {
    /// `SEVERE`, `WARNING`, `INFO`.
    pub level: String,
    /// What.
    pub message: String,
}

/// The browser with one page.
pub struct Browser {
    // Dropped first: its runtime must not outlive the driver.
    client: Option<Client>,
    runtime: Runtime,
    driver: Driver,
    session: String,
}

/// The driver's process and everything that it started.
struct Driver {
    child: Child,
    port: u16,
    profile: TempDir,
}

/// Where the programs are; `None`: they are missing, and the test says so.
fn programs() -> Option<PathBuf> {
    let found = |name: &str| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|it| it.is_file())
    };
    if found("chromedriver").is_none() || found("chromium").is_none() {
        eprintln!(
            "SKIPPED: chromium or chromedriver is missing: apt-get install chromium chromium-driver"
        );
        return None;
    }
    found("chromium")
}

impl Driver {
    fn start() -> Self {
        let profile = tempfile::Builder::new().prefix("broadside-browser-").tempdir().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .env("TMPDIR", profile.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (found, port) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that it never waits for a reader.
            for line in lines.map_while(Result::ok) {
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    let _ = found.send(port.trim_end_matches('.').parse());
                }
            }
        });
        let mut driver = Self { child, port: 0, profile };
        driver.port = port.recv_timeout(PATIENCE).expect("it says its port").expect("a port");
        driver
    }

    /// What is not in fantoccini: the driver's own commands.
    fn post(&self, path: &str, body: &Value) -> Value {
        let place = Place::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap();
        let answer = once(&place, None, "POST", body.to_string().as_bytes(), PATIENCE).unwrap();
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(answer.status, 200, "{path}: {value}");
        value["value"].clone()
    }

    /// Processes that still use the profile.
    fn left_over(&self) -> Vec<Pid> {
        let profile = self.profile.path().to_str().expect("text").as_bytes().to_vec();
        let Ok(all) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        let numbers = all.flatten().filter_map(|it| it.file_name().to_str()?.parse::<i32>().ok());
        let uses = |pid: &i32| {
            let said = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            said.windows(profile.len()).any(|window| window == profile)
        };
        numbers.filter(uses).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Whatever is gone already is gone.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        let end = Instant::now() + PATIENCE;
        loop {
            let left = self.left_over();
            if left.is_empty() || Instant::now() > end {
                return;
            }
            for pid in left {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Browser {
    /// Starts one; `None`: there is none on this host, which was said.
    pub fn start() -> Option<Self> {
        let chromium = programs()?;
        let driver = Driver::start();
        let profile = format!("--user-data-dir={}", driver.profile.path().display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({
            "goog:chromeOptions": {"binary": chromium, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let address = format!("http://127.0.0.1:{}", driver.port);
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(wanted.as_object().expect("an object").clone());
            builder.connect(&address).await
        });
        let client = client.expect("the browser starts");
        let session = runtime.block_on(client.session_id()).unwrap().expect("a session");
        Some(Self { client: Some(client), runtime, driver, session })
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("it is open")
    }

    /// Opens a page.
    pub fn goto(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).expect("the page is there");
    }

    /// What a piece of JavaScript returns.
    pub fn eval(&self, script: &str) -> Value {
        let result = self.runtime.block_on(self.client().execute(script, Vec::new()));
        result.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The same as text.
    pub fn text(&self, script: &str) -> String {
        self.eval(script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until an expression is true in the page.
    pub fn wait_until(&self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.eval(&format!("return Boolean({expression})")) != json!(true) {
            let page = || self.text("return document.body.innerText");
            assert!(Instant::now() < end, "never came true: {expression}\n{}", page());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the JSON text that an expression gives in the page is what `told` says, which is
    /// asked anew each time.
    pub fn wait_until_told(&self, expression: &str, told: impl Fn() -> Value) {
        let end = Instant::now() + PATIENCE;
        loop {
            let shown = self.text(&format!("return {expression}"));
            let told = told();
            if serde_json::from_str::<Value>(&shown).ok().as_ref() == Some(&told) {
                return;
            }
            assert!(Instant::now() < end, "{expression} is {shown}, not {told}");
            std::thread::sleep(LOOK);
        }
    }

    fn session(&self, path: &str, body: &Value) -> Value {
        self.driver.post(&format!("/session/{}{path}", self.session), body)
    }

    /// A command of the DevTools protocol.
    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.session("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Makes the page so wide and high, in CSS pixels, in the light or the dark.
    pub fn look(&self, width: u32, height: u32, is_dark: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1,
                          "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// Keeps a picture of the whole page; says where.
    pub fn screenshot(&self, name: &str) -> PathBuf {
        let picture = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.devtools("Page.captureScreenshot", &picture);
        let bytes = STANDARD.decode(picture["data"].as_str().expect("base64")).expect("base64");
        let folder = screenshots();
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, bytes).unwrap();
        eprintln!("screenshot: {}", path.display());
        path
    }

    /// What the console has said since it was last asked.
    pub fn console(&self) -> Vec<Said> {
        let all = self.session("/se/log", &json!({"type": "browser"}));
        let said = |it: &Value| Said {
            level: it["level"].as_str().unwrap_or_default().to_owned(),
            message: it["message"].as_str().unwrap_or_default().to_owned(),
        };
        all.as_array().expect("a list").iter().map(said).collect()
    }

    /// Errors and warnings of the console, but for what `is_expected`.
    pub fn assert_quiet(&self, is_expected: impl Fn(&Said) -> bool) {
        let loud = |said: &Said| said.level == "SEVERE" || said.level == "WARNING";
        let said: Vec<Said> = self.console().into_iter().filter(loud).collect();
        let wrong: Vec<&Said> = said.iter().filter(|said| !is_expected(said)).collect();
        assert!(wrong.is_empty(), "the console says {wrong:#?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let closing = async { tokio::time::timeout(PATIENCE / 6, client.close()).await };
            drop(self.runtime.block_on(closing));
        }
    }
}
