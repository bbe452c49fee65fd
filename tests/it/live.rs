//! What the dashboard stands on, for real: the stream of changes, dry runs, and everything behind a proxy's path.
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::node::{Node, PATIENCE, pair, start_simulated};
use super::policy::{add, audit, pair_with};

/// A reader of `/live`, with what it knows so far, as a page would have it.
struct Page {
    lines: std::io::Lines<BufReader<TcpStream>>,
    known: Value,
    events: Vec<Value>,
}

impl Page {
    fn open(address: &str, path: &str, lines: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n{lines}\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        Self { lines: reader.lines(), known: json!({}), events: Vec::new() }
    }

    fn of(node: &Node, query: &str) -> Self {
        let lines = format!("Host: {}\r\nAuthorization: Bearer {}\r\n", node.api(), node.token());
        Self::open(&node.api(), &format!("/api/v1/mining/live{query}"), &lines)
    }

    /// Takes in one message.
    fn hear(&mut self) {
        let mut name = String::new();
        loop {
            let line = self.lines.next().expect("the stream goes on").unwrap();
            if let Some(kind) = line.strip_prefix("event: ") {
                name = kind.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                return self.take(&name, data);
            }
        }
    }

    fn take(&mut self, name: &str, data: Value) {
        match name {
            "all" => self.known = data,
            "change" => {
                for (key, value) in data.as_object().unwrap() {
                    match key.as_str() {
                        "rigs" => self.known["rigs"]
                            .as_object_mut()
                            .unwrap()
                            .extend(value.as_object().unwrap().clone()),
                        "peers" => {
                            let rows = self.known["peers"].as_array_mut().unwrap();
                            for row in value.as_array().unwrap() {
                                rows.retain(|old| old["id"] != row["id"]);
                                rows.push(row.clone());
                            }
                        }
                        "gone" => {
                            for id in value.as_array().unwrap() {
                                self.known["peers"]
                                    .as_array_mut()
                                    .unwrap()
                                    .retain(|row| row["id"] != *id);
                                self.known["rigs"]
                                    .as_object_mut()
                                    .unwrap()
                                    .remove(id.as_str().unwrap());
                            }
                        }
                        _ => self.known[key] = value.clone(),
                    }
                }
            }
            "event" => self.events.push(data),
            other => panic!("{other}: {data}"),
        }
    }

    /// Reads on until `check` likes what is known.
    #[track_caller]
    fn until(&mut self, what: &str, check: impl Fn(&Value) -> bool) {
        let end = std::time::Instant::now() + PATIENCE;
        while !check(&self.known) {
            assert!(std::time::Instant::now() < end, "{what}: {:#}", self.known);
            self.hear();
        }
    }
}

#[test]
fn a_page_learns_of_everything_from_one_stream() {
    let (controller, rig) = pair();
    let mut page = Page::of(&controller, "?rig=rig-alpha");
    page.hear();
    let id = rig.id();
    assert_eq!(page.known["node"]["identity"]["name"], "control-center");
    assert_eq!(page.known["peers"][0]["name"], "rig-alpha");
    assert_eq!(page.known["alerts"], json!([]));
    page.until("the rig's first report", |known| known["rigs"][&id]["state"] == "idle");
    assert_eq!(page.known["rig"]["nodeName"], "rig-alpha");

    start_simulated(&controller, "demo", &json!({})).ok();
    page.until("it hashes", |known| known["rigs"][&id]["state"] == "hashing");
    page.until("so does the farm", |known| {
        known["totals"]["algorithms"][0]["hashrate"].as_f64() > Some(10_000.0)
    });
    let row = page.known["rigs"][&id]["miners"][0].clone();
    assert_eq!((&row["name"], &row["simulated"]), (&json!("simulated-1"), &json!(true)));
    // The same figures as the whole report and the command line have.
    let stats = controller.json(&["remote", "status", "rig-alpha"]);
    for key in ["type", "algorithm", "profileId", "restarts", "pool"] {
        assert_eq!(row[key], stats["miners"][0][key], "{key}");
    }
    page.until("the whole report came, too", |known| {
        known["rig"]["miners"][0]["name"] == "simulated-1"
    });
    while !page.events.iter().any(|e| e["kind"] == "miner-started") {
        page.hear();
    }

    let mut own = Page::of(&rig, "");
    own.until("the rig itself is a row", |known| known["rigs"][&id]["own"] == true);
    assert_eq!(own.known["rigs"][&id]["miners"][0]["name"], "simulated-1");

    controller.cli(&["peer", "remove", "rig-alpha"]).ok();
    page.until("it is gone", |known| known["peers"] == json!([]) && known["rigs"] == json!({}));
}

