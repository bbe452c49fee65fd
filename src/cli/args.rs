//! The verbs and their options, for argh. The doc comments are what `--help` prints.
use std::path::PathBuf;
use std::time::Duration;

use argh::FromArgs;

use super::alerts::Alerts;
use super::audit::Audit;
use super::events::Events;
use super::history::History;
use crate::model::node::Role;
use crate::sys::log::{Format, Level};

mod many;
mod service;

pub use many::{RemoteDeploy, RemoteRestart, RemoteStart, RemoteStop};
pub use service::{Service, ServiceVerb};

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|e| format!("{e} (examples: 30m, 24h, 7d)"))
}

/// Control mining rigs peer to peer.
#[derive(FromArgs, Debug)]
#[argh(help_triggers("-h", "--help", "help"))]
#[argh(
    note = "Before or after the verb:\n  --home DIR         the node's folder (or MINER_CLI_HOME)\n  --api HOST:PORT    the daemon's REST address (or MINER_CLI_API)\n  --api-ca FILE      the authority (PEM) of an https:// API's certificate\n  --token-file FILE  where the API token is (or the token in MINER_CLI_TOKEN)\n  --json             print data as JSON\n  -V, --version      print the version",
    error_code(1, "It failed; the message says why."),
    error_code(2, "Usage."),
    error_code(3, "The local daemon does not answer."),
    error_code(4, "No such peer, miner, profile or request, or more than one."),
    error_code(5, "The peer is unreachable or did not answer in time."),
    error_code(6, "Refused: not registered, wrong role, policy.")
)]
pub struct Top {
    #[argh(subcommand)]
    pub verb: Verb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum Verb {
    Node(Node),
    Peer(Peer),
    Remote(Remote),
    Profile(Profile),
    Miner(Miner),
    Api(Api),
    Doctor(Doctor),
    Dashboard(Dashboard),
    Demo(Demo),
    Service(Service),
    Events(Events),
    Audit(Audit),
    Alerts(Alerts),
    History(History),
}

/// this node: its identity, its daemon, invites
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "node")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Node {
    #[argh(subcommand)]
    pub verb: NodeVerb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum NodeVerb {
    Init(NodeInit),
    Info(NodeInfo),
    Serve(NodeServe),
    Invite(NodeInvite),
    Join(NodeJoin),
    Token(NodeToken),
}

/// make this node's identity
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "init")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct NodeInit {
    /// what other nodes call this one
    #[argh(option)]
    pub name: String,
    /// controller, worker or dual (the default)
    #[argh(option, default = "Role::default()")]
    pub role: Role,
}

/// show this node's id, fingerprint and state
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "info")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct NodeInfo {}

/// run the daemon until SIGTERM or Ctrl-C; --api HOST:PORT says where the REST API listens (127.0.0.1:9090)
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "serve")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct NodeServe {
    /// where other nodes reach this one (:9091)
    #[argh(option)]
    pub listen: Option<String>,
    /// certificate (PEM) of the port for other nodes, which then are to dial wss://
    #[argh(option)]
    pub tls_cert: Option<PathBuf>,
    /// its private key (PEM)
    #[argh(option)]
    pub tls_key: Option<PathBuf>,
    /// certificate (PEM) of the REST API and the dashboard, which then are served as https://
    #[argh(option)]
    pub api_tls_cert: Option<PathBuf>,
    /// its private key (PEM)
    #[argh(option)]
    pub api_tls_key: Option<PathBuf>,
    /// error, warn, info (the default) or debug
    #[argh(option)]
    pub log_level: Option<Level>,
    /// text (the default) or json
    #[argh(option)]
    pub log_format: Option<Format>,
}

/// make a code that lets another node register here
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "invite")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct NodeInvite {
    /// how many nodes may use it (1)
    #[argh(option, default = "1")]
    pub uses: u32,
    /// how long it is good for (24h)
    #[argh(option, default = "Duration::from_secs(24 * 3600)", from_str_fn(duration))]
    pub expires: Duration,
}

/// register with the node that made an invite
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "join")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct NodeJoin {
    /// that node's address, host:port or wss://host:port
    #[argh(positional)]
    pub address: String,
    /// the invite code
    #[argh(positional)]
    pub invite: String,
    /// for wss://, the authority (PEM) of that node's certificate, or that certificate itself
    #[argh(option)]
    pub tls_ca: Option<PathBuf>,
    /// for wss://, SHA-256 of that node's certificate
    #[argh(option)]
    pub tls_pin: Option<String>,
    /// what to call that node here
    #[argh(option)]
    pub name: Option<String>,
}

/// print the token of the local API, for curl
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "token")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct NodeToken {}

/// other nodes
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "peer")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Peer {
    #[argh(subcommand)]
    pub verb: PeerVerb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum PeerVerb {
    Add(PeerAdd),
    List(PeerList),
    Approve(PeerApprove),
    Reject(PeerReject),
    Remove(PeerRemove),
    Ping(PeerPing),
    Label(PeerLabel),
}

/// register another node
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "add")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct PeerAdd {
    /// its address, host:port or wss://host:port
    #[argh(option)]
    pub address: String,
    /// what to call it here
    #[argh(option)]
    pub name: String,
    /// an invite that it made
    #[argh(option)]
    pub invite: Option<String>,
    /// its public key, as its own `node info` prints it
    #[argh(option)]
    pub key: Option<String>,
    /// for wss://, the authority (PEM) of its certificate, or that certificate itself
    #[argh(option)]
    pub tls_ca: Option<PathBuf>,
    /// for wss://, SHA-256 of its certificate
    #[argh(option)]
    pub tls_pin: Option<String>,
}

