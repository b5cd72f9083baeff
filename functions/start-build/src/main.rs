//! Wiring of the function `start-build`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| start_build::handle(&ports, event).await).await
}
