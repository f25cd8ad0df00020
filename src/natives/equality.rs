//! When two script values are the same, and how a value is written.

use rhai::{Array, Dynamic, Map};

use super::change::{ChangeValue, RulingValue};
use super::cluster::ClusterValue;
use super::constructor::{ComponentValue, DistributionValue, ProviderValue};
use super::is;
use crate::axis::Axis;
use crate::script::to_tree;
use crate::spec::show as written;

/// Whether two values are the same, by value.
pub(super) fn same(a: &Dynamic, b: &Dynamic) -> bool {
    fn both<T: rhai::Variant + Clone + PartialEq>(a: &Dynamic, b: &Dynamic) -> Option<bool> {
        (is::<T>(a) && is::<T>(b)).then(|| match (a.read_lock::<T>(), b.read_lock::<T>()) {
            (Some(a), Some(b)) => *a == *b,
            _ => false,
        })
    }
    both::<DistributionValue>(a, b)
        .or_else(|| both::<ProviderValue>(a, b))
        .or_else(|| both::<ComponentValue>(a, b))
        .or_else(|| both::<ClusterValue>(a, b))
        .or_else(|| both::<super::matrix::CellValue>(a, b))
        .or_else(|| lists(a, b))
        .unwrap_or_else(|| match (to_tree(a, ""), to_tree(b, "")) {
            (Ok(a), Ok(b)) => a == b,
            _ => false,
        })
}

fn lists(a: &Dynamic, b: &Dynamic) -> Option<bool> {
    match (a.read_lock::<Array>(), b.read_lock::<Array>()) {
        (Some(a), Some(b)) => {
            Some(a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(a, b)))
        }
        _ => None,
    }
}

/// A value as a script would write it, secrets redacted.
pub fn show(value: &Dynamic) -> String {
    if let Some(cluster) = value.read_lock::<ClusterValue>() {
        return written::cluster(cluster.spec());
    }
    if let Some(fleet) = value.read_lock::<super::FleetValue>() {
        let all: Vec<String> = fleet
            .clusters()
            .iter()
            .map(|cluster| written::cluster(cluster.spec()))
            .collect();
        return format!("fleet([{}])", all.join(", "));
    }
    if let Some(distribution) = value.read_lock::<DistributionValue>() {
        return distribution.text();
    }
    if let Some(provider) = value.read_lock::<ProviderValue>() {
        return written::call(provider.0.kind.name(), &provider.0.options);
    }
    if let Some(component) = value.read_lock::<ComponentValue>() {
        return written::component(&component.0);
    }
    if let Some(ruling) = value.read_lock::<RulingValue>() {
        return ruling.text();
    }
    if let Some(change) = value.read_lock::<ChangeValue>() {
        return change.text();
    }
    if let Some(matrix) = value.read_lock::<super::MatrixValue>() {
        return format!("matrix of {} cells", matrix.cells().len());
    }
    if let Ok(tree) = to_tree(value, "") {
        return tree.to_string();
    }
    if let Some(list) = value.read_lock::<Array>() {
        return format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", "));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let entries: Vec<String> = map
            .iter()
            .map(|(key, value)| format!("{key}: {}", show(value)))
            .collect();
        return format!("#{{ {} }}", entries.join(", "));
    }
    crate::script::kind(value)
}

/// The name in a value: that of a distribution, provider or component; a text as it is.
pub(super) fn name_of(value: &Dynamic) -> String {
    if let Some(distribution) = value.read_lock::<DistributionValue>() {
        let name = distribution.spec.kind.name();
        return distribution
            .kubernetes
            .as_ref()
            .map_or(name.to_string(), |version| format!("{name}-{version}"));
    }
    if let Some(provider) = value.read_lock::<ProviderValue>() {
        return provider.0.kind.name().to_string();
    }
    if let Some(component) = value.read_lock::<ComponentValue>() {
        return component.0.part.name().to_string();
    }
    if value.is_unit() {
        return "none".into();
    }
    match value.as_immutable_string_ref() {
        Ok(text) => text.to_string(),
        Err(_) => show(value),
    }
}
