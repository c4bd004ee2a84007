//! Refresh with more and more sessions, and what each of them takes in Redis.

use countersign::password::HashParameters;

use super::Effort;
use super::refresh::{CALLERS, CONFIGURATION, REFRESH, Refresher};
use super::verify_cached::CONNECTIONS;
use super::verify_growth::{powers_of_ten, series};
use crate::figures::{Curve, Figure, Goal, Outcome, Spread, number};
use crate::load::{Connections, Tally, Target, count, cpu, in_turn, rate};
use crate::stores::Backed;

pub(crate) async fn measure(effort: Effort) -> Option<Outcome> {
    let numbers = powers_of_ten(1000, effort.largest);
    let (mut worlds, mut targets, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for &sessions in &numbers {
        let backed = Backed::prepare("refresh_growth", &CONFIGURATION).await?;
        backed.create_users(sessions, HashParameters::default()).await;
        let before = used_memory(&backed);
        let filled = backed.fill_sessions(sessions).await;
        bytes = count(used_memory(&backed) - before) / count(sessions);
        let service = backed.deployment.start();
        let connections = Connections::open(service.grpc, REFRESH, CONNECTIONS).await;
        let callers = Refresher::callers(&filled.held, CALLERS);
        targets.push(Target::new(service.pid(), connections, callers));
        worlds.push((backed, service));
    }
    let rounds = in_turn(&mut targets, effort).await;
    let last = numbers.len() - 1;
    let (few, many) = (number(count(numbers[0])), number(count(numbers[last])));
    let points = |of: &dyn Fn(&[Tally]) -> Spread| -> Vec<_> {
        numbers.iter().zip(&rounds).map(|(number, rounds)| (count(*number), of(rounds))).collect()
    };
    let curve = |name: &str, unit: &str, points| Curve {
        name: name.to_owned(),
        title: "Refresh with more and more sessions".to_owned(),
        of: "sessions".to_owned(),
        unit: unit.to_owned(),
        series: vec![series("Refresh", points)],
    };
    let speed = Spread::of_ratios(&rate(&rounds[last]), &rate(&rounds[0]));
    let cost = Spread::of_ratios(&cpu(&rounds[last]), &cpu(&rounds[0]));
    Some(
        Outcome::of([
            Figure::new(format!("Refresh calls/s with {many} sessions ÷ with {few}"), speed, "", Goal::AtLeast(0.9)),
            Figure::informative(format!("· server CPU with {many} ÷ with {few}"), cost, ""),
            Figure::new(
                format!("Redis memory for a session, index included, with {many}"),
                Spread::of([bytes]),
                "bytes",
                Goal::AtMost(300.0),
            ),
        ])
        .with_curve(curve("refresh_sessions_rate", "calls/s", points(&|rounds| Spread::of(rate(rounds)))))
        .with_curve(curve(
            "refresh_sessions_cpu",
            "µs of server CPU for a call",
            points(&|rounds| Spread::of(cpu(rounds))),
        ))
        .noting(
            "As many users in PostgreSQL as sessions in Redis, one session each; a process, a database and a Redis of \
             their own for each number. `used_memory` before and after.",
        ),
    )
}

fn used_memory(backed: &Backed) -> u64 {
    let memory = backed.redis.cli(&["INFO", "memory"]);
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    used.trim().parse().unwrap()
}
