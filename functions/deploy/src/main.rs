//! Wiring of the function `deploy`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| deploy::handle(&ports, event).await).await
}
