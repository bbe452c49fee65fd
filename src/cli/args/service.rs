//! `service …`.
use argh::FromArgs;

/// run this node as a service of systemd, on machines without our packages
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "service")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct Service {
    #[argh(subcommand)]
    pub verb: ServiceVerb,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
pub enum ServiceVerb {
    Install(ServiceInstall),
    Uninstall(ServiceUninstall),
}

/// write the unit, for this machine or for yourself, and print what to type next
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "install")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct ServiceInstall {
    /// for the present user, without root
    #[argh(switch)]
    pub user: bool,
}

/// remove the unit that install wrote; the node's files stay
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "uninstall")]
#[argh(help_triggers("-h", "--help", "help"))]
pub struct ServiceUninstall {
    /// that of the present user
    #[argh(switch)]
    pub user: bool,
}
