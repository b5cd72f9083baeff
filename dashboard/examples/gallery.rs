//! Writes every page, filled with the tests' samples, into a folder: `cargo run -p pushway-dashboard --example
//! gallery -- target/gallery`, then open the files in a browser.

#![expect(clippy::unwrap_used, reason = "a tool for whoever works on the pages")]

#[path = "../tests/pages/samples/mod.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod samples;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/gallery".into());
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder.join("assets")).unwrap();
    for (name, html) in samples::pages::pages(&samples::world()) {
        for path in html.split('"').filter(|path| path.starts_with("/assets/")) {
            let asset = pushway_dashboard::asset(path).unwrap();
            std::fs::write(folder.join(path.trim_start_matches('/')), asset.content).unwrap();
        }
        // Opened from a file, the root is the folder; and the samples' time is not now.
        let html = html
            .replace("\"/assets/", "\"assets/")
            .replace("<script", "<!-- <script")
            .replace("</script>", "</script> -->");
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}
