//! Clusters by name: found, listed, switched on and off.

use crate::axis::{Axis, Provider};
use crate::diag::codes::run::{AMBIGUOUS_CLUSTER, NO_SUCH_CLUSTER};
use crate::diag::suggest;
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::step::Action;
use crate::world::{Reporter, Work, World};

/// Looks at every cluster of one provider, or of all.
pub async fn list(world: &dyn World, only: Option<Provider>) -> Result<Vec<Facts>> {
    gather(world, only, Depth::Asked).await
}

/// Finds every cluster of one provider, or of all, without asking any of them.
pub async fn glance(world: &dyn World, only: Option<Provider>) -> Result<Vec<Facts>> {
    gather(world, only, Depth::Glanced).await
}

/// How closely clusters are looked at.
#[derive(Clone, Copy)]
enum Depth {
    /// Their APIs are asked.
    Asked,
    /// They are found, and that is all.
    Glanced,
}

async fn gather(world: &dyn World, only: Option<Provider>, depth: Depth) -> Result<Vec<Facts>> {
    let mut all = Vec::new();
    for provider in Provider::ALL
        .iter()
        .filter(|provider| only.is_none_or(|only| only == **provider))
    {
        let platform = world.platform(*provider)?;
        all.extend(match depth {
            Depth::Asked => platform.list().await?,
            Depth::Glanced => platform.glance().await?,
        });
    }
    let deadlines = world.deadlines();
    for facts in &mut all {
        facts.expires = deadlines.read(&facts.context)?;
    }
    all.sort_by(|a, b| a.context.cmp(&b.context));
    Ok(all)
}

/// Finds a cluster by its name or context.
pub async fn find(world: &dyn World, name: &str, only: Option<Provider>) -> Result<Facts> {
    pick(&list(world, only).await?, name)
}

/// Finds the cluster that a name or context means among these.
pub fn pick(all: &[Facts], name: &str) -> Result<Facts> {
    let mut found: Vec<&Facts> = all.iter().filter(|facts| facts.context == name).collect();
    if found.is_empty() {
        found = all
            .iter()
            .filter(|facts| facts.name.as_str() == name)
            .collect();
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let near = suggest::nearest(name, all.iter().map(|facts| facts.name.as_str()));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`ksail cluster list` shows those there are".to_string(),
            };
            Err(Error::new(&NO_SUCH_CLUSTER, format!("there is no cluster `{name}`")).help(help))
        }
        several => {
            let contexts = suggest::one_of(several.iter().map(|facts| facts.context.as_str()));
            Err(Error::new(
                &AMBIGUOUS_CLUSTER,
                format!("several clusters are called `{name}`"),
            )
            .help(format!("name one by its context: {contexts}")))
        }
    }
}

/// Does one thing to a cluster, such as switching it on.
pub async fn act(
    world: &dyn World,
    facts: &Facts,
    action: &Action,
    report: &Reporter,
) -> Result<()> {
    let platform = world.platform(facts.provider)?;
    platform.can(action)?;
    let _guard = world.memory().lock(&facts.context).await?;
    let cancel = tokio_util::sync::CancellationToken::new();
    let work = Work {
        name: &facts.name,
        context: &facts.context,
        spec: None,
        action,
        report,
        cancel: &cancel,
    };
    platform.perform(&work).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::{BoxFuture, FutureExt as _};

    use super::*;
    use crate::axis::Distribution;
    use crate::spec::{ClusterName, Spec};
    use crate::world::{Access, Contexts, Deadlines, Memory, Platform};

    /// A world where each of these providers has a cluster of one name.
    struct Twins(&'static [Provider]);

    struct Twin(Option<Provider>);

    impl World for Twins {
        fn platform(&self, provider: Provider) -> Result<Arc<dyn Platform>> {
            Ok(Arc::new(Twin(
                self.0.contains(&provider).then_some(provider),
            )))
        }

        fn contexts(&self) -> Arc<dyn Contexts> {
            unreachable!("finding a cluster reads no kubeconfig")
        }

        fn memory(&self) -> Arc<dyn Memory> {
            unreachable!("finding a cluster remembers nothing")
        }

        fn deadlines(&self) -> Arc<dyn Deadlines> {
            Arc::new(Never)
        }
    }

    struct Never;

    impl Deadlines for Never {
        fn read(&self, _: &str) -> Result<Option<u64>> {
            Ok(None)
        }

        fn set<'a>(
            &'a self,
            _: &'a str,
            _: Option<std::time::Duration>,
        ) -> BoxFuture<'a, Result<()>> {
            async { Ok(()) }.boxed()
        }

        fn keep(&self) -> Result<()> {
            Ok(())
        }
    }

    impl Platform for Twin {
        fn observe<'a>(
            &'a self,
            _: &'a str,
            _: &'a ClusterName,
            _: Option<&'a Spec>,
        ) -> BoxFuture<'a, Result<Option<Facts>>> {
            async { Ok(None) }.boxed()
        }

        fn list(&self) -> BoxFuture<'_, Result<Vec<Facts>>> {
            let facts = self.0.map(|provider| {
                let (name, context) = (
                    ClusterName::parse("dev").unwrap(),
                    format!("{}-dev", provider.name()),
                );
                Facts::unseen(&name, &context, Distribution::K3s, provider)
            });
            async { Ok(facts.into_iter().collect()) }.boxed()
        }

        fn makes(&self, _: Distribution) -> Result<()> {
            Ok(())
        }

        fn can(&self, _: &Action) -> Result<()> {
            Ok(())
        }

        fn perform<'a>(&'a self, _: &'a Work<'a>) -> BoxFuture<'a, Result<()>> {
            async { Ok(()) }.boxed()
        }

        fn kubeconfig<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Access>> {
            unreachable!("finding a cluster connects to none")
        }
    }

    #[tokio::test]
    async fn a_name_that_two_have_wants_the_context() {
        let world = Twins(&[Provider::Docker, Provider::Embedded]);
        let error = find(&world, "dev", None).await.unwrap_err();
        assert_eq!(error.code().id, "E0507");
        assert!(error.helps().join("").contains("embedded-dev"), "{error:?}");
        let found = find(&world, "docker-dev", None).await.unwrap();
        assert_eq!(found.provider, Provider::Docker);
        let found = find(&world, "dev", Some(Provider::Embedded)).await.unwrap();
        assert_eq!(found.provider, Provider::Embedded);
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_names_the_nearest() {
        let world = Twins(&[Provider::Embedded]);
        let error = find(&world, "dve", None).await.unwrap_err();
        assert_eq!(error.code().id, "E0506");
        assert!(error.helps().join("").contains("`dev`"), "{error:?}");
    }
}
