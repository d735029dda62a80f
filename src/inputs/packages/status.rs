//! The file `status` of the package database: one paragraph per package, RFC 822 style.
//! Pure. Keeps installed packages only, and of a dependency only the names: the installer has checked the versions.

/// Names of which one is enough.
pub(in crate::inputs) type Alternatives = Vec<String>;

/// One installed package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::inputs) struct Package {
    pub(in crate::inputs) name: String,
    pub(in crate::inputs) version: String,
    pub(in crate::inputs) architecture: String,
    pub(in crate::inputs) essential: bool,
    /// `Pre-Depends` and `Depends`.
    pub(in crate::inputs) depends: Vec<Alternatives>,
    pub(in crate::inputs) recommends: Vec<Alternatives>,
    pub(in crate::inputs) provides: Vec<String>,
}

/// Returns the installed packages of `text`, in its order.
pub(in crate::inputs) fn parse(text: &str) -> Vec<Package> {
    text.split("\n\n").filter_map(paragraph).collect()
}

fn paragraph(text: &str) -> Option<Package> {
    let mut package = Package::default();
    let mut installed = false;
    for (name, value) in fields(text) {
        match name {
            "Package" => value.clone_into(&mut package.name),
            "Version" => value.clone_into(&mut package.version),
            "Architecture" => value.clone_into(&mut package.architecture),
            "Status" => installed = value.ends_with(" installed"),
            "Essential" => package.essential = value == "yes",
            "Depends" | "Pre-Depends" => package.depends.extend(relations(value)),
            "Recommends" => package.recommends = relations(value).collect(),
            "Provides" => package.provides = relations(value).flatten().collect(),
            _ => {}
        }
    }
    (installed && !package.name.is_empty()).then_some(package)
}

/// Returns the fields that stand on one line; the ones that go on below are prose.
fn fields(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with([' ', '\t']));
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
}

/// `a (>= 1) | b:any, c [amd64]` -> `[[a, b], [c]]`.
fn relations(value: &str) -> impl Iterator<Item = Alternatives> {
    let groups = value.split(',').map(|group| {
        let names = group
            .split('|')
            .filter_map(|name| name.trim().split([' ', '(', ':', '[']).next());
        names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect::<Alternatives>()
    });
    groups.filter(|group| !group.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: inputs/tools R4
    #[test]
    fn paragraphs_become_installed_packages() {
        let text = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2-3\n\
                    Pre-Depends: libc6 (>= 2.3), awk\nDepends: b:any | c (= 1), d\nDescription: x\n Depends: no\n\n\
                    Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                    Package: e\nEssential: yes\nStatus: hold ok installed\nProvides: awk (= 1), x\nVersion: 2\n";
        let packages = parse(text);
        assert_eq!(
            packages
                .iter()
                .map(|package| package.name.as_str())
                .collect::<Vec<_>>(),
            ["a", "e"]
        );
        assert_eq!(packages[0].version, "1:2-3");
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            packages[0].depends,
            [
                names(&["libc6"]),
                names(&["awk"]),
                names(&["b", "c"]),
                names(&["d"])
            ]
        );
        assert!(packages[1].essential);
        assert_eq!(packages[1].provides, names(&["awk", "x"]));
    }
}
