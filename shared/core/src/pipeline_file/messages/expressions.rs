//! Sentences about expressions, variables, matrices and needs.

use super::{Words, quoted};
use crate::pipeline_file::problem::printable;

fn written(name: &str) -> String {
    quoted(&format!("${{{name}}}"))
}

fn one_of(similar: Option<&str>, known: &[&str], nothing: &str) -> String {
    match (similar, known) {
        (Some(similar), _) => format!("did you mean {}?", quoted(similar)),
        (None, []) => nothing.to_owned(),
        (None, known) => format!("there is {}", printable(&known.join(", "), 200)),
    }
}

// Expressions.

pub(in crate::pipeline_file) fn unclosed_expression(text: &str) -> Words {
    Words::new(
        format!("an expression in {} is not closed", quoted(text)),
        "write ${name}, or $${ for the two characters themselves",
    )
}

pub(in crate::pipeline_file) fn unknown_expression(
    name: &str,
    similar: Option<&str>,
    known: &[&str],
) -> Words {
    let hint = match similar {
        Some(similar) => format!("did you mean ${{{}}}?", printable(similar, 100)),
        None => format!(
            "there is {}; for the shell's own ${{…}} write $${{…}}",
            printable(&known.join(", "), 300)
        ),
    };
    Words::new(format!("{} is not an expression that Pushway knows here", written(name)), hint)
}

pub(in crate::pipeline_file) fn expression_not_here(key: &str) -> Words {
    Words::new(
        format!("{} holds an expression, and takes none", quoted(key)),
        "write the value itself; values of `env`, `image`, `images`, `url` and ECS names take expressions",
    )
}

pub(in crate::pipeline_file) fn output_out_of_place(name: &str) -> Words {
    Words::new(
        format!("{} is only known after its job, so it can only stand alone in `images`", written(name)),
        "write ${build.<job>.<OUTPUT>} there and nothing around it",
    )
}

pub(in crate::pipeline_file) fn no_value_in_run(name: &str) -> Words {
    let only = match name.split_once('.') {
        Some(("pull_request", _)) => "only a run of a pull request has it",
        Some(("image", _)) => "only a run that a pushed image started has it",
        _ => "this kind of run does not have it",
    };
    Words::new(
        format!("{} has no value in this run", written(name)),
        format!("{only}; keep such a pipeline in a file of its own under .pushway/"),
    )
}

pub(in crate::pipeline_file) fn value_out_of_place(name: &str, key: &str) -> Words {
    Words::new(
        format!("{} cannot stand in the host of {}", written(name), quoted(key)),
        "write scheme and host out; of expressions a host takes ${var.…}, ${commit.…}, ${run.id} and \
         ${pull_request.number}, made of letters, digits, dots and hyphens",
    )
}

pub(in crate::pipeline_file) fn undeclared_variable(name: &str, similar: Option<&str>) -> Words {
    let hint = match similar {
        Some(similar) => format!("did you mean {}?", quoted(similar)),
        None => "declare it with a value of its own under `variables`".to_owned(),
    };
    Words::new(format!("this run sets the variable {}, which the file does not declare", quoted(name)), hint)
}

// Matrices.

pub(in crate::pipeline_file) fn matrix_too_large(size: usize, max: usize) -> Words {
    Words::new(
        format!("the matrix makes {size} jobs, and a stage takes at most {max}"),
        "leave out values, or split the pipeline",
    )
}

pub(in crate::pipeline_file) fn too_many_jobs(stage: &str, count: usize, max: usize) -> Words {
    Words::new(
        format!(
            "{} has {count} jobs with its matrices expanded, and at most {max} are allowed",
            quoted(stage)
        ),
        "leave out values of a matrix, or split the pipeline",
    )
}

pub(in crate::pipeline_file) fn nameless_value(value: &str) -> Words {
    Words::new(
        format!("{} holds nothing that a job's name could take", quoted(value)),
        "give a value with a letter or digit: the job is named <job>-<value>",
    )
}

pub(in crate::pipeline_file) fn job_name_clash(name: &str, first: &str, second: &str) -> Words {
    let who = if first == second {
        format!("two combinations of {}", quoted(first))
    } else {
        format!("{} and {}", quoted(first), quoted(second))
    };
    Words::new(
        format!("{who} both make a job named {}", quoted(name)),
        "names keep letters and digits only; choose values, or a name, that differ in those",
    )
}

// Needs.

pub(in crate::pipeline_file) fn needs_itself(name: &str) -> Words {
    Words::new(format!("the job {} needs itself", quoted(name)), "remove it from its own `needs`")
}

pub(in crate::pipeline_file) fn needs_unknown(name: &str, similar: Option<&str>, known: &[&str]) -> Words {
    Words::new(
        format!("`needs` names {}, which is no job of this stage", quoted(name)),
        one_of(similar, known, "remove it; the stages follow each other by themselves"),
    )
}

pub(in crate::pipeline_file) fn needs_cycle(cycle: &[&str]) -> Words {
    Words::new(
        format!("these jobs wait for each other: {}", printable(&cycle.join(" needs "), 300)),
        "take one of the needs away",
    )
}

pub(in crate::pipeline_file) fn listed_twice(key: &str, item: &str) -> Words {
    Words::new(format!("{} is listed twice in {}", quoted(item), quoted(key)), "keep one of the two")
}