#[test]
fn a_dry_run_is_answered_by_the_rig_and_changes_nothing_there() {
    let (controller, rig) = pair_with("[policy]\nwallets = [\"48W\"]\n");
    add(&controller, "mine", "48W");
    add(&controller, "stolen", "thief");
    let deploy = |id: &str, dry: bool| {
        let body = json!({"profileId": id, "dryRun": dry});
        controller.rest("POST", "/remote/rig-alpha/deploy", Some(&body))
    };
    let rows = audit(&rig).len();
    assert_eq!(deploy("mine", true), (200, json!({"status": "new", "changes": []})));
    let (status, refused) = deploy("stolen", true);
    assert_eq!((status, &refused["code"]), (403, &json!("POLICY")));
    assert_eq!(audit(&rig).len(), rows, "a question leaves no row");
    assert!(rig.json(&["profile", "list"]).as_array().unwrap().is_empty());
    let profiles = || controller.rest("GET", "/remote/rig-alpha/profiles", None);
    assert_eq!(profiles(), (200, json!([])));

    assert_eq!(deploy("mine", false).0, 200);
    assert_eq!(deploy("mine", true), (200, json!({"status": "same", "changes": []})));
    assert_eq!(profiles().1[0]["same"], true);
    let changed = json!({"name": "mine", "minerType": "simulated",
        "config": {"algo": "rx/0", "hashrate": 100, "wallet": "48W", "pool": "other.example:1"}});
    assert_eq!(controller.rest("PUT", "/profiles/mine", Some(&changed)).0, 200);
    let (_, told) = deploy("mine", true);
    assert_eq!(told["status"], "changed");
    assert_eq!(told["changes"][0], "pool: pool.example:3333 → other.example:1");
    assert_eq!(profiles().1[0]["same"], false);
    let stored = rig.json(&["profile", "show", "mine"]);
    assert_eq!(stored["config"]["pool"], "pool.example:3333");
}

// ---- behind a proxy -------------------------------------------------------------------------------------------

/// What nginx does with `location /farm/ { proxy_pass http://node/; proxy_set_header Host …; }`: HTTP/1.0 towards the
/// node, the prefix taken off, Host as it is told.
struct Proxy {
    address: String,
}

impl Proxy {
    fn start(node: &Node, host: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, target) = (listener.local_addr().unwrap().to_string(), node.api());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = target.clone();
                std::thread::spawn(move || pass_on(client, &target, host));
            }
        });
        Self { address }
    }

    /// Status, head and body of a request to the proxy, as a browser at https://farm.example sends it.
    fn ask(&self, method: &str, path: &str, lines: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: farm.example\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }
}

