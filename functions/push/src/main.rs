//! Wiring of the function `push`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    serve(async |ports, event| push::handle(&ports, event).await).await
}
