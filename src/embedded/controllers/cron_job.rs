//! Cron jobs: a job whenever the clock says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, Zoned, tz::TimeZone};
use serde_json::{Value, json};

use super::owned::{is_going, is_of, number, owner_key, owner_reference, set_status, text};
use super::{Context, Controller, Event, Next};
use crate::embedded::api::registry::Kind;
use crate::embedded::api::status::Status;
use crate::embedded::reach::Reach as _;
use crate::embedded::store::{Change, Object};
use crate::embedded::write::{self, Deletion, Options, Propagation};

const NAME: &str = "cronjob-controller";

/// The controller.
pub(super) struct CronJobs;

impl Controller for CronJobs {
    fn sources(&self) -> &'static [(&'static str, &'static str)] {
        &[("batch", "cronjobs"), ("batch", "jobs")]
    }

    fn keys(&mut self, _: &Context, source: usize, change: &Change) -> Vec<String> {
        match source {
            0 => vec![change.object.key().to_owned()],
            _ => owner_key(&change.object, "CronJob").into_iter().collect(),
        }
    }

    async fn reconcile(&mut self, context: &Context, key: &str) -> Result<Next, Status> {
        let kind = context.kind("batch", "cronjobs")?;
        let jobs = context.kind("batch", "jobs")?;
        let Some(object) = context.find(&kind, key) else {
            return Ok(Next::Done);
        };
        let value = object.value();
        if is_going(&value) {
            return Ok(Next::Done);
        }
        let own: Vec<Arc<Object>> = context
            .server
            .list(&jobs, object.namespace())
            .objects
            .into_iter()
            .filter(|job| is_of(job, object.uid()))
            .collect();
        clean_up(context, &jobs, &value, &own).await?;
        let (last, next) = run_due(context, &kind, &jobs, &object, &own).await?;
        tell(context, &kind, &jobs, &object, last).await?;
        Ok(next.map_or(Next::Done, Next::After))
    }
}

fn is_finished(job: &Object, kind: &str) -> bool {
    let value = job.value();
    let conditions = value.reach("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| text(condition, "/type") == kind && text(condition, "/status") == "True")
}

/// Starts the job that is due; says when it was and how long until the next.
async fn run_due(
    context: &Context,
    kind: &Kind,
    jobs: &Kind,
    object: &Object,
    own: &[Arc<Object>],
) -> Result<(Option<Timestamp>, Option<Duration>), Status> {
    let value = object.value();
    if value.reach("/spec/suspend") == Some(&Value::Bool(true)) {
        return Ok((None, None));
    }
    let zone = match text(&value, "/spec/timeZone") {
        "" => TimeZone::UTC,
        name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    };
    let Some(schedule) = Schedule::parse(text(&value, "/spec/schedule")) else {
        let event = Event::warning(
            NAME,
            "UnparseableSchedule",
            format!("Unparseable schedule: {}", text(&value, "/spec/schedule")),
        );
        event.tell(context, kind, object).await;
        return Ok((None, None));
    };
    let now = Timestamp::now();
    let from = text(&value, "/status/lastScheduleTime").parse::<Timestamp>();
    let from = from.or_else(|_| text(&value, "/metadata/creationTimestamp").parse());
    let from = from.unwrap_or(now);
    let mut due = None;
    let mut at = from;
    // The latest missed time counts; more than a hundred missed ones are not gone through.
    for _ in 0..100 {
        match schedule.after(at, &zone) {
            Some(next) if next <= now => {
                due = Some(next);
                at = next;
            }
            _ => break,
        }
    }
    let until = |from: Timestamp| {
        let next = schedule.after(from, &zone)?;
        let wait = next.duration_since(Timestamp::now());
        Duration::try_from(wait)
            .ok()
            .map(|wait| wait + Duration::from_millis(20))
    };
    let Some(due) = due else {
        return Ok((None, until(now)));
    };
    let limit = value
        .reach("/spec/startingDeadlineSeconds")
        .and_then(Value::as_i64);
    if limit.is_some_and(|limit| now.as_second() - due.as_second() > limit) {
        return Ok((None, until(now)));
    }
    let active: Vec<&Arc<Object>> = own
        .iter()
        .filter(|job| !is_finished(job, "Complete") && !is_finished(job, "Failed"))
        .collect();
    let options = Options::controller(NAME);
    match text(&value, "/spec/concurrencyPolicy") {
        "Forbid" if !active.is_empty() => return Ok((None, until(now))),
        "Replace" => {
            for job in active {
                let deletion = Deletion::with(Propagation::Background);
                let (namespace, name) = (job.namespace(), job.name());
                context
                    .server
                    .delete(jobs, namespace, name, &deletion, &options)
                    .await?;
            }
        }
        _ => {}
    }
    let name = format!("{}-{}", object.name(), due.as_second() / 60);
    let template = value
        .reach("/spec/jobTemplate")
        .cloned()
        .unwrap_or_default();
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": template.get("metadata").cloned().unwrap_or_else(|| json!({})),
        "spec": template.get("spec").cloned().unwrap_or_default(),
    });
    json_patch::merge(
        &mut job,
        &json!({"metadata": {
            "name": name, "ownerReferences": [owner_reference(kind, &value)],
            "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": write::time(due)},
        }}),
    );
    match context
        .server
        .create(jobs, object.namespace(), job, &options)
        .await
    {
        Err(status) if status.reason != "AlreadyExists" => return Err(status),
        Err(_) => {}
        Ok(_) => {
            let event = Event::normal(NAME, "SuccessfulCreate", format!("Created job {name}"));
            event.tell(context, kind, object).await;
        }
    }
    Ok((Some(due), until(now)))
}

