//! Imports: `std/…` from the binary, everything else from below the script's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{
    AST, ASTNode, Engine, EvalAltResult, Expr, Module, ModuleResolver, Position, Scope, Shared,
    Stmt,
};

use super::fault::{fail_at, from_parse};
use super::session::Session;
use crate::diag::Source;
use crate::diag::codes::language::IMPORT;
use crate::diag::suggest;
use crate::error::{Error, Result};

/// The half of the standard library that is written in Rhai.
pub(super) static STD: &[(&str, &str)] =
    &[("std/policy", include_str!("../../stdlib/policy.rhai"))];

/// The largest file that a script may read.
const MAX_FILE: u64 = 16 << 20;

pub(super) struct Resolver {
    session: Arc<Session>,
    cache: Mutex<BTreeMap<String, Shared<Module>>>,
}

impl Resolver {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self {
            session,
            cache: Mutex::new(BTreeMap::new()),
        }
    }
}

/// Finds the text of a module, as `importer` names it.
fn find(session: &Session, importer: Option<&str>, name: &str) -> Result<Source> {
    if name.starts_with("std/") {
        return match STD.iter().find(|(known, _)| *known == name) {
            Some((name, text)) => Ok(Source::new(*name, *text)),
            None => {
                let near = suggest::nearest(name, STD.iter().map(|(known, _)| *known));
                let help = near.map_or_else(
                    || {
                        format!(
                            "there are {}",
                            suggest::one_of(STD.iter().map(|(known, _)| *known))
                        )
                    },
                    |near| format!("did you mean \"{near}\"?"),
                );
                Err(
                    Error::new(&IMPORT, format!("there is no standard module \"{name}\""))
                        .help(help),
                )
            }
        };
    }
    let wrong = |what: &str| {
        Error::new(&IMPORT, format!("the module \"{name}\" {what}")).help(
            "name a file below the script's folder, without `..` and without the ending .rhai",
        )
    };
    let root = &session.options().root;
    let base = importer
        .map(Path::new)
        .and_then(Path::parent)
        .filter(|folder| folder.starts_with(root));
    let file = if name.ends_with(".rhai") {
        name.to_string()
    } else {
        format!("{name}.rhai")
    };
    let path = below(root, &base.unwrap_or(root).join(&file), &file)
        .ok_or_else(|| wrong("lies outside the script's folder"))?;
    let text = read_small(&path).map_err(|cause| wrong("cannot be read").because(cause))?;
    Ok(Source::new(path.display().to_string(), text))
}

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        importer: Option<&str>,
        name: &str,
        at: Position,
    ) -> std::result::Result<Shared<Module>, Box<EvalAltResult>> {
        let source = find(&self.session, importer, name).map_err(|error| fail_at(error, at))?;
        let key = source.name().to_string();
        let known = |cache: &Mutex<BTreeMap<String, Shared<Module>>>| {
            cache
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&key)
                .cloned()
        };
        if let Some(module) = known(&self.cache) {
            return Ok(module);
        }
        let mut ast = engine
            .compile(source.text())
            .map_err(|error| fail_at(from_parse(&error, &self.session, &source), Position::NONE))?;
        ast.set_source(source.name());
        self.session.remember(source.clone(), ast.clone());
        let mut module = Module::eval_ast_as_new(Scope::new(), &ast, engine)?;
        module.set_id(source.name());
        let module: Shared<Module> = module.into();
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, module.clone());
        Ok(module)
    }
}

/// Puts the functions of every module that a script imports below its own.
///
/// The engine looks for the code of a closure among the functions at hand when it is called; one that a module's function
/// returned would not be found. Imports that cannot be followed here fail with their own message when they are run.
pub(super) fn link(
    engine: &Engine,
    session: &Session,
    tree: &AST,
    done: &mut BTreeSet<String>,
) -> AST {
    let mut names = Vec::new();
    tree.walk(&mut |nodes: &[ASTNode]| {
        if let Some(ASTNode::Stmt(Stmt::Import(import, _))) = nodes.last()
            && let Expr::StringConstant(name, _) = &import.0
        {
            names.push(name.to_string());
        }
        true
    });
    let mut linked = AST::empty();
    for name in names {
        let Ok(source) = find(session, tree.source(), &name) else {
            continue;
        };
        if !done.insert(source.name().to_string()) {
            continue;
        }
        let Ok(mut module) = engine.compile(source.text()) else {
            continue;
        };
        module.set_source(source.name());
        // Linked, a closure no longer tells where it is from; messages about it want to know.
        for function in module.iter_functions() {
            if function.name.starts_with("anon$") {
                session.house(function.name, &source);
            }
        }
        let module = link(engine, session, &module, done);
        linked = linked.merge(&module.clone_functions_only());
    }
    let mut whole = linked.merge(tree);
    if let Some(source) = tree.source() {
        whole.set_source(source);
    }
    whole
}

/// The path if it lies below the root and no link leads out; the file need not be there.
pub(crate) fn below(root: &Path, path: &Path, typed: &str) -> Option<PathBuf> {
    let typed = Path::new(typed);
    let is_plain = typed
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_plain {
        return None;
    }
    let Ok(real) = path.canonicalize() else {
        return Some(path.to_path_buf());
    };
    let real_root = root.canonicalize().ok()?;
    real.starts_with(&real_root).then(|| path.to_path_buf())
}

/// Reads a text of bounded size.
pub(crate) fn read_small(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut text = String::new();
    let read = std::fs::File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)?;
    if read as u64 > MAX_FILE {
        return Err(std::io::Error::other("it is larger than 16 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), root.join("link")).unwrap();
        std::fs::write(root.join("a"), "x").unwrap();
        assert!(below(&root, &root.join("a"), "a").is_some());
        for bad in ["../secret", "/etc/passwd", "link", "b/../../secret"] {
            assert!(below(&root, &root.join(bad), bad).is_none(), "{bad}");
        }
    }
}
