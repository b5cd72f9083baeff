//! Deliveries that are on their way: one file each below the repository's git folder, in the order of their
//! pushes. A file goes once its delivery was taken.
//!
//! Deliveries of one ref are sent in their order, however often that takes; one that is kept back holds up
//! its own ref only. The files hold what a push told, never a secret or a signature, and only their owner
//! may read them.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
pub(super) use pushway_core::delivery::git_hook::Kept as Delivery;
use serde_json::Value;

/// The end of a delivery's file name.
const KEPT: &str = ".json";

/// Why a delivery was not taken.
#[derive(Debug, Clone)]
pub(super) enum Undelivered {
    /// Nobody answered: nothing else would arrive now.
    Unreachable(String),
    /// It may be taken later.
    Later(String),
    /// It will never be taken.
    Refused(String),
}

/// What became of a delivery.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Sent(Value),
    Later(String),
    Refused(String),
}

/// What became of which delivery.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) git_ref: String,
    pub(super) outcome: Outcome,
}

/// Sends a delivery.
pub(super) trait Deliver {
    async fn deliver(&self, delivery: &Delivery) -> Result<Value, Undelivered>;
}

/// The deliveries of one repository that are on their way.
pub(super) struct Spool(PathBuf);

impl Spool {
    /// The spool of a repository, made where there is none.
    pub(super) fn of(git_dir: &Path) -> anyhow::Result<Self> {
        let folder = git_dir.join("pushway").join("spool");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("create {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Keeps a delivery, durably and behind all that are kept; gives its name.
    pub(super) fn keep(&self, now: Timestamp, delivery: &Delivery) -> anyhow::Result<String> {
        // Behind the last one even where the clock was set back.
        let last = self.names()?.last().and_then(|name| name.split('-').next()?.parse::<i64>().ok());
        let place = now.as_microsecond().max(last.map_or(0, |last| last.saturating_add(1)));
        let name = format!("{place:020}-{}{KEPT}", std::process::id());
        let (draft, path) = (self.0.join(format!("{name}.new")), self.0.join(&name));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(&serde_json::to_vec(delivery)?)?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().with_context(|| format!("keep the delivery in {}", path.display()))?;
        Ok(name)
    }

    /// Whether a delivery is still on its way.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Whether all was taken.
    pub(super) fn is_empty(&self) -> anyhow::Result<bool> {
        Ok(self.names()?.is_empty())
    }

    /// Sends what is kept, oldest first. Where another process does so just now, nothing is done.
    pub(super) async fn pass(&self, to: &impl Deliver) -> anyhow::Result<Vec<Told>> {
        let (mut told, mut blocked) = (Vec::new(), BTreeSet::new());
        let Some(_lock) = self.lock("sending")? else { return Ok(told) };
        for name in self.names()? {
            let path = self.0.join(&name);
            let text = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            let Some(delivery) = Delivery::parse(&text) else {
                let outcome = Outcome::Refused("its file in the spool can't be read".into());
                self.put_aside(&name)?;
                told.push(Told { name, git_ref: "a delivery".into(), outcome });
                continue;
            };
            if blocked.contains(&delivery.git_ref) {
                continue;
            }
            let outcome = to.deliver(&delivery).await;
            let is_end = matches!(outcome, Err(Undelivered::Unreachable(_)));
            let outcome = match outcome {
                Ok(answer) => {
                    std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
                    Outcome::Sent(answer)
                }
                Err(Undelivered::Refused(why)) => {
                    self.put_aside(&name)?;
                    Outcome::Refused(why)
                }
                Err(Undelivered::Later(why) | Undelivered::Unreachable(why)) => {
                    blocked.insert(delivery.git_ref.clone());
                    Outcome::Later(why)
                }
            };
            told.push(Told { name, git_ref: delivery.git_ref, outcome });
            if is_end {
                break;
            }
        }
        Ok(told)
    }

    /// Held by the one process that sends in the background.
    pub(super) fn background_lock(&self) -> anyhow::Result<Option<File>> {
        self.lock("background")
    }

    /// A lock that ends with its process; `None` where another one has it.
    fn lock(&self, name: &str) -> anyhow::Result<Option<File>> {
        let path = self.0.join(format!("{name}.lock"));
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
        }
    }

    /// Keeps a delivery that is never sent again for a person to look at.
    fn put_aside(&self, name: &str) -> anyhow::Result<()> {
        let path = self.0.join(name);
        std::fs::rename(&path, path.with_extension("refused"))
            .with_context(|| format!("put {} aside", path.display()))
    }

    /// The kept deliveries' names, oldest first.
    fn names(&self) -> anyhow::Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.0).with_context(|| format!("read {}", self.0.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(KEPT)).collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Answers by the delivery's id, and notes what it was asked to send.
    struct Script {
        answers: RefCell<Vec<(&'static str, Undelivered)>>,
        seen: RefCell<Vec<String>>,
    }

    impl Script {
        fn new(answers: &[(&'static str, Undelivered)]) -> Self {
            Self { answers: RefCell::new(answers.to_vec()), seen: RefCell::default() }
        }
    }

    impl Deliver for Script {
        async fn deliver(&self, delivery: &Delivery) -> Result<Value, Undelivered> {
            self.seen.borrow_mut().push(delivery.id.to_string());
            let known = self.answers.borrow().iter().find(|(id, _)| *id == delivery.id.as_str()).cloned();
            known.map_or(Ok(Value::Null), |(_, why)| Err(why))
        }
    }

    fn spool_of(deliveries: &[(&str, &str)]) -> (tempfile::TempDir, Spool) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::of(folder.path()).unwrap();
        // The clock goes backwards; the order of pushes does not.
        let mut now = Timestamp::from_second(1_800_000_000).unwrap();
        for (id, git_ref) in deliveries {
            let (id, git_ref) = (id.parse().unwrap(), (*git_ref).to_owned());
            spool.keep(now, &Delivery { id, git_ref, body: "{}".into() }).unwrap();
            now -= jiff::SignedDuration::from_secs(60);
        }
        (folder, spool)
    }

    const ALL: [(&str, &str); 5] = [
        ("m1", "refs/heads/main"),
        ("d1", "refs/heads/dev"),
        ("m2", "refs/heads/main"),
        ("d2", "refs/heads/dev"),
        ("m3", "refs/heads/main"),
    ];

    #[tokio::test]
    async fn what_is_kept_back_holds_up_its_own_ref_and_keeps_its_order() {
        let (folder, spool) = spool_of(&ALL);
        let later = Undelivered::Later("500".into());
        let script = Script::new(&[("m1", later)]);
        spool.pass(&script).await.unwrap();
        assert_eq!(*script.seen.borrow(), ["m1", "d1", "d2"]);

        script.answers.borrow_mut().clear();
        spool.pass(&script).await.unwrap();
        assert_eq!(script.seen.borrow()[3..], ["m1", "m2", "m3"]);
        assert!(spool.is_empty().unwrap());

        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("pushway/spool")), 0o700);
    }

    #[tokio::test]
    async fn a_file_that_is_no_delivery_is_put_aside_and_keeps_nothing_back() {
        let (folder, spool) = spool_of(&ALL[..1]);
        // The last id could be no header: sending it would look like a network that is down.
        for (n, odd) in
            ["", "{", "\u{0}", r#"{"id": "a\nb", "ref": "refs/heads/x", "body": ""}"#].iter().enumerate()
        {
            std::fs::write(folder.path().join(format!("pushway/spool/0-{n}.json")), odd).unwrap();
        }
        let script = Script::new(&[]);
        let told = spool.pass(&script).await.unwrap();
        let refused = told.iter().filter(|told| matches!(told.outcome, Outcome::Refused(_))).count();
        assert_eq!((refused, script.seen.borrow().as_slice()), (4, &["m1".to_owned()][..]));
        assert!(spool.is_empty().unwrap());
    }

    #[tokio::test]
    async fn nobody_is_asked_again_while_nobody_answers_and_what_is_refused_is_put_aside() {
        let (_folder, spool) = spool_of(&ALL);
        let script = Script::new(&[
            ("m1", Undelivered::Refused("400".into())),
            ("m2", Undelivered::Unreachable("connection refused".into())),
        ]);
        let told = spool.pass(&script).await.unwrap();
        assert_eq!(*script.seen.borrow(), ["m1", "d1", "m2"]);
        assert!(matches!(told[0].outcome, Outcome::Refused(_)));

        // Another process is at it: neither waits for it nor sends beside it.
        let lock = spool.lock("sending").unwrap().unwrap();
        assert!(spool.pass(&script).await.unwrap().is_empty());
        drop(lock);
        script.answers.borrow_mut().clear();
        spool.pass(&script).await.unwrap();
        assert_eq!(script.seen.borrow()[3..], ["m2", "d2", "m3"]);
        assert!(spool.is_empty().unwrap());
    }
}
