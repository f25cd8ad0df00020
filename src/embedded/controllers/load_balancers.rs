//! Addresses of services of type LoadBalancer, so that what waits for one need not wait for ever.
//!
//! An address is chosen from the service's uid, so that it stays the same; a service that names a class of load balancer
//! is left to whoever serves that class.

use serde_json::{Value, json};

use super::owned::{is_going, set_status, text};
use super::{Context, Controller, Event, Next};
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::Change;

const NAME: &str = "service-controller";

/// The controller.
pub(super) struct LoadBalancers;

impl Controller for LoadBalancers {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("", "services")]
    }

    fn keys(&mut self, _: &Context, _: usize, change: &Change) -> Vec<String> {
        let was_one = |value: &Value| text(value, "/spec/type") == "LoadBalancer";
        let before = change
            .before
            .as_ref()
            .is_some_and(|old| was_one(&old.value()));
        match before || was_one(&change.object.value()) {
            true => vec![change.object.key().to_owned()],
            false => Vec::new(),
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("", "services")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        if is_going(&value) || value.reach("/spec/loadBalancerClass").is_some() {
            return Ok(Next::Done);
        }
        let has = value.reach("/status/loadBalancer/ingress/0").is_some();
        match (text(&value, "/spec/type") == "LoadBalancer", has) {
            (true, false) => {
                let address = match text(&value, "/spec/loadBalancerIP") {
                    "" => address_of(text(&value, "/metadata/uid")),
                    wanted => wanted.to_owned(),
                };
                let ingress = json!([{"ip": address, "ipMode": "VIP"}]);
                let status = json!({"loadBalancer": {"ingress": ingress}});
                set_status(context, &kind, &object, status, NAME).await?;
                let event = Event::normal(
                    NAME,
                    "EnsuredLoadBalancer",
                    "Ensured load balancer".to_owned(),
                );
                event.tell(context, &kind, &object).await;
            }
            (false, true) => {
                let status = json!({"loadBalancer": {"ingress": null}});
                set_status(context, &kind, &object, status, NAME).await?;
            }
            _ => {}
        }
        Ok(Next::Done)
    }
}

/// An address out of 172.18.128.0/17, the same for the same text.
fn address_of(uid: &str) -> String {
    let mut sum = 0x811c_9dc5_u32;
    for byte in uid.bytes() {
        sum = (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let [_, _, high, low] = sum.to_be_bytes();
    format!("172.18.{}.{}", high | 0x80, low.clamp(1, 254))
}

#[cfg(test)]
mod tests {
    use super::address_of;

    #[test]
    fn addresses_stay_the_same_and_differ() {
        assert_eq!(address_of("a"), address_of("a"));
        assert_ne!(address_of("a"), address_of("b"));
    }
}
