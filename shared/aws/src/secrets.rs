//! Secrets Manager, with a short memory: a burst of deliveries is one read, a changed secret counts soon.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pushway_core::ports::{Answer, Fault, Secrets};
use pushway_core::signature::Secret;

use crate::Aws;
use crate::errors::{code, fault};

/// How long a secret is remembered.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Secrets read lately, by name.
#[derive(Clone, Default)]
pub(crate) struct Cache(Arc<Mutex<HashMap<String, (Instant, Secret)>>>);

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache(…)")
    }
}

impl Cache {
    fn get(&self, name: &str, now: Instant) -> Option<Secret> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, secret) = known.get(name)?;
        (now.duration_since(*read_at) < REMEMBERED).then(|| secret.clone())
    }

    fn put(&self, name: &str, now: Instant, secret: Secret) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (read_at, _)| now.duration_since(*read_at) < REMEMBERED);
        known.insert(name.to_owned(), (now, secret));
    }
}

impl Secrets for Aws {
    async fn secret(&self, name: &str) -> Answer<Secret> {
        if let Some(secret) = self.secrets.get(name, Instant::now()) {
            return Ok(secret);
        }
        let call = "secretsmanager GetSecretValue";
        let answer = self.secretsmanager.get_secret_value().secret_id(name).send().await.map_err(
            |error| match code(&error) {
                Some("ResourceNotFoundException") => Fault::Permanent(format!(
                    "{call}: there is no secret {name:?}; create it, or name another one in the hook"
                )),
                _ => fault(call, &error),
            },
        )?;
        let bytes = match (answer.secret_string, answer.secret_binary) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(blob)) => blob.into_inner(),
            (None, None) => Vec::new(),
        };
        let empty = || Fault::Permanent(format!("the secret {name:?} is empty; give it a value"));
        let secret = Secret::new(bytes).ok_or_else(empty)?;
        self.secrets.put(name, Instant::now(), secret.clone());
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_remembered_for_a_minute_and_never_shown() {
        let (cache, start) = (Cache::default(), Instant::now());
        cache.put("hook", start, Secret::new("hunter2").unwrap());
        assert!(cache.get("hook", start + Duration::from_secs(59)).is_some());
        assert!(cache.get("hook", start + Duration::from_mins(1)).is_none());
        assert!(cache.get("other", start).is_none());
        assert!(!format!("{cache:?}").contains("hunter2"));
    }
}
