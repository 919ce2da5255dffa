//! The expressions of the dashboard for Grafana, as Prometheus gets to see them.

use serde_json::Value;

/// The dashboard as it is shipped.
pub fn dashboard() -> Value {
    let text = include_str!("../../packaging/grafana/broadside.json");
    serde_json::from_str(text).expect("the dashboard is JSON")
}

/// Every expression in it, with Grafana's variables filled in.
pub fn expressions() -> Vec<String> {
    let (dashboard, mut all) = (dashboard(), Vec::new());
    let mut rest = vec![&dashboard];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(items) => rest.extend(items),
            Value::Object(map) => {
                rest.extend(map.values());
                all.extend(map.get("expr").and_then(Value::as_str).map(filled));
            }
            _ => {}
        }
    }
    all
}

fn filled(expression: &str) -> String {
    let all = [("$instance", ".*"), ("$chain", ".*"), ("$__rate_interval", "1m")];
    let text = all.iter().fold(expression.to_owned(), |text, (name, by)| text.replace(name, by));
    assert!(!text.contains('$'), "{expression} has a variable that nobody fills in");
    text
}

/// The names of metrics of ours and of the process in an expression.
pub fn names(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = words.filter(|it| it.starts_with("broadside_") || it.starts_with("process_"));
    ours.map(str::to_owned).collect()
}
