//! Wiring of the function `lock`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| Box::pin(lock::handle(&ports, event)).await).await
}
