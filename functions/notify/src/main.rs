//! Wiring of the function `notify`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| notify::handle(&ports, ports.pages(), event).await).await
}
