//! Secrets that a person's command writes: signing secrets, tokens. They go to Secrets Manager and nowhere
//! else; no error quotes one.
//!
//! A secret that was scheduled for deletion keeps its name for a week, so that connecting again takes it
//! back before it writes.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use pushway_core::ports::{Answer, Fault};
use pushway_core::signature::Secret;

use super::Account;
use crate::errors::{code, fault};

/// The shortest that `DeleteSecret` takes, in days.
const RECOVERY_DAYS: i64 = 7;

/// What became of a new secret.
enum Created {
    Now,
    ExistsAlready,
    WasRestored,
}

impl Account {
    /// The secret of this name; `fresh`, now stored, where there was none. What exists is kept: connecting
    /// again must not cut a forge off. What was about to be deleted is not, since it was given up.
    pub async fn keep_secret(&self, name: &str, fresh: Secret) -> Answer<Secret> {
        match self.create_secret(name, &fresh).await? {
            Created::Now | Created::WasRestored => return Ok(fresh),
            Created::ExistsAlready => {}
        }
        let known = self.secrets_client().get_secret_value().secret_id(name).send().await;
        let known = known.map_err(|error| fault("secretsmanager GetSecretValue", &error))?;
        let known = known.secret_string().and_then(Secret::new);
        known.ok_or_else(|| Fault::Permanent(format!("secret {name} is empty; delete it and connect again")))
    }

    /// Stores a secret under this name. One that was there before stays readable as its previous version
    /// (Secrets Manager, "`PutSecretValue`": the label AWSPREVIOUS moves to what was AWSCURRENT).
    pub async fn write_secret(&self, name: &str, secret: &Secret) -> Answer<()> {
        match self.create_secret(name, secret).await? {
            Created::ExistsAlready => self.put_secret(name, secret).await,
            Created::Now | Created::WasRestored => Ok(()),
        }
    }

    /// Schedules a secret for deletion; false where there is none, or none any more.
    pub async fn drop_secret(&self, name: &str) -> Answer<bool> {
        let call = self.secrets_client().delete_secret().secret_id(name);
        match call.recovery_window_in_days(RECOVERY_DAYS).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(fault("secretsmanager DeleteSecret", &error)),
        }
    }

    async fn create_secret(&self, name: &str, secret: &Secret) -> Answer<Created> {
        let client = self.secrets_client();
        let call = client.create_secret().name(name).secret_string(text(secret)?);
        let Err(error) = call.send().await else { return Ok(Created::Now) };
        // A name that is taken; by a secret that is scheduled for deletion, for the second.
        if !matches!(code(&error), Some("ResourceExistsException" | "InvalidRequestException")) {
            return Err(fault("secretsmanager CreateSecret", &error));
        }
        let known = client.describe_secret().secret_id(name).send().await;
        let known = known.map_err(|_| fault("secretsmanager CreateSecret", &error))?;
        if known.deleted_date.is_none() {
            return Ok(Created::ExistsAlready);
        }
        let restored = client.restore_secret().secret_id(name).send().await;
        restored.map_err(|error| fault("secretsmanager RestoreSecret", &error))?;
        self.put_secret(name, secret).await?;
        Ok(Created::WasRestored)
    }

    async fn put_secret(&self, name: &str, secret: &Secret) -> Answer<()> {
        let call = self.secrets_client().put_secret_value().secret_id(name).secret_string(text(secret)?);
        call.send().await.map(drop).map_err(|error| fault("secretsmanager PutSecretValue", &error))
    }

    fn secrets_client(&self) -> Client {
        Client::new(&self.config)
    }
}

fn text(secret: &Secret) -> Answer<&str> {
    std::str::from_utf8(secret.expose())
        .map_err(|_| Fault::Permanent("the secret is not UTF-8 text; give it as text".into()))
}

fn is_gone<E: aws_sdk_dynamodb::error::ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    // A secret that is scheduled for deletion already is refused as an invalid request.
    matches!(code(error), Some("ResourceNotFoundException" | "InvalidRequestException"))
}
