//! The certificates of the two ports, where there are any.
use std::sync::Arc;

use crate::config::{Config, Paths, RunFile, TlsFiles};
use crate::model::fault::Fault;
use crate::model::trust::Pin;
use crate::tls::Server;

pub struct Tls {
    pub p2p: Option<Arc<Server>>,
    pub api: Option<Arc<Server>>,
}

impl Tls {
    /// # Errors
    /// A file is missing, or is not what it should be.
    pub fn load(config: &Config) -> Result<Self, Fault> {
        let load = |files: &TlsFiles| Server::load(&files.cert, &files.key).map(Arc::new);
        Ok(Self {
            p2p: config.tls.as_ref().map(load).transpose()?,
            api: config.api.tls.as_ref().map(load).transpose()?,
        })
    }

    /// Reads the files again. What is wrong with them is logged, and the old ones are used on.
    pub fn reload(&self, paths: &Paths) {
        for (port, server) in [("P2P", &self.p2p), ("API", &self.api)] {
            match server.as_ref().map(|server| server.reload()) {
                Some(Ok(())) => crate::info!("the {port} port's certificate was read again"),
                Some(Err(fault)) => {
                    crate::warning!("the {port} port keeps its old certificate: {fault}");
                }
                None => {}
            }
        }
        if let Err(fault) = self.note(paths) {
            crate::warning!("the command line may not find this daemon: {fault}");
        }
    }

    /// Tells the command line which certificates are right from now on.
    fn note(&self, paths: &Paths) -> Result<(), Fault> {
        let Some(file) = RunFile::read(&paths.run_file())? else { return Ok(()) };
        let (api_pin, listen_pin) = (pin(self.api.as_ref()), pin(self.p2p.as_ref()));
        RunFile { api_pin, listen_pin, ..file }.write(paths)
    }
}

pub fn pin(server: Option<&Arc<Server>>) -> Option<Pin> {
    server.map(|server| server.pin())
}
