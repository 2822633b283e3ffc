//! The laws of what became known of a key's events, and of the accounts that share a key.

#![expect(clippy::unwrap_used, reason = "a test stops on an error")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rust_decimal::Decimal;
use velocity::{
    Aggregate, Function, KeyEvent, KeyKind, LARGEST_PROFILE, Layout, LinkWalk, MOST_FRAUDS,
    MOST_PARTNERS, PartnerKey, Profile, SlotId, Window,
};

const DAY: i64 = 24 * 3_600_000;
/// 2026-06-01, a whole day.
const START: i64 = 20_605 * DAY;

fn aggregate(function: Function, window: &str) -> Aggregate {
    Aggregate {
        function,
        condition: None,
        window: window.parse().ok(),
    }
}

fn layout_of(kind: KeyKind) -> Layout {
    let aggregates = vec![
        aggregate(Function::Fraud, "30d"),
        aggregate(Function::FraudRate, "30d"),
    ];
    Layout::new(kind, vec![], vec![], vec![], aggregates).unwrap()
}

fn event(id: u32, day: i64) -> KeyEvent {
    KeyEvent {
        id,
        time: START + day * DAY,
        revision: (1, 0),
        ..KeyEvent::default()
    }
}

fn texts(layout: &Layout, profiles: &[&Profile], event: &KeyEvent) -> Vec<String> {
    let values = layout.values_before(profiles, event).into_iter();
    values
        .map(|value| value.map(|value| value.to_string()).unwrap_or_default())
        .collect()
}

/// Through the binary form and back.
fn stored(layout: &Layout, profile: &mut Profile) -> Profile {
    Profile::from_bytes(layout, &profile.to_bytes(layout)).unwrap()
}

#[test]
fn a_fraud_counts_from_when_it_became_known_and_not_from_when_it_happened() {
    let layout = layout_of(KeyKind::Profile);
    let mut profile = Profile::default();
    profile.add(&layout, &event(1, 0));
    profile.add(&layout, &event(2, 50));
    assert!(profile.set_fraud(&layout, 1, Some(START + 45 * DAY), None));
    assert!(!profile.set_fraud(&layout, 1, Some(START + 45 * DAY), None));
    let profile = stored(&layout, &mut profile);
    for (day, want) in [
        (44, ["0", ""]),  // not known yet, and no order within the window
        (45, ["0", ""]),  // known at the same moment
        (46, ["1", "1"]), // the order itself lies before the window
        (60, ["1", "1"]), // one order and one fraud
        (75, ["1", "1"]), // the window begins when it became known
        (76, ["0", "0"]), // known too long ago; one order
        (90, ["0", ""]),
    ] {
        assert_eq!(
            texts(&layout, &[&profile], &event(9, day)),
            want,
            "day {day}"
        );
    }
    let own = texts(&layout, &[&profile], &event(1, 60));
    assert_eq!(own, ["0", "0"], "an order does not see its own label");
}

#[test]
fn an_order_that_was_taken_out_leaves_no_fraud() {
    let layout = layout_of(KeyKind::Profile);
    let mut profile = Profile::default();
    profile.add(&layout, &event(1, 0));
    profile.set_fraud(&layout, 1, Some(START + DAY), None);
    assert!(profile.take_out(&layout, 1, (2, 0), &[]));
    assert_eq!(texts(&layout, &[&profile], &event(9, 2)), ["0", ""]);
    // The label comes once more, from one who read the first revision.
    assert!(!profile.set_fraud(&layout, 1, Some(START + DAY), None));
    assert_eq!(texts(&layout, &[&profile], &event(9, 2)), ["0", ""]);
}

#[test]
fn frauds_of_a_hub_and_of_several_keys_count_once() {
    let hub = layout_of(KeyKind::Hub);
    let mut shards = vec![Profile::default(); hub.shards() as usize];
    for id in 0..20 {
        let shard = &mut shards[hub.shard_of(id) as usize];
        shard.add(&hub, &event(id, 0));
        shard.set_fraud(&hub, id, (id % 2 == 0).then_some(START + DAY), None);
    }
    let shards: Vec<&Profile> = shards.iter().collect();
    assert_eq!(texts(&hub, &shards, &event(99, 2)), ["10", "0.5"]);

    let layout = layout_of(KeyKind::Profile);
    let mut profile = Profile::default();
    profile.add(&layout, &event(1, 0));
    profile.set_fraud(&layout, 1, Some(START + DAY), None);
    let both = [&profile, &profile.clone()];
    assert_eq!(texts(&layout, &both, &event(9, 2)), ["1", "1"]);
}

#[test]
fn of_many_frauds_those_known_last_are_kept() {
    let layout = layout_of(KeyKind::Profile);
    let mut profile = Profile::default();
    for id in 0..1_000 {
        profile.set_fraud(&layout, id, Some(START + i64::from(id) * 1_000), None);
    }
    assert!(profile.to_bytes(&layout).len() < LARGEST_PROFILE);
    let most = MOST_FRAUDS.to_string();
    assert_eq!(
        texts(&layout, &[&profile], &event(9_999, 1)),
        [most, "1".to_owned()]
    );
}

