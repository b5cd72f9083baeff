//! Wiring of the function `build-completed`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| build_completed::handle(&ports, event).await).await
}
