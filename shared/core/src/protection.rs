//! An administrator's rule about who must consent to deploys to an environment.
//!
//! It lies in the environment's record, so whoever can push can't weaken it, and it counts beside what the
//! pipeline file asks for: the stricter of the two. Who consents is told by the principal's name, or by a group
//! that the issuer says they belong to. Pure; where consent is asked for and checked is in `settle/approval.rs`.

use std::collections::BTreeSet;
use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::ApprovalRule;
use crate::messages;

/// How many people a rule may ask for.
pub const REQUIRED: std::ops::RangeInclusive<u16> = 1..=10;
/// Patterns of a rule: people read them all, on a page and in a refusal.
pub const MAX_PATTERNS: usize = 20;
/// Characters of a pattern, and of the name of a group that a pattern can match.
pub const MAX_PATTERN_CHARS: usize = 200;
/// Bytes of all patterns of a rule: each question to people holds them, and a run's record holds those (row F22).
pub const MAX_RULE_BYTES: usize = 4 * 1024;
/// How long people have where only the rule asks, as where the pipeline file names no time.
const TIMEOUT_SECONDS: u32 = 24 * 60 * 60;
/// What a pattern begins with: the kinds of principals, and of what is said of them. A pattern that could match two
/// kinds, or none, is refused: it would let in someone that nobody thought of, or nobody at all.
pub const KINDS: [&str; 4] = ["arn:", "token:", "person:", GROUP];
const GROUP: &str = "group:";

/// Who must consent to deploys to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProtectionRule {
    /// How many different people, at least.
    pub required: u16,
    /// Who counts; anyone with the scope where it is empty.
    #[serde(default, skip_serializing_if = "Approvers::is_anyone")]
    pub approvers: Approvers,
    /// Who set the rule.
    pub by: String,
    /// Since when it holds.
    pub since: Timestamp,
}

/// Patterns of those who may consent. `*` and `?` match within a part between slashes, `**` across them; nothing else
/// has a meaning of its own, since names of groups hold backslashes and brackets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Approvers(Vec<String>);

impl Approvers {
    /// Anyone with the scope.
    pub const ANYONE: Self = Self(Vec::new());

    /// Patterns that someone has written, or what is wrong with them.
    pub fn new(patterns: Vec<String>) -> Result<Self, String> {
        if patterns.len() > MAX_PATTERNS {
            return Err(messages::too_many_approvers(patterns.len()));
        }
        let bytes = patterns.iter().map(String::len).sum::<usize>();
        if bytes > MAX_RULE_BYTES {
            return Err(messages::approvers_too_large(bytes));
        }
        let mut known = Vec::new();
        for pattern in patterns {
            if pattern.chars().count() > MAX_PATTERN_CHARS || pattern.chars().any(char::is_control) {
                return Err(messages::approver_out_of_bounds(&pattern));
            }
            if !KINDS.iter().any(|kind| pattern.len() > kind.len() && pattern.starts_with(kind)) {
                return Err(messages::approver_of_no_kind(&pattern));
            }
            matcher(&pattern).map_err(|error| messages::approver_unreadable(&pattern, &error))?;
            if !known.contains(&pattern) {
                known.push(pattern);
            }
        }
        Ok(Self(known))
    }

    /// Whether anyone with the scope may.
    pub fn is_anyone(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether someone of this name and these groups may. A pattern that can't be read any more matches nobody.
    pub fn allow(&self, name: &str, groups: &BTreeSet<String>) -> bool {
        self.is_anyone()
            || self.matchers().any(|(_, matcher)| matcher.is_match(name))
            || !self.named(groups).is_empty()
    }

    /// The groups by which someone may, at most one for each pattern: what is kept with their consent.
    pub fn named(&self, groups: &BTreeSet<String>) -> BTreeSet<String> {
        let of_groups = self.matchers().filter(|(pattern, _)| pattern.starts_with(GROUP));
        let found = of_groups.filter_map(|(_, matcher)| {
            groups.iter().find(|group| {
                group.chars().count() <= MAX_PATTERN_CHARS && matcher.is_match(format!("{GROUP}{group}"))
            })
        });
        found.cloned().collect()
    }

    fn matchers(&self) -> impl Iterator<Item = (&str, GlobMatcher)> {
        self.0.iter().filter_map(|pattern| Some((pattern.as_str(), matcher(pattern).ok()?)))
    }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let mut glob = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        if matches!(character, '[' | ']' | '{' | '}' | '\\' | '!' | ',') {
            glob.push('\\');
        }
        glob.push(character);
    }
    let glob = GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
}

impl fmt::Display for Approvers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl ProtectionRule {
    /// A rule as an administrator sets it, or what is wrong with it.
    pub fn new(required: u16, approvers: Vec<String>, by: String, since: Timestamp) -> Result<Self, String> {
        if !REQUIRED.contains(&required) {
            return Err(messages::required_out_of_bounds(required));
        }
        Ok(Self { required, approvers: Approvers::new(approvers)?, by, since })
    }

    /// Whether it asks for the same as another.
    pub fn asks_as(&self, other: &Self) -> bool {
        (self.required, &self.approvers) == (other.required, &other.approvers)
    }
}

