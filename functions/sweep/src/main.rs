//! Wiring of the function `sweep`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| sweep::handle(&ports, ports.pages(), event).await).await
}
