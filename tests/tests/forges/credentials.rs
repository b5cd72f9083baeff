//! Who asks: tokens, users, GitHub Apps.

use pushway_core::ports::Fault;
use pushway_core::signature::Secret;
use pushway_core::source::Provider;
use pushway_forges::{Connections, Credentials, Forge};
use pushway_tests::forges::Misbehaviour;

use crate::{TOKEN, client, permanent, start};

#[tokio::test]
async fn credentials_of_every_kind_open_the_door() {
    let basic = format!(r#"{{"username": "ci@example.com", "password": "{TOKEN}"}}"#);
    let (fake, _) = start(Provider::Bitbucket).await;
    assert!(client(&fake, &basic).repository().await.unwrap().is_some());

    let (fake, _) = start(Provider::Github).await;
    let app = serde_json::json!({ "app_id": 7, "installation_id": 8, "private_key": private_key() });
    let forge = client(&fake, &app.to_string());
    for _ in 0..2 {
        assert!(forge.repository().await.unwrap().is_some());
    }
    let asked = ["POST app/installations/8/access_tokens", "GET repos/octo/web", "GET repos/octo/web"];
    assert_eq!(fake.asked(), asked, "the token is kept");
    // The app's permissions changed, so its token counts no more.
    fake.script(None, "repos", 1, Misbehaviour::Unauthorized);
    permanent(forge.repository().await);
    assert!(forge.repository().await.unwrap().is_some());
    assert_eq!(fake.asked()[4], asked[0]);
    fake.script(None, "access_tokens", 1, Misbehaviour::RateLimited(60));
    let fault = client(&fake, &app.to_string()).repository().await;
    assert!(matches!(fault, Err(Fault::Limited { .. })), "{fault:?}");

    let mistyped = serde_json::json!({ "app_id": 7, "installation_id": 8, "private_key": "hunter2" });
    let text = permanent(client(&fake, &mistyped.to_string()).repository().await);
    assert!(text.contains("PEM") && !text.contains("hunter2"), "{text}");
    let nobody = Forge::new(&Connections::default(), &fake.hook("web"), None).unwrap();
    assert!(permanent(nobody.repository().await).contains("credentials"));
    let (elsewhere, _) = start(Provider::Gitlab).await;
    let credentials = Credentials::parse(&Secret::new(app.to_string()).unwrap()).unwrap();
    assert!(Forge::new(&Connections::default(), &elsewhere.hook("web"), Some(credentials)).is_err());
}

/// A fresh RSA key in PEM form.
fn private_key() -> String {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use base64::Engine as _;
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key is made");
    let der: Pkcs8V1Der<'_> = key.as_der().expect("a key has a form");
    // GitHub gives out the inner form, PKCS#1 (RFC 8017): what follows a header of fixed length.
    let text = base64::engine::general_purpose::STANDARD.encode(&der.as_ref()[26..]);
    format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n")
}
