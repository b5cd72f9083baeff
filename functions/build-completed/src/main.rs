//! Wiring of the function `build-completed`; its handler is in `lib.rs`.

use pushway_aws::lambda::{Error, serve};

#[tokio::main]
async fn main() -> Result<(), Error> {
    // Boxed: it holds the states of every way in which a build can end.
    serve(async |ports, event| Box::pin(build_completed::handle(&ports, event)).await).await
}
