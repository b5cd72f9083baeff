//! Deploys that go wrong, each in a way of its own; every one ends with its reason, and with what served before.

use serde_json::Value;

use crate::service::Service;
use crate::{Repository, begin, contains, ended};

pub(crate) fn story(repository: &Repository, service: &Service) {
    an_image_that_does_not_exist_is_rolled_back_at_once(repository, service);
    what_keeps_exiting_is_not_waited_for_though_no_breaker_watches(repository, service);
    a_failed_migration_leaves_the_service_alone(repository, service);
    a_deploy_without_an_end_is_ended_by_its_deadline(repository, service);
    what_falls_sick_while_it_is_watched_goes_back(repository, service);
    a_first_deploy_that_fails_says_that_there_is_nothing_to_go_back_to(repository, service);
}

fn an_image_that_does_not_exist_is_rolled_back_at_once(repository: &Repository, service: &Service) {
    let good = service.version();
    // The emulator's breaker is so fast that it may find out first.
    service.set_breaker(false);
    let (real, absent) = (
        "IMAGE=$(sh ci/push-image.sh)",
        "IMAGE=$(sh ci/push-image.sh | sed 's/sha256:.*/sha256:0000000000000000000000000000000000000000000000000000000000000000/')",
    );
    repository.edit("buildspec.yml", real, absent);
    let run = ended(&begin(repository, "2.0.1"));
    assert_eq!(run["status"], "rolled_back", "{run:#}");
    contains(&run["environments"][0]["deploy"]["failure"]["kind"], "image_unavailable");
    service.serves(&good);
    repository.edit("buildspec.yml", absent, real);
    service.set_breaker(true);
}

fn what_keeps_exiting_is_not_waited_for_though_no_breaker_watches(
    repository: &Repository,
    service: &Service,
) {
    let good = service.version();
    service.set_breaker(false);
    let (serves, exits) = ("CMD [\"serve\"]", "CMD [\"server\"]");
    repository.edit("Dockerfile", serves, exits);
    let run = ended(&begin(repository, "2.0.2"));
    assert_eq!(run["status"], "rolled_back", "{run:#}");
    contains(&run["environments"][0]["deploy"]["failure"]["kind"], "keeps_exiting");
    contains(&run["cause"]["summary"], "exited with code 2");
    assert_eq!(run["environments"][0]["rollback"]["outcome"]["by"], "pushway", "{run:#}");
    service.serves(&good);
    repository.edit("Dockerfile", exits, serves);
    service.set_breaker(true);
}

fn a_failed_migration_leaves_the_service_alone(repository: &Repository, service: &Service) {
    let good = service.version();
    let (without, with) = (
        "    deploy:\n",
        "    before: [{ ecs_task: { command: [migrate, up], timeout: 5m } }]\n    deploy:\n",
    );
    repository.edit("pushway.yml", without, with);
    let before = service.primary();
    let run = ended(&begin(repository, "2.1.0"));
    assert_eq!(run["status"], "failed", "{run:#}");
    contains(&run["cause"]["summary"], "code 2");
    contains(&run["cause"]["evidence"], "say `serve` or `healthcheck`, not \"migrate\"");
    assert_eq!(service.primary(), before, "the service was touched");
    service.serves(&good);
    repository.edit("pushway.yml", with, without);
}

fn a_deploy_without_an_end_is_ended_by_its_deadline(repository: &Repository, service: &Service) {
    let good = service.version();
    service.set_breaker(false);
    // Another exit code each time: there is no reason to give up early.
    let (serves, exits) = (
        "    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;\n    println!",
        "    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_millis());\n    \
         if now > 0 { std::process::exit((now / 300 % 250) as i32 + 1) }\n    \
         let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;\n    println!",
    );
    repository.edit("src/main.rs", serves, exits);
    repository.edit("pushway.yml", "timeout: 10m\n    validate", "timeout: 1m\n    validate");
    let run = ended(&begin(repository, "2.2.0"));
    assert_eq!(run["status"], "rolled_back", "{run:#}");
    contains(&run["environments"][0]["deploy"]["failure"]["kind"], "deadline_reached");
    assert_eq!(run["environments"][0]["rollback"]["outcome"]["by"], "pushway", "{run:#}");
    service.serves(&good);
    repository.edit("pushway.yml", "timeout: 1m\n    validate", "timeout: 10m\n    validate");
    repository.edit("src/main.rs", exits, serves);
    service.set_breaker(true);
}

fn what_falls_sick_while_it_is_watched_goes_back(repository: &Repository, service: &Service) {
    let good = service.version();
    let (without, with) = ("    validate:\n", "    watch: { for: 5m }\n    validate:\n");
    repository.edit("pushway.yml", without, with);
    let (lives, dies) = (
        "    println!(\"version",
        "    thread::spawn(|| { thread::sleep(Duration::from_secs(40)); std::process::exit(70) });\n    \
         println!(\"version",
    );
    repository.edit("src/main.rs", lives, dies);
    let run = ended(&begin(repository, "2.3.0"));
    assert_eq!(run["status"], "rolled_back", "{run:#}");
    let environment = &run["environments"][0];
    assert_eq!(environment["deploy"]["failure"], Value::Null, "it was healthy first: {run:#}");
    assert_eq!(environment["checks"][1]["passed"], true, "{run:#}");
    contains(&environment["watch"], "exit code 70");
    contains(&run["cause"]["summary"], ", and turned sick ");
    service.serves(&good);
    repository.edit("src/main.rs", dies, lives);
    repository.edit("pushway.yml", with, without);
}

fn a_first_deploy_that_fails_says_that_there_is_nothing_to_go_back_to(
    repository: &Repository,
    service: &Service,
) {
    let path = repository.folder.join("pushway.yml");
    let file = std::fs::read_to_string(&path).expect("read");
    let fresh = file.replace("name: production", "name: fresh").replace(
        "service: web",
        "service: fresh\n        task_definition: ecs/task.json\n        service_definition: ecs/service.json",
    );
    std::fs::write(&path, fresh).expect("write");
    let folder = repository.folder.join("ecs");
    std::fs::create_dir_all(&folder).expect("create");
    let (task, definition) = service.definitions("fresh");
    std::fs::write(folder.join("task.json"), task.to_string()).expect("write");
    std::fs::write(folder.join("service.json"), definition.to_string()).expect("write");
    let (serves, exits) = ("CMD [\"serve\"]", "CMD [\"server\"]");
    repository.edit("Dockerfile", serves, exits);
    let run = ended(&begin(repository, "2.4.0"));
    assert_eq!(run["status"], "failed_no_baseline", "{run:#}");
    contains(&run["cause"]["summary"], "web exit code 2");

    // Mended, the next push is the first that serves there.
    repository.edit("Dockerfile", exits, serves);
    let run = ended(&begin(repository, "2.5.0"));
    assert_eq!(run["status"], "succeeded", "{run:#}");
    service.delete("fresh");
    std::fs::write(&path, file).expect("write");
    std::fs::remove_dir_all(&folder).expect("remove");
}