/// What people are asked for before a deploy: the stricter of what the plan says and the administrator's rule.
/// `None`: nobody is asked.
pub fn needed(planned: Option<ApprovalRule>, rule: Option<&ProtectionRule>) -> Option<ApprovalRule> {
    let Some(rule) = rule else { return planned };
    let own = planned.unwrap_or(ApprovalRule { required: 1, timeout_seconds: TIMEOUT_SECONDS });
    Some(ApprovalRule { required: own.required.max(rule.required), ..own })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approvers(patterns: &[&str]) -> Result<Approvers, String> {
        Approvers::new(patterns.iter().map(|&pattern| pattern.to_owned()).collect())
    }

    fn groups(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_pattern_matches_whole_names_of_its_kind_and_a_star_stays_within_a_part() {
        let role = "arn:aws:sts::111122223333:assumed-role/Release/*";
        for (pattern, name, may) in [
            (role, "arn:aws:sts::111122223333:assumed-role/Release/ada", true),
            (role, "arn:aws:sts::111122223333:assumed-role/Release/ada/eve", false),
            (role, "arn:aws:sts::111122223333:assumed-role/Release-2/ada", false),
            (role, "arn:aws:sts::999922223333:assumed-role/Release/ada", false),
            ("arn:aws:iam::1:user?ada", "arn:aws:iam::1:user/ada", false),
            ("arn:aws:iam::1:user[!a]ada", "arn:aws:iam::1:user[!a]ada", true),
            ("arn:aws:iam::1:user/**", "arn:aws:iam::1:user/team/ada", true),
            ("token:release-*", "token:release-bot", true),
            ("token:release-*", "token:Release-bot", false),
            ("token:release", "token:release-bot", false),
            ("person:*@example.com", "person:ada@example.com", true),
            ("person:*@example.com", "person:ada@example.com.evil.org", false),
            ("person:*", "token:bot", false),
            // A group is never taken for a name, nor a name for a group.
            ("group:*", "group:release", true),
            ("group:*", "person:group:release", false),
            ("person:ada{,.b}", "person:ada.b", false),
            ("person:CORP\\\\[*]{a,!b}?", "person:CORP\\\\[ada]{a,!b}s", true),
        ] {
            let found = approvers(&[pattern]).expect(pattern).allow(name, &groups(&[]));
            assert_eq!(found, may, "{pattern} and {name}");
        }
    }

    #[test]
    fn a_group_lets_its_members_and_is_kept_once_for_each_pattern() {
        let release = approvers(&["group:release", "group:ops/*", "token:x"]).unwrap();
        let own = groups(&["ops/berlin", "ops/paris", "other", "release"]);
        assert!(release.allow("person:ada", &own));
        assert_eq!(release.named(&own), groups(&["ops/berlin", "release"]));
        assert!(!release.allow("person:ada", &groups(&["Release", "x", "ops", "ops/a/b"])));
        // Somebody whose group is called like a token holds none.
        assert!(!release.allow("person:ada", &groups(&["token:x"])));
        let long = "g".repeat(MAX_PATTERN_CHARS + 1);
        assert!(!approvers(&["group:*"]).unwrap().allow("person:ada", &groups(&[&long])));
        assert!(approvers(&[]).unwrap().allow("anyone", &groups(&[])));
    }

    #[test]
    fn a_pattern_that_lets_nobody_in_or_somebody_unthought_of_is_refused_when_it_is_set() {
        for (pattern, told) in [
            ("", "begin with arn:, token:, person: or group:"),
            ("*", "begin with arn:"),
            ("{token,person}:x", "begin with arn:"),
            ("ada@example.com", "begin with arn:"),
            ("group:", "begin with arn:"),
            ("person:a\u{1b}b", "without control characters"),
            (&format!("token:{}", "x".repeat(MAX_PATTERN_CHARS)), "at most 200 characters"),
        ] {
            let error = approvers(&[pattern]).expect_err(pattern);
            assert!(error.contains(told), "{pattern:?}: {error}");
        }
        let many: Vec<String> = (0..=MAX_PATTERNS).map(|n| format!("token:t{n}")).collect();
        assert!(Approvers::new(many).expect_err("too many").contains("at most 20"));
        let wide: Vec<String> = (0..MAX_PATTERNS).map(|n| format!("group:{n}{}", "é".repeat(150))).collect();
        assert!(Approvers::new(wide).expect_err("too large").contains("at most 4096"));
        let twice = approvers(&["token:a", "token:a"]).unwrap();
        assert_eq!(twice.to_string(), "token:a");
    }

    #[test]
    fn the_stricter_of_file_and_rule_counts() {
        let at = Timestamp::UNIX_EPOCH;
        let rule = |required| ProtectionRule::new(required, Vec::new(), "ada".into(), at);
        let file = |required| ApprovalRule { required, timeout_seconds: 60 };
        assert_eq!(needed(None, None), None);
        assert_eq!(needed(Some(file(2)), None), Some(file(2)));
        assert_eq!(needed(Some(file(3)), rule(2).ok().as_ref()), Some(file(3)));
        assert_eq!(needed(Some(file(1)), rule(2).ok().as_ref()), Some(file(2)));
        let day = ApprovalRule { required: 2, timeout_seconds: 86_400 };
        assert_eq!(needed(None, rule(2).ok().as_ref()), Some(day));
        for bad in [0, 11] {
            assert!(rule(bad).expect_err("out of bounds").contains("1 to 10"));
        }
    }
}
