//! The commands that one line can give to many rigs.
use argh::FromArgs;

/// start a profile on rigs
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "start")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct RemoteStart {
    /// rigs: ids, unique prefixes or names
    #[argh(positional)]
    pub peers: Vec<String>,
    /// id of a profile of this node
    #[argh(option)]
    pub profile: String,
    /// every registered rig
    #[argh(switch)]
    pub all: bool,
    /// rigs with this label, KEY=VALUE; with several, those that have them all
    #[argh(option)]
    pub label: Vec<String>,
    /// print what would be done to which rig, and do nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// how many rigs are asked at once, 1 to 24 (16)
    #[argh(option, default = "16")]
    pub max_parallel: usize,
}

/// stop one miner of a rig, or all of them; or those of many rigs
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "stop")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct RemoteStop {
    /// PEER or PEER MINER, a peer as id, unique prefix of an id, or name; only peers where --miner is given
    #[argh(positional)]
    pub named: Vec<String>,
    /// the miner; all of the rig's when none is named
    #[argh(option)]
    pub miner: Option<String>,
    /// every registered rig
    #[argh(switch)]
    pub all: bool,
    /// rigs with this label, KEY=VALUE; with several, those that have them all
    #[argh(option)]
    pub label: Vec<String>,
    /// print what would be done to which rig, and do nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// how many rigs are asked at once, 1 to 24 (16)
    #[argh(option, default = "16")]
    pub max_parallel: usize,
}

/// restart one miner of a rig, or all of them; or those of many rigs
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "restart")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct RemoteRestart {
    /// PEER or PEER MINER, a peer as id, unique prefix of an id, or name; only peers where --miner is given
    #[argh(positional)]
    pub named: Vec<String>,
    /// the miner; all of the rig's when none is named
    #[argh(option)]
    pub miner: Option<String>,
    /// every registered rig
    #[argh(switch)]
    pub all: bool,
    /// rigs with this label, KEY=VALUE; with several, those that have them all
    #[argh(option)]
    pub label: Vec<String>,
    /// print what would be done to which rig, and do nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// how many rigs are asked at once, 1 to 24 (16)
    #[argh(option, default = "16")]
    pub max_parallel: usize,
}

/// copy a profile to rigs without starting it
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "deploy")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct RemoteDeploy {
    /// rigs: ids, unique prefixes or names
    #[argh(positional)]
    pub peers: Vec<String>,
    /// id of a profile of this node
    #[argh(option)]
    pub profile: String,
    /// every registered rig
    #[argh(switch)]
    pub all: bool,
    /// rigs with this label, KEY=VALUE; with several, those that have them all
    #[argh(option)]
    pub label: Vec<String>,
    /// print what would be done to which rig, and do nothing
    #[argh(switch)]
    pub dry_run: bool,
    /// how many rigs are asked at once, 1 to 24 (16)
    #[argh(option, default = "16")]
    pub max_parallel: usize,
}
