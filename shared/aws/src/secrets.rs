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

/// A secret's version as Secrets Manager labels it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Current,
    Previous,
}

/// Secrets read lately, by name and stage.
#[derive(Clone, Default)]
pub(crate) struct Cache(Arc<Mutex<Known>>);

type Known = HashMap<(String, Stage), (Instant, Secret)>;

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cache(…)")
    }
}

impl Cache {
    fn get(&self, name: &str, stage: Stage, now: Instant) -> Option<Secret> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, secret) = known.get(&(name.to_owned(), stage))?;
        (now.duration_since(*read_at) < REMEMBERED).then(|| secret.clone())
    }

    fn put(&self, name: &str, stage: Stage, now: Instant, secret: Secret) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (read_at, _)| now.duration_since(*read_at) < REMEMBERED);
        known.insert((name.to_owned(), stage), (now, secret));
    }

    /// Forgets a current secret that is the previous one by now (row A9).
    fn forget_if_rotated(&self, name: &str, previous: &Secret) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), Stage::Current);
        if known.get(&key).is_some_and(|(_, current)| current.expose() == previous.expose()) {
            known.remove(&key);
        }
    }
}

impl Aws {
    /// A version of a secret; `None` where there is no such secret or version.
    async fn read_secret(&self, name: &str, stage: Stage) -> Answer<Option<Secret>> {
        if let Some(secret) = self.secrets.get(name, stage, Instant::now()) {
            return Ok(Some(secret));
        }
        let call = "secretsmanager GetSecretValue";
        let request = self.secretsmanager.get_secret_value().secret_id(name);
        let request = match stage {
            Stage::Current => request,
            Stage::Previous => request.version_stage("AWSPREVIOUS"),
        };
        let answer = match request.send().await {
            Err(error) if code(&error) == Some("ResourceNotFoundException") => return Ok(None),
            answer => answer.map_err(|error| fault(call, &error))?,
        };
        let bytes = match (answer.secret_string, answer.secret_binary) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(blob)) => blob.into_inner(),
            (None, None) => Vec::new(),
        };
        let empty = || Fault::Permanent(format!("the secret {name:?} is empty; give it a value"));
        let secret = Secret::new(bytes).ok_or_else(empty)?;
        self.secrets.put(name, stage, Instant::now(), secret.clone());
        Ok(Some(secret))
    }
}

impl Secrets for Aws {
    async fn secret(&self, name: &str) -> Answer<Secret> {
        self.read_secret(name, Stage::Current).await?.ok_or_else(|| {
            Fault::Permanent(format!(
                "secretsmanager GetSecretValue: there is no secret {name:?}; create it, or name another one where it is referred to"
            ))
        })
    }

    async fn old_secret(&self, name: &str) -> Answer<Option<Secret>> {
        let previous = self.read_secret(name, Stage::Previous).await?;
        if let Some(previous) = &previous {
            self.secrets.forget_if_rotated(name, previous);
        }
        Ok(previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_remembered_for_a_minute_and_never_shown() {
        let (cache, start) = (Cache::default(), Instant::now());
        let read =
            |name, after| cache.get(name, Stage::Current, start + Duration::from_secs(after)).is_some();
        cache.put("hook", Stage::Current, start, Secret::new("hunter2").unwrap());
        assert!(read("hook", 59) && !read("hook", 60) && !read("other", 0));
        assert!(!format!("{cache:?}").contains("hunter2"));
    }

    #[test]
    fn a9_a_secret_that_has_become_the_old_one_is_read_again() {
        let (cache, now) = (Cache::default(), Instant::now());
        let [old, new] = ["old", "new"].map(|text| Secret::new(text).unwrap());
        cache.put("hook", Stage::Current, now, new);
        cache.forget_if_rotated("hook", &old);
        assert!(cache.get("hook", Stage::Current, now).is_some());
        cache.put("hook", Stage::Current, now, old.clone());
        cache.forget_if_rotated("hook", &old);
        assert!(cache.get("hook", Stage::Current, now).is_none());
    }
}
