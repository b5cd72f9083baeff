//! Wiring of the function `api`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| api::handle(&ports, event).await).await
}
