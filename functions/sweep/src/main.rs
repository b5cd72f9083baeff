//! Wiring of the function `sweep`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    // Boxed: it holds the states of all that can be settled.
    serve(async |ports, event| Box::pin(sweep::handle(&ports, ports.pages(), event)).await).await
}
