//! Other accounts and regions (row A41).

use super::{changed, problems, read};

const GOOD: &str =
    "{ role: \"arn:aws:iam::111122223333:role/team/pushway\", external_id: \"7f3a:web\", region: eu-west-1 }";

fn with(aws: &str) -> String {
    changed("  - name: staging\n", &format!("  - name: staging\n    aws: {aws}\n"))
}

#[test]
fn a41_a_place_names_role_external_id_and_for_whom_it_is_assumed() {
    let plan = read(&with(GOOD)).plan;
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan.environments[0].place).unwrap(), @r#"
    {
      "role": "arn:aws:iam::111122223333:role/team/pushway",
      "external_id": "7f3a:web",
      "region": "eu-west-1",
      "pipeline": "web"
    }
    "#);
    assert!(plan.environments[1].place.is_own());
}

#[test]
fn a41_a_role_is_never_assumed_without_an_external_id_nor_chosen_by_what_is_pushed() {
    let words = |aws: &str| problems(&with(aws));
    let missing = words("{ role: \"arn:aws:iam::111122223333:role/x\" }");
    assert!(missing.contains("`aws` needs `external_id`"), "{missing}");
    let alone = words("{ region: eu-west-1 }");
    assert!(alone.contains("`aws` needs `role`") && alone.contains("`aws` needs `external_id`"), "{alone}");
    let chosen = words("{ role: \"arn:aws:iam::111122223333:role/${ref.name}\", external_id: abc }");
    assert!(chosen.contains("`role`"), "{chosen}");
}

#[test]
fn what_is_no_role_no_external_id_and_no_region_is_told_with_its_shape() {
    for role in [
        "pushway",
        "arn:aws:iam::1111:role/x",
        "arn:aws:iam::111122223333:user/x",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/x/",
        "arn:aws:iam::111122223333:role/x*",
        "arn:aws:iam:eu-west-1:111122223333:role/x",
        "arn:evil:iam::111122223333:role/x",
    ] {
        let words = problems(&with(&format!("{{ role: \"{role}\", external_id: abc }}")));
        assert!(words.contains("`role` can't be"), "{role}: {words}");
    }
    for id in ["a", "a b", "ä-web"] {
        let words = problems(&with(&GOOD.replace("7f3a:web", id)));
        assert!(words.contains("`external_id` can't be"), "{id}: {words}");
    }
    for region in ["eu", "eu-west", "EU-WEST-1", "eu-west-1a", "eu-west-1.evil.example"] {
        let words = problems(&with(&GOOD.replace("eu-west-1", region)));
        assert!(words.contains("`region` can't be"), "{region}: {words}");
    }
    for role in ["arn:aws-us-gov:iam::111122223333:role/x", "arn:aws-cn:iam::111122223333:role/a/b/x"] {
        read(&with(&format!("{{ role: \"{role}\", external_id: abc, region: us-gov-west-1 }}")));
    }
}