fn pass_on(client: TcpStream, target: &str, host: Option<&str>) {
    let mut server = TcpStream::connect(target).unwrap();
    let mut client_in = BufReader::new(client.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    client_in.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return };
    let Some(path) = path.strip_prefix("/farm/") else { return };
    let mut head =
        format!("{method} /{path} HTTP/1.0\r\nConnection: close\r\nX-Forwarded-Proto: https\r\n");
    loop {
        line.clear();
        client_in.read_line(&mut line).unwrap();
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        match (lower.starts_with("host:"), host) {
            (true, Some(host)) => head += &format!("Host: {host}\r\n"),
            _ => head += &line,
        }
    }
    server.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let mut body = vec![0; length];
    client_in.read_exact(&mut body).unwrap();
    server.write_all(&body).unwrap();
    let mut out = client;
    let mut chunk = [0; 4096];
    while let Ok(n) = server.read(&mut chunk) {
        if n == 0 || out.write_all(&chunk[..n]).is_err() {
            break;
        }
    }
    drop(out.shutdown(std::net::Shutdown::Both));
}

/// A controller whose config.toml has the proxy's name, or has not.
fn behind(name: bool) -> Node {
    let mut node = Node::bare("proxied");
    node.cli(&["node", "init", "--name", "proxied", "--role", "controller"]).ok();
    let hosts = if name { "[api]\nhosts = [\"farm.example\"]\n" } else { "" };
    node.folder.file("config.toml", hosts);
    node.start();
    node
}

const BASE: &str = "/farm/api/v1/mining";
const PAGE: &str = "Origin: https://farm.example\r\nContent-Type: application/json\r\n";

#[test]
fn behind_a_proxy_under_a_path_everything_works_with_the_hosts_name_passed_on() {
    let node = behind(true);
    let proxy = Proxy::start(&node, None);
    let (status, _, page) = proxy.ask("GET", "/farm/", "", "");
    assert_eq!(status, 200);
    for attribute in ["src=\"/", "href=\"/", "action=\"/"] {
        assert!(!page.contains(attribute), "the page's own addresses are relative");
    }
    let token = json!({"token": node.token()}).to_string();
    let (status, head, _) = proxy.ask("POST", &format!("{BASE}/session"), PAGE, &token);
    assert_eq!(status, 204, "{head}");
    let cookie = head.lines().find_map(|l| l.strip_prefix("Set-Cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    // A browser keeps a cookie without a path for the folder of the request.
    assert!(!cookie.contains("Path"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());

    let (status, _, body) = proxy.ask("GET", &format!("{BASE}/sessions"), &cookie, "");
    assert_eq!(status, 200, "{body}");
    let lines = format!("{cookie}{PAGE}");
    let (status, _, body) = proxy.ask("POST", &format!("{BASE}/node/invites"), &lines, "{}");
    assert_eq!(status, 201, "a write of the page's own origin: {body}");
    let evil = format!("{cookie}Origin: https://evil.example\r\n");
    assert_eq!(proxy.ask("POST", &format!("{BASE}/node/invites"), &evil, "").0, 403);

    let lines = format!("Host: farm.example\r\n{cookie}");
    let mut live = Page::open(&proxy.address, &format!("{BASE}/live"), &lines);
    live.until("the stream comes through", |known| known["node"]["hasIdentity"] == true);
    assert_eq!(
        proxy.ask("DELETE", &format!("{BASE}/session"), &format!("{cookie}{PAGE}"), "").0,
        204
    );
    assert_eq!(proxy.ask("GET", &format!("{BASE}/peers"), &cookie, "").0, 401);
}

#[test]
fn what_a_proxy_must_pass_on_is_refused_otherwise() {
    // Without the name in api.hosts.
    let node = behind(false);
    let (status, _, body) = Proxy::start(&node, None).ask("GET", "/farm/", "", "");
    assert_eq!(status, 403);
    assert!(body.contains("api.hosts"), "it says what to do: {body}");
    // With the name of the upstream as Host, as nginx sends it unless told: reading works, a page's write does not.
    let proxy = Proxy::start(&node, Some("localhost"));
    assert_eq!(proxy.ask("GET", "/farm/", "", "").0, 200);
    let token = json!({"token": node.token()}).to_string();
    let (status, _, body) = proxy.ask("POST", &format!("{BASE}/session"), PAGE, &token);
    assert_eq!(status, 403);
    assert!(body.contains("Host"), "it says what a proxy has to do: {body}");
}
