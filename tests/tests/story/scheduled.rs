//! Tasks that a rule or a schedule starts.

use crate::service::Service;
use crate::{Repository, begin, ended, text};

pub(crate) fn a_push_brings_a_rules_and_a_schedules_task_its_image(
    repository: &Repository,
    service: &Service,
) {
    let before = service.schedule_tasks();
    let path = repository.folder.join("pushway.yml");
    let file = std::fs::read_to_string(&path).expect("read");
    let (head, _) = file.split_once("environments:\n").expect("environments");
    let environment = |starter: &str| {
        let images = "images: { web: \"${build.image.IMAGE}\" }";
        format!(
            "  - name: {starter}\n    deploy: {{ ecs_scheduled_task: {{ {starter}: nightly, {images} }} }}\n"
        )
    };
    let scheduled = format!("{head}environments:\n{}{}", environment("rule"), environment("schedule"));
    std::fs::write(&path, scheduled).expect("write");
    let run = ended(&begin(repository, "4.0.0"));
    assert_eq!(run["status"], "succeeded", "{run:#}");

    // Another revision each, with the built image; whatever else was there still is.
    let after = service.scheduled_tasks();
    for (place, (mut before, mut after)) in before.into_iter().zip(after).enumerate() {
        let revision = after["EcsParameters"]["TaskDefinitionArn"].take();
        assert_ne!(revision, before["EcsParameters"]["TaskDefinitionArn"].take());
        assert_eq!(before, after);
        let rollout = &run["environments"][place]["rollout"];
        assert_eq!(rollout["task_definition"], revision);
        assert_eq!(service.image(text(&revision)), text(&rollout["images"]["web"]));
    }
    std::fs::write(&path, file).expect("write");
}