proptest! {
    /// Orders and labels in any order of arrival, labels that are taken back, each change once or twice: the result is that of
    /// the last word on each order.
    #[test]
    fn the_last_word_on_each_order_counts(
        changes in prop::collection::vec((0_u32..30, prop::option::of(0_i64..60), 1_usize..3), 0..80),
        orders in prop::collection::vec((0_u32..30, 0_i64..60), 0..40),
        day in 0_i64..70,
        orders_first in any::<bool>(),
    ) {
        let layout = layout_of(KeyKind::Profile);
        let mut profile = Profile::default();
        let add_all = |profile: &mut Profile| for (id, day) in &orders {
            profile.add(&layout, &event(*id, *day));
        };
        if orders_first { add_all(&mut profile); }
        let mut last: BTreeMap<u32, Option<i64>> = BTreeMap::new();
        for (id, known, times) in changes {
            for _ in 0..times {
                profile.set_fraud(&layout, id, known.map(|day| START + day * DAY), None);
            }
            last.insert(id, known);
        }
        if !orders_first { add_all(&mut profile); }
        let profile = stored(&layout, &mut profile);
        let known = last.values().flatten().filter(|known| (day - 30..day).contains(*known)).count();
        let first_of: BTreeMap<u32, i64> = orders.iter().rev().copied().collect();
        let happened = first_of.values().filter(|it| (day - 30..=day).contains(*it)).count();
        let got = texts(&layout, &[&profile], &event(99, day));
        prop_assert_eq!(&got[0], &known.to_string());
        let want = Decimal::from(known).checked_div(Decimal::from(happened.max(known)));
        let want = want.map(|rate| rate.round_dp(4).normalize().to_string());
        prop_assert_eq!(&got[1], &want.unwrap_or_default());
    }

    /// A walk over stored profiles finds the accounts that a search over all orders finds.
    #[test]
    fn a_walk_finds_whom_a_search_over_all_orders_finds(
        orders in prop::collection::vec((0_u8..8, 0_u8..6, 0_u8..6), 1..30),
        frauds in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut world = World::default();
        for (id, (account, card, device)) in (0..).zip(&orders) {
            world.order(id, *account, &[(CARD, *card), (DEVICE, *device)]);
        }
        let frauds: BTreeSet<usize> = frauds.iter().map(|it| it.index(orders.len())).collect();
        for at in &frauds {
            let (account, card, device) = orders[*at];
            let id = u32::try_from(*at).unwrap();
            world.label(id, account, &[(CARD, card), (DEVICE, device)]);
        }
        let (account, card, device) = orders[orders.len() - 1];
        let walk = world.walk(account, &[(CARD, card), (DEVICE, device)]);
        let sharing = |accounts: &BTreeSet<u8>| -> BTreeSet<u8> {
            let theirs = orders.iter().filter(|it| accounts.contains(&it.0));
            let keys: BTreeSet<(bool, u8)> = theirs.flat_map(|it| [(true, it.1), (false, it.2)]).collect();
            let all = orders.iter().filter(|it| keys.contains(&(true, it.1)) || keys.contains(&(false, it.2)));
            all.map(|it| it.0).collect()
        };
        let at_order = orders.iter().filter(|it| it.1 == card || it.2 == device);
        let mut direct: BTreeSet<u8> = at_order.map(|it| it.0).collect();
        direct.remove(&account);
        let mut within_two = sharing(&direct);
        within_two.extend(&direct);
        within_two.remove(&account);
        prop_assert_eq!(walk.accounts(1), direct.len());
        prop_assert_eq!(walk.accounts(2), within_two.len());
        let bad: BTreeSet<u8> = frauds.iter().map(|at| orders[*at].0).collect();
        prop_assert_eq!(walk.frauds(1), direct.intersection(&bad).count());
        prop_assert_eq!(walk.hubs().count(), 0);
    }
}

const ACCOUNT: &str = "account";
const CARD: &str = "card";
const DEVICE: &str = "device";

fn partner(kind: &str, value: u8) -> PartnerKey {
    PartnerKey {
        kind: SlotId::of(kind),
        hash: [value + 1; velocity::KEY_HASH],
    }
}

/// The profiles of all keys.
#[derive(Default)]
struct World {
    profiles: BTreeMap<PartnerKey, Profile>,
}

impl World {
    fn layout() -> Layout {
        let layout = Layout::new(KeyKind::Profile, vec![], vec![], vec![], vec![]);
        layout.unwrap().with_partners().unwrap()
    }

    fn change<T>(&mut self, key: PartnerKey, change: impl Fn(&mut Profile) -> T) {
        let profile = self.profiles.entry(key).or_default();
        change(profile);
        *profile = stored(&Self::layout(), profile);
    }

