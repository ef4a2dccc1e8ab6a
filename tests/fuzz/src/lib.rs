//! What the fuzz targets share with the properties of `cargo test`: the same files, compiled once more.

#[path = "../../hostile/bodies.rs"]
pub mod bodies;
#[path = "../../hostile/ground.rs"]
pub mod ground;
#[path = "../../hostile/honest.rs"]
pub mod honest;
#[path = "../../hostile/stranger.rs"]
pub mod stranger;
