//! `relay-agent.toml`, the project file: which sources a project has and where each goes on this machine.
//!
//! ```toml
//! [[route]]
//! name = "github"                          # the source: its URL ends in /h/github
//! target = "http://localhost:3000/hooks"   # or 3000, https://…, unix:/run/app.sock
//! ```
//! All mistakes are reported at once, each with its line.

mod fields;

use std::fmt;
use std::path::{Path, PathBuf};

use protocol::id::{DestinationName, Slug};
use protocol::limits::SERVES_MAX;
use relay_agent::Route;
use toml::de::{DeTable, DeValue};

use self::fields::{Fields, Findings};
use super::words;

/// The file `relay-agent up` looks for.
pub(crate) const FILE_NAME: &str = "relay-agent.toml";

/// Most requests in flight that may be asked for. Each holds a stream and a connection to the app.
const IN_FLIGHT_MAX: u32 = 4096;

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Project {
    /// The routes, at least one.
    pub(crate) routes: Vec<Route>,
    /// Most requests forwarded at once, where it is not the default.
    pub(crate) in_flight_max: Option<u32>,
    /// Extra certificate authority for `https://` targets.
    pub(crate) target_ca: Option<PathBuf>,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) text: String,
}

/// Everything wrong with the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistakes {
    path: PathBuf,
    list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        write!(f, "{count} mistake{} in {}", if count == 1 { "" } else { "s" }, self.path.display())?;
        self.list.iter().try_for_each(|m| write!(f, "\n  {}:{}: {}", self.path.display(), m.line, m.text))
    }
}

impl std::error::Error for Mistakes {}

/// A project file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// It cannot be read.
    #[error("cannot read {}; `relay-agent up FILE` names another, `relay-agent PORT` needs none", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// It says something wrong.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

/// Reads the file. A `target_ca` is relative to it.
pub(crate) fn load(path: &Path) -> Result<Project, ProjectError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ProjectError::Read { path: path.to_owned(), source })?;
    let mut project = parse(&text).map_err(|list| Mistakes { path: path.to_owned(), list })?;
    let beside = path.parent().unwrap_or(Path::new(""));
    project.target_ca = project.target_ca.map(|ca| beside.join(ca));
    Ok(project)
}

/// Reads the text of a project file.
pub(crate) fn parse(text: &str) -> Result<Project, Vec<Mistake>> {
    let mut findings = Findings::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What could be read around them would only bring mistakes that are none.
        for error in errors {
            findings.note(error.span().map_or(0, |span| span.start), error.message().to_owned());
        }
        return findings.into_result(Project::default());
    }
    let mut top = Fields::new(document.get_ref(), 0, "at the top of the file");
    let mut project = Project {
        routes: Vec::new(),
        in_flight_max: top.integer("in_flight_max", 1..=IN_FLIGHT_MAX, &mut findings),
        target_ca: top.parsed("target_ca", &mut findings, |text| Ok(PathBuf::from(text))),
    };
    match top.take("route").map(|value| (value.span().start, value.get_ref())) {
        Some((_, DeValue::Array(tables))) if !tables.is_empty() => {
            for table in tables {
                match table.get_ref() {
                    DeValue::Table(of_route) => {
                        let fields = Fields::new(of_route, table.span().start, "in [[route]]");
                        project.routes.extend(route(fields, &mut findings));
                    }
                    _ => findings.note(table.span().start, "a route is a table: [[route]]".to_owned()),
                }
            }
        }
        Some((at, _)) => {
            findings.note(at, "routes are written as [[route]], with double brackets".to_owned());
        }
        None => findings.note(0, "there is no [[route]]".to_owned()),
    }
    top.refuse_others(&mut findings);
    if project.routes.len() > SERVES_MAX {
        findings.note(0, format!("more than {SERVES_MAX} routes: use several files"));
    }
    findings.into_result(project)
}

fn route(mut fields: Fields<'_, '_>, findings: &mut Findings<'_>) -> Option<Route> {
    let source = fields.required("name", findings, |text| text.parse::<Slug>().map_err(|e| e.to_string()));
    let target = fields.required("target", findings, words::target);
    let destination = fields.parsed("destination", findings, |text| {
        text.parse::<DestinationName>().map_err(|error| error.to_string())
    });
    let host = fields.parsed("host", findings, words::host_field);
    let create = fields.boolean("create", findings);
    let sharing = fields.parsed("sharing", findings, words::sharing);
    let upgrade = fields.boolean("upgrade", findings);
    let answer_timeout = fields.parsed("answer_timeout", findings, words::answer_timeout);
    fields.refuse_others(findings);

    let mut route = Route::new(source?, target?);
    route.destination = destination.unwrap_or(route.destination);
    route.host = host.unwrap_or(route.host);
    route.create = create.unwrap_or(route.create);
    route.sharing = sharing.unwrap_or(route.sharing);
    route.upgrade = upgrade.unwrap_or(route.upgrade);
    route.answer_timeout = answer_timeout.unwrap_or(route.answer_timeout);
    let place = format!("{}/{}", route.source, route.destination);
    if !findings.is_first(&place) {
        findings.note(fields.start(), format!("two routes for {place}: give one another `destination`"));
    }
    Some(route)
}

#[cfg(test)]
mod tests;