async fn clean_up(
    context: &Context,
    jobs: &Kind,
    value: &Value,
    own: &[Arc<Object>],
) -> Result<(), Status> {
    let options = Options::controller(NAME);
    for (kind, limit) in [
        ("Complete", "successfulJobsHistoryLimit"),
        ("Failed", "failedJobsHistoryLimit"),
    ] {
        let Some(limit) = value
            .reach(&format!("/spec/{limit}"))
            .and_then(Value::as_u64)
        else {
            continue;
        };
        let mut done: Vec<&Arc<Object>> = own.iter().filter(|job| is_finished(job, kind)).collect();
        done.sort_by_key(|job| text(&job.value(), "/status/startTime").to_owned());
        let surplus = done
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for job in done.iter().take(surplus) {
            let deletion = Deletion::with(Propagation::Background);
            let (namespace, name) = (job.namespace(), job.name());
            context
                .server
                .delete(jobs, namespace, name, &deletion, &options)
                .await?;
        }
    }
    Ok(())
}

async fn tell(
    context: &Context,
    kind: &Kind,
    jobs: &Kind,
    object: &Object,
    last: Option<Timestamp>,
) -> Result<(), Status> {
    let value = object.value();
    let uid = text(&value, "/metadata/uid");
    let listing = context.server.list(jobs, object.namespace());
    let own: Vec<&Arc<Object>> = listing
        .objects
        .iter()
        .filter(|job| is_of(job, uid))
        .collect();
    let active: Vec<Value> = own
        .iter()
        .filter(|job| !is_finished(job, "Complete") && !is_finished(job, "Failed"))
        .map(|job| {
            json!({
                "apiVersion": "batch/v1", "kind": "Job", "namespace": job.namespace(), "name": job.name(),
                "uid": text(&job.value(), "/metadata/uid"), "resourceVersion": job.revision().to_string(),
            })
        })
        .collect();
    let mut status = json!({"active": if active.is_empty() { Value::Null } else { active.into() }});
    if let Some(last) = last {
        json_patch::merge(&mut status, &json!({"lastScheduleTime": write::time(last)}));
        // A null in a merge takes the field out of the status it is merged into, which is what is meant.
        if own
            .iter()
            .all(|job| is_finished(job, "Complete") || is_finished(job, "Failed"))
            && let Some(status) = status.as_object_mut()
        {
            status.insert("active".to_owned(), Value::Null);
        }
    }
    let succeeded = own
        .iter()
        .filter(|job| is_finished(job, "Complete"))
        .map(|job| text(&job.value(), "/status/completionTime").to_owned())
        .max();
    if let (Some(at), Some(status)) = (succeeded, status.as_object_mut()) {
        status.insert("lastSuccessfulTime".to_owned(), at.into());
    }
    let _ = number(&value, "/metadata/generation");
    set_status(context, kind, object, status, NAME).await
}

/// Five fields of a crontab.
pub(in crate::embedded) struct Schedule {
    minutes: BTreeSet<i8>,
    hours: BTreeSet<i8>,
    days: BTreeSet<i8>,
    months: BTreeSet<i8>,
    weekdays: BTreeSet<i8>,
    any_day: bool,
    any_weekday: bool,
}

