//! The registry against injected time: a small world of nodes whose links, disks and miners are played here.
mod commands;
mod links;
mod miners;
mod pairing;
mod profiles;
mod refusals;
mod world;