    fn order(&mut self, id: u32, account: u8, keys: &[(&str, u8)]) {
        let account = partner(ACCOUNT, account);
        let keys: Vec<PartnerKey> = keys
            .iter()
            .map(|(kind, value)| partner(kind, *value))
            .collect();
        let with = |partners: Vec<PartnerKey>| KeyEvent {
            partners,
            ..event(id, i64::from(id))
        };
        for key in &keys {
            self.change(*key, |it| it.add(&Self::layout(), &with(vec![account])));
        }
        self.change(account, |it| it.add(&Self::layout(), &with(keys.clone())));
    }

    fn label(&mut self, id: u32, account: u8, keys: &[(&str, u8)]) {
        let account = partner(ACCOUNT, account);
        let keys = keys.iter().map(|(kind, value)| partner(kind, *value));
        for key in keys.chain([account]) {
            let known = Some(START + 40 * DAY);
            self.change(key, |it| {
                it.set_fraud(&Self::layout(), id, known, Some(account))
            });
        }
    }

    /// Walks as the pipeline does, for an order of day 50.
    fn walk(&self, account: u8, keys: &[(&str, u8)]) -> LinkWalk {
        let keys: Vec<PartnerKey> = keys
            .iter()
            .map(|(kind, value)| partner(kind, *value))
            .collect();
        let mut walk = LinkWalk::new(Some(partner(ACCOUNT, account)), &keys, START + 50 * DAY);
        let nothing = Profile::default();
        let profile = |key: &PartnerKey| self.profiles.get(key).unwrap_or(&nothing);
        for key in walk.keys_of_step(1).collect::<Vec<_>>() {
            walk.add_shared_key(key, profile(&key));
        }
        for account in walk.direct_accounts().collect::<Vec<_>>() {
            walk.add_account(account, profile(&account));
        }
        for key in walk.keys_of_step(2).collect::<Vec<_>>() {
            walk.add_shared_key(key, profile(&key));
        }
        walk
    }
}

#[test]
fn a_key_that_very_many_share_ends_the_walk() {
    let mut world = World::default();
    let many = u8::try_from(MOST_PARTNERS).unwrap();
    for account in 0..many {
        world.order(account.into(), account, &[(DEVICE, 1), (CARD, account)]);
    }
    world.order(100, 200, &[(CARD, 0), (DEVICE, 2)]);
    let walk = world.walk(200, &[(CARD, 0), (DEVICE, 2)]);
    assert_eq!((walk.accounts(1), walk.accounts(2)), (1, 1));
    assert_eq!(walk.hubs().collect::<Vec<_>>(), [SlotId::of(DEVICE)]);
    assert_eq!(walk.through().collect::<Vec<_>>(), [(SlotId::of(CARD), 1)]);
    assert_eq!(walk.youngest(1), Some(50 * DAY));
    assert_eq!(world.walk(201, &[(CARD, 222)]).youngest(2), None);
}

#[test]
fn a_partner_goes_with_its_last_order() {
    let layout = World::layout();
    let account = partner(ACCOUNT, 1);
    let mut profile = Profile::default();
    for id in 1..=2 {
        let order = KeyEvent {
            partners: vec![account],
            ..event(id, 1)
        };
        profile.add(&layout, &order);
    }
    let accounts = |profile: &Profile| {
        let key = partner(CARD, 1);
        let mut walk = LinkWalk::new(None, &[key], START + 9 * DAY);
        walk.add_shared_key(key, profile);
        walk.accounts(1)
    };
    assert!(profile.take_out(&layout, 1, (2, 0), &[account]));
    assert_eq!(accounts(&profile), 1);
    assert!(!profile.take_out(&layout, 1, (2, 0), &[account]));
    let mut forgotten = profile.clone();
    assert!(profile.take_out(&layout, 2, (2, 0), &[account]));
    assert_eq!(accounts(&profile), 0);
    assert!(forgotten.forget(&layout, 99, &[account]));
    assert_eq!(accounts(&forgotten), 0);
}

#[test]
fn a_window_is_needed_to_count_frauds_and_no_condition() {
    let layout = |condition, window: Option<Window>| {
        let conditions = vec![SlotId::of("declined")];
        let fraud = Aggregate {
            function: Function::Fraud,
            condition,
            window,
        };
        let layout = Layout::new(KeyKind::Profile, vec![], vec![], conditions, vec![fraud]);
        layout.map(drop).map_err(|error| error.to_string())
    };
    let day: Option<Window> = "1d".parse().ok();
    assert_eq!(layout(None, day), Ok(()));
    assert_eq!(
        layout(None, None),
        Err("`fraud` needs a window, such as 7d".to_owned())
    );
    assert_eq!(
        layout(Some(0), day),
        Err(
            "`fraud` counts all orders that are known as fraud; leave the condition out".to_owned()
        )
    );
}
