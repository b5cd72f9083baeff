//! Wiring of the function `webhook`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| webhook::handle(&ports, event).await).await
}
