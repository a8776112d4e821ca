//! People who follow their notifications on two instances, drop at random and go on from their cursor.
//! Promise: of each person's events every follower sees each one once, in order; and whenever the events pause, the last
//! count that was sent equals the query.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use support::{Client, Person, Socket, dice::Dice, postgres, process::Process, redis::redis};

const PEOPLE: usize = 20;
const FOLLOWERS: usize = 10;
/// Events of all people together in a second.
const PER_SECOND: u32 = 20;
const FOLLOW: &str =
    "subscription($after: Cursor) { notificationEvents(after: $after) { cursor unreadNotificationCount } }";
const COUNT: &str = "{ viewer { unreadNotificationCount } }";

/// What the followers saw between them.
#[derive(Default)]
struct Seen {
    events: AtomicU64,
    gaps: AtomicU64,
    repeats: AtomicU64,
    drops: AtomicU64,
    stopping: AtomicBool,
}

/// Where one follower stands.
#[derive(Default)]
struct Place {
    cursor: AtomicI64,
    count: AtomicI64,
}

/// Lets 200 of them follow for so many seconds. Whether nothing was missed, repeated or miscounted.
pub(crate) async fn run(seconds: u64) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let database = postgres::cluster().database().await;
    let redis = redis().url();
    let instances: Vec<Process> = (0..2)
        .map(|_| {
            Process::start(&[
                ("DATA_DIR", folder.path().display().to_string()),
                ("DATABASE_URL", database.clone()),
                ("REDIS_URL", redis.clone()),
                ("SECRET_KEY", "of both instances, and long enough".into()),
                ("LOG", "off".into()),
                ("ACCESS_TOKEN_LIFETIME", "1d".into()),
                ("REGISTER_LIMIT", "1000".into()),
                ("CODE_FAILURES", "1000".into()),
            ])
        })
        .collect();
    let ports: Vec<u16> = instances.iter().map(port).collect();
    let client = Client::new(&instances[0].address);
    let seen = Arc::<Seen>::default();
    let mut people = Vec::new();
    let mut following = Vec::new();
    for number in 0..PEOPLE {
        let person = client.register(&format!("Person{number}")).await;
        let places: Vec<Arc<Place>> = (0..FOLLOWERS).map(|_| Arc::default()).collect();
        for (index, place) in places.iter().enumerate() {
            let dice = Dice::new((number * FOLLOWERS + index) as u64 + 1);
            following.push(tokio::spawn(follow(person.clone(), ports.clone(), place.clone(), seen.clone(), dice)));
        }
        people.push((person, places));
    }
    let (made, checks, wrong) = make_events(&client, &people, seconds).await;
    seen.stopping.store(true, Ordering::Relaxed);
    for follower in following {
        follower.await.expect("it followed to the end");
    }
    let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (gaps, repeats) = (number(&seen.gaps), number(&seen.repeats));
    let ok = gaps == 0 && repeats == 0 && wrong == 0;
    println!(
        "subscribers: {} followers of {PEOPLE} people on two instances for {seconds} s, {made} events, {} received, {} drops: gaps {gaps}, \
         repeats {repeats}, badges that differed {wrong} of {checks}: {}",
        PEOPLE * FOLLOWERS,
        number(&seen.events),
        number(&seen.drops),
        if ok { "ok" } else { "FAILED" }
    );
    ok
}

fn port(process: &Process) -> u16 {
    process.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

/// Follows, drops after a while, and goes on from the cursor on either instance.
async fn follow(person: Person, ports: Vec<u16>, place: Arc<Place>, seen: Arc<Seen>, mut dice: Dice) {
    while !seen.stopping.load(Ordering::Relaxed) {
        let mut socket = Socket::open(ports[dice.roll(2) as usize]).await;
        let bearer = format!("Bearer {}", person.token);
        socket.send(json!({ "type": "connection_init", "payload": { "authorization": bearer } })).await;
        assert_eq!(socket.next().await["type"], "connection_ack");
        let after = place.cursor.load(Ordering::Relaxed);
        socket.subscribe("1", FOLLOW, json!({ "after": after.to_string() })).await;
        let until = tokio::time::Instant::now() + Duration::from_millis(200 + dice.roll(5_000));
        while let Ok(message) = tokio::time::timeout_at(until, socket.next_or_close()).await {
            let event = message.expect("the socket stays open")["payload"]["data"]["notificationEvents"].take();
            let cursor: i64 = event["cursor"].as_str().and_then(|text| text.parse().ok()).expect("a cursor");
            let last = place.cursor.load(Ordering::Relaxed);
            seen.events.fetch_add(1, Ordering::Relaxed);
            if cursor <= last {
                seen.repeats.fetch_add(1, Ordering::Relaxed);
            } else if cursor > last + 1 {
                seen.gaps.fetch_add(1, Ordering::Relaxed);
            }
            place.count.store(event["unreadNotificationCount"].as_i64().expect("a count"), Ordering::Relaxed);
            place.cursor.store(cursor, Ordering::Relaxed);
        }
        seen.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes events, and now and then pauses to compare. How many were made, compared, and differed.
async fn make_events(client: &Client, people: &[(Person, Vec<Arc<Place>>)], seconds: u64) -> (u64, u64, u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut made, mut checks, mut wrong) = (0, 0, 0);
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut turn = 0;
    while Instant::now() < end {
        for _ in 0..(PER_SECOND * 5) {
            tick.tick().await;
            let (person, _) = &people[turn % people.len()];
            turn += 1;
            // Completing a task for the first time notifies; every seventh act reads all of them.
            let act = if turn.is_multiple_of(7) {
                "mutation { notificationMarkAllRead { markedCount } }".to_owned()
            } else {
                let create = "mutation { taskCreate(input: { title: \"Done soon\" }) { task { id } } }";
                let task = client.graphql(Some(&person.token), create, json!({})).await;
                let id = task["data"]["taskCreate"]["task"]["id"].as_str().expect("a task").to_owned();
                format!("mutation {{ taskComplete(input: {{ id: \"{id}\" }}) {{ userErrors {{ code }} }} }}")
            };
            let acted = client.graphql(Some(&person.token), &act, json!({})).await;
            assert!(acted.get("errors").is_none(), "{acted}");
            made += 1;
        }
        for (person, places) in people {
            let answer = client.graphql(Some(&person.token), COUNT, json!({})).await;
            let count = answer["data"]["viewer"]["unreadNotificationCount"].as_i64().expect("a count");
            checks += places.len() as u64;
            wrong += differing(places, count).await;
        }
    }
    (made, checks, wrong)
}

/// How many followers do not show this count, having had time to come back and catch up.
async fn differing(places: &[Arc<Place>], count: i64) -> u64 {
    let began = Instant::now();
    loop {
        let off = places.iter().filter(|place| place.count.load(Ordering::Relaxed) != count).count() as u64;
        if off == 0 || began.elapsed() > Duration::from_secs(10) {
            return off;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