impl Schedule {
    /// Reads a schedule, also the short names such as `@daily`.
    pub(in crate::embedded) fn parse(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// The same; says what is wrong as the real server does.
    pub(in crate::embedded) fn read(text: &str) -> Result<Self, String> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            let (found, all) = (fields.len(), fields.join(" "));
            return Err(format!("expected exactly 5 fields, found {found}: [{all}]"));
        };
        const MONTHS: &[&str] = &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ];
        const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        let mut weekday = field(weekdays, 0, 7, DAYS, 0)?;
        if weekday.remove(&7) {
            weekday.insert(0);
        }
        Ok(Self {
            minutes: field(minutes, 0, 59, &[], 0)?,
            hours: field(hours, 0, 23, &[], 0)?,
            days: field(days, 1, 31, &[], 0)?,
            months: field(months, 1, 12, MONTHS, 1)?,
            weekdays: weekday,
            any_day: days.starts_with(['*', '?']),
            any_weekday: weekdays.starts_with(['*', '?']),
        })
    }

    fn takes_day(&self, at: &Zoned) -> bool {
        let day = self.days.contains(&at.day());
        let weekday = self
            .weekdays
            .contains(&at.weekday().to_sunday_zero_offset());
        let fits = if self.any_day || self.any_weekday {
            day && weekday
        } else {
            day || weekday
        };
        self.months.contains(&at.month()) && fits
    }

    /// The first time after a moment; `None` if there is none within some years.
    pub(in crate::embedded) fn after(&self, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let from = Timestamp::from_second((from.as_second().div_euclid(60) + 1) * 60).ok()?;
        let mut at = from.to_zoned(zone.clone());
        for _ in 0..366 * 8 {
            if self.takes_day(&at) {
                let day = at.day();
                while at.day() == day {
                    if self.hours.contains(&at.hour()) && self.minutes.contains(&at.minute()) {
                        return Some(at.timestamp());
                    }
                    at = at.checked_add(1.minute()).ok()?;
                }
            } else {
                at = at.tomorrow().ok()?.start_of_day().ok()?;
            }
        }
        None
    }
}

fn field(text: &str, low: i8, high: i8, names: &[&str], first: i8) -> Result<BTreeSet<i8>, String> {
    let value = |word: &str| {
        let lower = word.to_lowercase();
        match names.iter().position(|name| *name == lower) {
            Some(at) => Ok(i64::try_from(at).unwrap_or(0) + i64::from(first)),
            None => whole(word),
        }
    };
    let mut set = BTreeSet::new();
    for part in text.split(',') {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        if step.contains('/') {
            return Err(format!("too many slashes: {part}"));
        }
        let (from, to) = match range {
            "*" | "?" => (i64::from(low), i64::from(high)),
            range => match range.split_once('-') {
                Some((_, to)) if to.contains('-') => {
                    return Err(format!("too many hyphens: {part}"));
                }
                Some((from, to)) => (value(from)?, value(to)?),
                None if part.contains('/') => (value(range)?, i64::from(high)),
                None => (value(range)?, value(range)?),
            },
        };
        let step = whole(step)?;
        if from < i64::from(low) {
            return Err(format!(
                "beginning of range ({from}) below minimum ({low}): {part}"
            ));
        }
        if to > i64::from(high) {
            return Err(format!(
                "end of range ({to}) above maximum ({high}): {part}"
            ));
        }
        if from > to {
            return Err(format!(
                "beginning of range ({from}) beyond end of range ({to}): {part}"
            ));
        }
        let Some(step) = usize::try_from(step).ok().filter(|step| *step > 0) else {
            return Err(format!("step of range should be a positive number: {part}"));
        };
        // Within the bounds, so that it fits.
        let each = (from..=to).step_by(step);
        set.extend(each.filter_map(|number| i8::try_from(number).ok()));
    }
    Ok(set)
}

fn whole(word: &str) -> Result<i64, String> {
    match word.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {word}")),
        Ok(number) => Ok(number),
        Err(_) => Err(format!(
            "failed to parse int from {word}: strconv.Atoi: parsing {word:?}: invalid syntax"
        )),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::TimeZone};
    use proptest::prelude::*;

    use super::Schedule;

    fn next(schedule: &str, from: &str) -> String {
        let from: Timestamp = from.parse().unwrap();
        let schedule = Schedule::parse(schedule).unwrap();
        schedule.after(from, &TimeZone::UTC).unwrap().to_string()
    }

    #[test]
    fn finds_the_next_time() {
        let from = "2026-01-31T10:07:30Z";
        for (schedule, expected) in [
            ("* * * * *", "2026-01-31T10:08:00Z"),
            ("*/15 * * * *", "2026-01-31T10:15:00Z"),
            ("0 9 * * mon-fri", "2026-02-02T09:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@monthly", "2026-02-01T00:00:00Z"),
            ("30 6 1,15 * 3", "2026-02-01T06:30:00Z"),
        ] {
            assert_eq!(next(schedule, from), expected, "{schedule}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (schedule, expected) in [
            ("99 * * * *", "end of range (99) above maximum (59): 99"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            (
                "9-5 * * * *",
                "beginning of range (9) beyond end of range (5): 9-5",
            ),
            (
                "*/0 * * * *",
                "step of range should be a positive number: */0",
            ),
            ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ] {
            assert_eq!(Schedule::read(schedule).err().as_deref(), Some(expected));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".{0,30}") {
            let _ = Schedule::parse(&text);
        }
    }
}
