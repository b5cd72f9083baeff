//! Wiring of the function `rollback`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| rollback::handle(&ports, event).await).await
}
