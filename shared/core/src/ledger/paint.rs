//! Spans laid over each other: each moment goes to the highest of those that cover it.
//!
//! What none covers is Pushway's own. The result covers the whole from its beginning to its end, once.

use super::Kind;

/// A claim to a part of the time.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) kind: Kind,
    /// On what.
    pub(super) name: String,
    /// Beginning and end, in milliseconds since 1970.
    pub(super) from: i64,
    pub(super) to: i64,
    /// Who is covered by whom: the higher one counts.
    pub(super) rank: u8,
}

/// A part of the time, and what it was spent on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Painted {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// The parts from `from` to `to`, in order. Of spans of one rank the later one counts.
pub(super) fn paint(from: i64, to: i64, spans: &[Span]) -> Vec<Painted> {
    let ends = spans.iter().flat_map(|span| [span.from, span.to]);
    let mut cuts: Vec<i64> = ends.filter(|cut| (from..to).contains(cut)).chain([from, to]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut parts: Vec<Painted> = Vec::new();
    for cut in cuts.windows(2) {
        let covers = |span: &&Span| span.from <= cut[0] && span.to >= cut[1];
        let top = spans.iter().filter(covers).max_by_key(|span| (span.rank, span.from));
        let (kind, name) = top.map_or((Kind::Own, ""), |span| (span.kind, &span.name));
        match parts.last_mut() {
            Some(last) if last.kind == kind && last.name == name => last.to = cut[1],
            _ => parts.push(Painted { kind, name: name.to_owned(), from: cut[0], to: cut[1] }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_span_counts_and_what_none_covers_is_our_own() {
        let span = |kind, from, to, rank| Span { kind, name: "x".into(), from, to, rank };
        let spans = [
            span(Kind::Health, 10, 40, 1),
            span(Kind::Checks, 20, 30, 2),
            span(Kind::Watch, 60, 900, 1),
            span(Kind::Work, 50, 50, 9),
        ];
        let parts = paint(0, 100, &spans).into_iter().map(|part| (part.kind, part.from, part.to));
        let expected = [
            (Kind::Own, 0, 10),
            (Kind::Health, 10, 20),
            (Kind::Checks, 20, 30),
            (Kind::Health, 30, 40),
            (Kind::Own, 40, 60),
            (Kind::Watch, 60, 100),
        ];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
        assert_eq!(paint(5, 5, &spans), []);
    }
}