/// list registered nodes and pairing requests
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct PeerList {}

/// let a node that asked to pair in
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "approve")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct PeerApprove {
    /// id of the asking node
    #[argh(positional)]
    pub id: String,
}

/// turn a node that asked to pair away
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "reject")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct PeerReject {
    /// id of the asking node
    #[argh(positional)]
    pub id: String,
}

/// forget a node and cut its link
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "remove")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct PeerRemove {
    /// id, unique prefix of an id, or name
    #[argh(positional)]
    pub peer: String,
}

/// measure the answer time of a node
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "ping")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct PeerPing {
    /// id, unique prefix of an id, or name
    #[argh(positional)]
    pub peer: String,
    /// how many times (4)
    #[argh(option, default = "4")]
    pub count: u32,
}

/// set and remove labels of a node, or print them; `remote start --label KEY=VALUE` chooses rigs by them
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "label")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct PeerLabel {
    /// id, unique prefix of an id, or name
    #[argh(positional)]
    pub peer: String,
    /// KEY=VALUE sets a label, KEY= or KEY- removes it
    #[argh(positional)]
    pub changes: Vec<String>,
}

/// rigs: see and steer them
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "remote")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Remote {
    #[argh(subcommand)]
    pub verb: RemoteVerb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum RemoteVerb {
    Status(RemoteStatus),
    Start(RemoteStart),
    Stop(RemoteStop),
    Restart(RemoteRestart),
    Logs(RemoteLogs),
    Deploy(RemoteDeploy),
}

/// show every rig, or one with its miners
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "status")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct RemoteStatus {
    /// id, unique prefix of an id, or name
    #[argh(positional)]
    pub peer: Option<String>,
}

/// print what a miner printed
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "logs")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct RemoteLogs {
    /// id, unique prefix of an id, or name
    #[argh(positional)]
    pub peer: String,
    /// the miner
    #[argh(positional)]
    pub miner: String,
    /// how many lines of the past (100)
    #[argh(option, default = "100")]
    pub lines: usize,
    /// go on with new lines until Ctrl-C
    #[argh(switch)]
    pub follow: bool,
    /// the run before the present one
    #[argh(switch)]
    pub previous: bool,
}

/// what to mine: the profiles of this node
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "profile")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Profile {
    #[argh(subcommand)]
    pub verb: ProfileVerb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum ProfileVerb {
    List(ProfileList),
    Show(ProfileShow),
    Add(ProfileAdd),
    Edit(ProfileEdit),
    Remove(ProfileRemove),
}

/// list the profiles
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct ProfileList {}

/// print a profile as JSON
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "show")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct ProfileShow {
    /// id of the profile
    #[argh(positional)]
    pub id: String,
}

/// add a profile; without a name in it, it is named after the file
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "add")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct ProfileAdd {
    /// a JSON file
    #[argh(positional)]
    pub file: PathBuf,
}

/// replace a profile; the password *** keeps the stored one
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "edit")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct ProfileEdit {
    /// id of the profile
    #[argh(positional)]
    pub id: String,
    /// a JSON file
    #[argh(positional)]
    pub file: PathBuf,
}

/// remove a profile
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "remove")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct ProfileRemove {
    /// id of the profile
    #[argh(positional)]
    pub id: String,
}

/// the miners of this node itself
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "miner")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Miner {
    #[argh(subcommand)]
    pub verb: MinerVerb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum MinerVerb {
    List(MinerList),
    Start(MinerStart),
    Stop(MinerStop),
    Logs(MinerLogs),
}

/// list the miners of this node
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct MinerList {}

/// start a profile on this node
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "start")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct MinerStart {
    /// id of the profile
    #[argh(option)]
    pub profile: String,
}

/// stop a miner of this node
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "stop")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct MinerStop {
    /// the miner
    #[argh(positional)]
    pub miner: String,
}

/// print what a miner of this node printed
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "logs")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct MinerLogs {
    /// the miner
    #[argh(positional)]
    pub miner: String,
    /// how many lines (100)
    #[argh(option, default = "100")]
    pub lines: usize,
}

/// send a request to the REST API and print the answer
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "api")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Api {
    /// method: GET, POST, PUT or DELETE
    #[argh(positional)]
    pub method: String,
    /// path, as /peers or with its base /api/v1/mining/peers
    #[argh(positional)]
    pub path: String,
    /// body as JSON; - reads standard input
    #[argh(positional)]
    pub body: Option<String>,
}

/// check this machine and this node, and say what to do
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "doctor")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Doctor {}

/// print a link that opens the dashboard, logged in
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "dashboard")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Dashboard {}

/// try it: a controller and rigs on this machine, in a temporary folder, until Ctrl-C
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "demo")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Demo {
    /// how many rigs (2)
    #[argh(option, default = "2")]
    pub rigs: u32,
    /// a real XMRig, whose offline benchmark then runs
    #[argh(option)]
    pub xmrig: Option<PathBuf>,
}
