//! The registry against injected time: a small world of nodes whose links, disks and miners are played here.
mod audit;
mod commands;
mod events;
mod labels;
mod links;
mod miners;
mod model_check;
mod pairing;
mod policy;
mod profiles;
mod refusals;
mod shapes;
mod watchdog;
mod world;
mod world_miners;
