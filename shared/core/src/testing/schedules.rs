//! Rules and schedules in memory: each starts one task, or as many as a test gives it.

use std::collections::BTreeMap;

use super::{State, World};
use crate::fact::Scheduled;
use crate::ids::ImageDigestRef;
use crate::plan::Place;
use crate::ports::{Answer, MoveSchedules, Pointed, ReadSchedules};
use crate::scheduled::{ScheduledView, Starter, StarterRef};
use crate::views::TaskView;

/// A rule or schedule of the world.
#[derive(Debug, Clone)]
pub struct FakeStarter {
    /// What it is called, and where it lies.
    pub at: StarterRef,
    /// The ids of its ECS targets, and what each names.
    pub tasks: Vec<(String, String)>,
    /// Each change of what it names: by whom (`pushway`, `someone`), and to what.
    pub moves: Vec<(&'static str, String)>,
    /// Someone points it at this revision once Pushway has looked at it so many times.
    pub meddler: Option<(u32, String)>,
    /// Someone points it at this revision right after Pushway has pointed it somewhere.
    pub overwriter: Option<String>,
}

impl FakeStarter {
    /// What a task of it names.
    pub fn names(&self, target: &str) -> &str {
        self.tasks.iter().find(|(id, _)| id == target).map_or("", |(_, named)| named)
    }

    /// Points a task elsewhere.
    pub fn set(&mut self, by: &'static str, target: &str, revision: &str) {
        if let Some((_, named)) = self.tasks.iter_mut().find(|(id, _)| id == target) {
            revision.clone_into(named);
            self.moves.push((by, revision.to_owned()));
        }
    }

    fn is_looked_at(&mut self) {
        match self.meddler.take() {
            Some((0, revision)) => {
                let target = self.tasks[0].0.clone();
                self.set("someone", &target, &revision);
            }
            other => self.meddler = other.map(|(left, revision)| (left - 1, revision)),
        }
    }
}

impl World {
    /// Adds a rule or schedule that starts a task with `image` in the container `web`; gives its revision.
    pub fn add_starter(&self, starter: Starter, image: &ImageDigestRef) -> String {
        let mut state = self.lock();
        let revision = state.ecs.define("job", BTreeMap::from([("web".to_owned(), image.clone())]));
        state.starters.push(FakeStarter {
            at: StarterRef { place: Place::default(), starter },
            tasks: vec![("task".to_owned(), revision.clone())],
            moves: Vec::new(),
            meddler: None,
            overwriter: None,
        });
        revision
    }

    /// A rule or schedule as it is.
    pub fn fake_starter(&self, at: &StarterRef) -> Option<FakeStarter> {
        self.lock().starter(at).cloned()
    }

    /// Changes a rule or schedule.
    pub fn with_starter<T>(&self, at: &StarterRef, change: impl FnOnce(&mut FakeStarter) -> T) -> Option<T> {
        self.lock().starter(at).map(change)
    }
}

/// The same rule or schedule, whichever of its targets is meant.
fn is_same(one: &StarterRef, other: &StarterRef) -> bool {
    one.claimed() == other.claimed()
}

impl State {
    fn starter(&mut self, at: &StarterRef) -> Option<&mut FakeStarter> {
        self.starters.iter_mut().find(|known| is_same(&known.at, at))
    }

    /// The latest revision of what a target names, as ECS takes it: with a number or without.
    fn latest(&self, named: &str) -> String {
        if self.ecs.definitions.contains_key(named) {
            return named.to_owned();
        }
        let number = |arn: &str| arn.rsplit(':').next().and_then(|number| number.parse::<u32>().ok());
        let is_of = |arn: &&String| arn.rsplit_once(':').is_some_and(|(family, _)| family == named);
        let newest = self.ecs.definitions.keys().filter(is_of).max_by_key(|arn| number(arn));
        newest.cloned().unwrap_or_default()
    }

    pub(super) fn started_by(&mut self, at: &StarterRef) -> Option<Vec<ScheduledView>> {
        let tasks = self.starter(at)?.tasks.clone();
        let view = |(target, named): (String, String)| {
            let revision = self.latest(&named);
            let images = self.ecs.definitions.get(&revision).cloned().unwrap_or_default();
            ScheduledView {
                target,
                cluster: "arn:aws:ecs:eu-central-1:000000000000:cluster/demo".to_owned(),
                named,
                revision,
                images: images.into_iter().map(|(name, image)| (name, image.to_string())).collect(),
                roles: Vec::new(),
                starting_role: None,
            }
        };
        Some(tasks.into_iter().map(view).collect())
    }
}

impl ReadSchedules for World {
    async fn scheduled(&self, at: &StarterRef) -> Answer<Option<Vec<ScheduledView>>> {
        self.call("scheduled", &at.starter, |state| {
            let tasks = state.started_by(at);
            if let Some(starter) = state.starter(at) {
                starter.is_looked_at();
            }
            Ok(tasks)
        })
        .await
    }

    async fn started(&self, place: &Place, cluster: &str, task_definition: &str) -> Answer<Vec<TaskView>> {
        self.call("started", task_definition, |state| Ok(state.tasks.of(place, cluster, task_definition)))
            .await
    }
}

impl MoveSchedules for World {
    async fn point(&self, place: &Place, task: &Scheduled, from: &str, to: &str) -> Answer<Pointed> {
        self.call("point", to, |state| {
            let at = StarterRef { place: place.clone(), starter: task.starter.clone() };
            let Some(starter) = state.starter(&at) else { return Ok(Pointed::Gone) };
            let named = starter.tasks.iter().find(|(id, _)| *id == task.target);
            Ok(match named.map(|(_, named)| named.clone()) {
                None => Pointed::Gone,
                Some(named) if named == to => Pointed::There,
                Some(named) if named != from => Pointed::Elsewhere(named),
                Some(_) => {
                    starter.set("pushway", &task.target, to);
                    if let Some(theirs) = starter.overwriter.take() {
                        starter.set("someone", &task.target, &theirs);
                    }
                    Pointed::There
                }
            })
        })
        .await
    }
}
